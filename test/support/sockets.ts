import type { AddressInfo, Socket as Stream } from 'node:net';
import { afterEach } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createOutboxes } from '../../src/transport/outbox.ts';
import { Socket } from '../../src/transport/socket.ts';
import { openFrames, type RawFrames } from './raw-frames.ts';
import { until } from './until.ts';

/** A socket as the server has it, with its peer at the other end of a real line. */
export interface Linked {
  readonly socket: Socket;
  readonly webSocket: WebSocket;
  /** The stream under it. */
  readonly stream: Stream;
  readonly peer: RawFrames;
}

const servers: WebSocketServer[] = [];

/** Makes sockets that share their outboxes; they are gone after the test. */
export async function linkSockets(
  count: number,
  outboxes: ReturnType<typeof createOutboxes> = createOutboxes({ socketBytes: 262_144, totalBytes: 0 }),
): Promise<Linked[]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  servers.push(server);
  const arrived: Array<Omit<Linked, 'peer'>> = [];
  server.on('connection', (webSocket, { socket: stream }) => {
    const socket = new Socket({ webSocket, stream, outboxes, messages: undefined, address: undefined });
    socket.isGreeted = true;
    webSocket.on('pong', () => {
      socket.isAlive = true;
    });
    webSocket.on('close', () => socket.gone());
    webSocket.on('error', () => {});
    arrived.push({ socket, webSocket, stream });
  });
  await until('it listens', () => server.address());
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const linked: Linked[] = [];
  for (let made = 0; made < count; made += 1) {
    const peer = await openFrames(url);
    const near = await until('its other end', () =>
      arrived.find(({ stream }) => stream.remotePort === peer.localPort),
    );
    linked.push({ ...near, peer });
  }
  return linked;
}

/** As many bytes as no line takes while nobody reads at its end. */
export const moreThanALineTakes = 16 * 1_048_576;

afterEach(() => {
  for (const server of servers.splice(0)) {
    for (const webSocket of server.clients) webSocket.terminate();
    server.close();
  }
});
