import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

/** The WebSockets of a fake LNbits: anyone listens to anything, and anyone sends to it. */
export interface FakeSockets {
  /** How many are open on a channel. */
  count(item: string): number;
  /** How many pings have come. */
  pings: number;
  upgrade(item: string, request: IncomingMessage, socket: Duplex, head: Buffer): void;
  send(item: string, text: string): void;
  /** Writes bytes as they are to the sockets of a channel: no frame, or one that breaks the rules. */
  sendRaw(item: string, bytes: Uint8Array): void;
  /** Cuts all of them. */
  drop(): void;
  /** Leaves all of them open and dead: nothing that comes is read any more, so that no ping is answered. */
  stall(): void;
}

export function createSockets(): FakeSockets {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const open = new Map<WebSocket, { readonly item: string; readonly wire: Duplex }>();

  function on(item: string): WebSocket[] {
    return [...open].filter(([, connection]) => connection.item === item).map(([socket]) => socket);
  }

  const sockets: FakeSockets = {
    pings: 0,
    count: (item) => on(item).length,
    upgrade(item, request, wire, head) {
      server.handleUpgrade(request, wire, head, (socket) => {
        open.set(socket, { item, wire });
        socket.on('error', () => {});
        socket.on('ping', () => {
          sockets.pings += 1;
        });
        socket.on('close', () => open.delete(socket));
      });
    },
    send(item, text) {
      for (const socket of on(item)) socket.send(text);
    },
    sendRaw(item, bytes) {
      for (const socket of on(item)) open.get(socket)?.wire.write(bytes);
    },
    drop() {
      for (const socket of open.keys()) socket.terminate();
    },
    stall() {
      for (const socket of open.keys()) socket.pause();
    },
  };
  return sockets;
}
