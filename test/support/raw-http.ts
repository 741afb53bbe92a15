import { connect, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { until } from './until.ts';

const sockets = new Set<Socket>();

/** A TCP connection on which a test writes its requests itself. */
export interface RawConnection {
  write(text: string): void;
  /** Reads nothing more, until it resumes. */
  pause(): void;
  resume(): void;
  /** Goes away, and waits until it is gone. */
  end(): Promise<void>;
  /** All that was received. */
  readonly received: string;
  readonly ended: boolean;
  /** Resolves with all that was received once this is a part of it. */
  receive(part: string | RegExp): Promise<string>;
}

/** Connects to the server of a URL. */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  sockets.add(socket);
  let received = '';
  let ended = false;
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    received += text;
  });
  socket.on('close', () => {
    ended = true;
  });
  socket.on('error', () => {});
  await until('the connection is made', () => !socket.connecting);
  return {
    write: (text) => socket.write(text),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    async end() {
      socket.destroy();
      await until('the connection is gone', () => ended);
    },
    get received() {
      return received;
    },
    get ended() {
      return ended;
    },
    receive: (part) => until(`an answer with ${part}`, () => (received.match(part) ? received : undefined)),
  };
}

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});
