import { afterEach } from 'vitest';
import { WebSocket } from 'ws';
import type { Json } from './clients.ts';
import { until } from './until.ts';

/** Why a socket was closed. */
export interface Close {
  readonly code: number;
  readonly reason: string;
}

/** A WebSocket whose messages a test sees as they were sent. */
export interface RawSocket {
  /** The texts of the messages, in their order. */
  readonly texts: string[];
  readonly isOpen: boolean;
  send(message: unknown): void;
  /** Sends `subscribe`. */
  subscribe(id: string, query: string, variables?: object, operationName?: string): void;
  /** The messages of one operation so far. */
  of(id: string): Json[];
  /** Resolves with the messages of an operation once it is over. */
  over(id: string): Promise<Json[]>;
  /** Resolves with the messages of an operation once there are this many. */
  count(id: string, messages: number): Promise<Json[]>;
  readonly closed: Promise<Close>;
  /** Closes, and waits until it is closed. */
  close(): Promise<void>;
}

export interface RawSocketOptions {
  readonly params?: object;
  /** None is offered when it is empty. */
  readonly protocol?: string | string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether to send `connection_init`, and to wait for the answer to it. */
  readonly init?: boolean;
}

const sockets = new Set<WebSocket>();

/** Connects, and waits for `connection_ack` or the close. */
export async function openSocket(
  url: string | undefined,
  options: RawSocketOptions = {},
): Promise<RawSocket> {
  const { params, protocol = 'graphql-transport-ws', headers = {}, init = true } = options;
  const socket = new WebSocket(url as string, protocol, { headers });
  sockets.add(socket);
  const texts: string[] = [];
  const messages: Json[] = [];
  socket.on('message', (data) => {
    texts.push(String(data));
    messages.push(JSON.parse(String(data)));
  });
  const closed = new Promise<Close>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
  });
  let failure: Error | undefined;
  socket.on('error', (error) => {
    failure = error;
  });
  await until('the socket opens', () => failure || socket.readyState !== WebSocket.CONNECTING);
  if (failure) throw failure;
  const raw: RawSocket = {
    texts,
    get isOpen() {
      return socket.readyState === WebSocket.OPEN;
    },
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    subscribe: (id, query, variables, operationName) =>
      raw.send({ id, type: 'subscribe', payload: { query, variables, operationName } }),
    of: (id) => messages.filter((message) => message.id === id),
    over: (id) =>
      until(`the end of ${id}`, () =>
        messages.some((message) => message.id === id && message.type !== 'next') ? raw.of(id) : undefined,
      ),
    count: (id, wanted) =>
      until(`${wanted} messages of ${id}`, () => (raw.of(id).length >= wanted ? raw.of(id) : undefined)),
    closed,
    async close() {
      socket.close(1000);
      await closed;
    },
  };
  if (init) {
    raw.send({ type: 'connection_init', payload: params });
    await until('the answer to connection_init', () => texts.length > 0 || !raw.isOpen);
  }
  return raw;
}

/** The HTTP status with which an upgrade is refused. */
export function refusedUpgrade(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, 'graphql-transport-ws', { headers });
    sockets.add(socket);
    socket.on('open', () => reject(new Error('The upgrade was accepted.')));
    socket.on('error', reject);
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode as number));
  });
}

afterEach(() => {
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.terminate();
  }
  sockets.clear();
});
