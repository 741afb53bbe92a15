import { CloseCode } from 'graphql-ws';
import { type Closing, type Socket, slowConsumer } from './socket.ts';

interface Options {
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

/** Whether what was found so many times in a row has lasted for this long; ms. */
const lasts = (looks: number, ms: number) => (looks - 1) * lookEveryMs >= ms;

const notGreeted: Closing = [CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout'];

/** A client that has nothing to do here; it connects again when it has. */
const idle: Closing = [1000, 'Idle'];

/**
 * Looks after all sockets with one timer: pings them, and closes those that do not answer, read, or do anything. Time
 * is how often it has looked: a clock that is set ends nobody's socket.
 */
export function createHeartbeat({ idleMs }: Options) {
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

  function look(socket: Socket): void {
    if (!socket.isGreeted) {
      if (socket.looks === looksUntilGreeted) socket.close(notGreeted);
      socket.looks += 1;
    }
    socket.looksStalled = socket.hasRoom ? 0 : socket.looksStalled + 1;
    socket.looksIdle = socket.isIdle ? socket.looksIdle + 1 : 0;
    if (socket.looksStalled > 0) socket.forget();
    if (lasts(socket.looksStalled, stalledMs)) socket.cut(slowConsumer);
    else if (idleMs > 0 && lasts(socket.looksIdle, idleMs)) socket.close(idle);
  }

  const timer = setInterval(() => {
    round = (round + 1) % rounds.length;
    for (const socket of rounds[round] as Set<Socket>) ping(socket);
    for (const sockets of rounds) for (const socket of sockets) look(socket);
  }, lookEveryMs);
  timer.unref();

  return {
    /** Looks after a socket from now on. */
    add(socket: Socket): void {
      // Evenly, whenever they came.
      socket.round = next;
      next = (next + 1) % rounds.length;
      rounds[socket.round]?.add(socket);
    },

    /** Looks after it no more. */
    remove(socket: Socket): void {
      rounds[socket.round]?.delete(socket);
    },

    close: () => clearInterval(timer),
  };
}
