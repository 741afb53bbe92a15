import { CloseCode } from 'graphql-ws';
import type { Clock } from '../platform/clock.ts';
import { type Closing, type Socket, slowConsumer } from './socket.ts';

interface Options {
  readonly clock: Clock;
  /** A socket without any operation for this long is closed; ms, 0 for never. */
  readonly idleMs: number;
}

/** How often each socket is asked whether it is there; ms. It has as long to answer. */
const pingEveryMs = 12_000;

/** How long a client may take none of what it is sent; ms. */
const stalledMs = 15_000;

const lookEveryMs = 1_000;

/** How often a socket is looked at before its `connection_init` must have come: 3 seconds, or a little more. */
const looksUntilGreeted = 3;

const notGreeted: Closing = [CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout'];

/** A client that has nothing to do here; it connects again when it has. */
const idle: Closing = [1000, 'Idle'];

/** Looks after all sockets with one timer: pings them, and closes those that do not answer, read, or do anything. */
export function createHeartbeat({ clock, idleMs }: Options) {
  const rounds = Array.from({ length: pingEveryMs / lookEveryMs }, () => new Set<Socket>());
  let next = 0;
  let round = 0;

  function ping(socket: Socket): void {
    if (!socket.isAlive) {
      socket.cut(slowConsumer);
      return;
    }
    socket.isAlive = false;
    if (socket.isOpen) socket.webSocket.ping();
  }

  function look(socket: Socket, now: number): void {
    if (!socket.isGreeted) {
      if (socket.looks === looksUntilGreeted) socket.close(notGreeted);
      socket.looks += 1;
    }
    socket.stalledSince = socket.hasRoom ? undefined : (socket.stalledSince ?? now);
    if (socket.stalledSince !== undefined) socket.forget();
    socket.idleSince = socket.isIdle ? (socket.idleSince ?? now) : undefined;
    if (socket.stalledSince !== undefined && now - socket.stalledSince >= stalledMs) socket.cut(slowConsumer);
    else if (idleMs > 0 && socket.idleSince !== undefined && now - socket.idleSince >= idleMs)
      socket.close(idle);
  }

  const timer = setInterval(() => {
    round = (round + 1) % rounds.length;
    for (const socket of rounds[round] as Set<Socket>) ping(socket);
    const now = clock.now();
    for (const sockets of rounds) for (const socket of sockets) look(socket, now);
  }, lookEveryMs);
  timer.unref();

  return {
    /** Looks after a socket from now on; answers how to stop. */
    add(socket: Socket): () => void {
      // Evenly, whenever they came.
      const sockets = rounds[next] as Set<Socket>;
      next = (next + 1) % rounds.length;
      sockets.add(socket);
      return () => sockets.delete(socket);
    },

    close: () => clearInterval(timer),
  };
}
