import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Viewer } from './viewer.ts';

/** Why the server ends a connection. */
export type EndReason = 'TOKEN_EXPIRED' | 'TOKEN_REVOKED' | 'REPLACED' | 'SHUTDOWN';

/** What a transport hears of its connection. */
export interface ConnectionListener {
  /** The server ends the connection: called once, before the `onOver` hearers, at once if it is not to begin at all. */
  ended(reason: EndReason): void;
  /** The token expires in this many ms, 0 if it has; once for each token. */
  expiring?(tokenExpiresInMs: number): void;
  /** The viewer was refreshed in place: subscriptions are to be authorized anew. */
  refreshed?(): void;
}

/** One socket or one HTTP request: every operation on it refers to this. */
export interface Connection {
  /** Who is on it now; a refresh replaces it. */
  readonly viewer: Viewer;
  /** Whether it is over: ended by the server, or the peer is gone. */
  readonly isOver: boolean;
  /** Whether tokens can be refreshed on it: a socket, not a request. */
  readonly isSocket: boolean;
  /** Whether the token has expired and only its time of grace is left: nothing new may begin. */
  readonly isExpired: boolean;
  /** Calls once when it is over (at once if it is); answers how to forget it. */
  onOver(hear: () => void): () => void;
  /** Puts another viewer in the place; refusals are the caller's. */
  refresh(viewer: Viewer): void;
  end(reason: EndReason): void;
  /** The peer is gone. */
  closed(): void;
}

export type Connections = ReturnType<typeof createConnections>;

/** How long before its end a token's client is warned; ms. */
const warningMs = 30_000;

/** How long delivery goes on with a token that has expired; ms. */
const graceMs = 25_000;

/** How often expiries are looked for; ms. */
const sweepEveryMs = 1_000;

/** How soon one connection is ended after the other when all are to go; ms. */
const gentleEveryMs = 5;

/** How many sweeps a revocation is remembered, at least. */
const rememberedSweeps = 30;

/** What all connections of a node share. */
interface Shared {
  readonly clock: Clock;
  readonly open: Set<OpenConnection>;
  /** Whether the viewer's rights were ended a moment ago. */
  wasRevoked(viewer: Viewer): boolean;
}

const nothingToForget = () => {};

const expiryOf = ({ user }: Viewer): number => user?.expiresAt.getTime() ?? Number.POSITIVE_INFINITY;

/** A class and not closures: there are tens of thousands, most of them idle. */
class OpenConnection implements Connection {
  viewer: Viewer;
  isOver = false;
  readonly isSocket: boolean;
  readonly #shared: Shared;
  readonly #listener: ConnectionListener | undefined;
  /** When there is next something to do about the token; ms since 1970. */
  #dueAt: number;
  #hearers: Set<() => void> | undefined;

  constructor(shared: Shared, viewer: Viewer, listener: ConnectionListener | undefined, isSocket: boolean) {
    this.#shared = shared;
    this.viewer = viewer;
    this.#listener = listener;
    this.isSocket = isSocket;
    this.#dueAt = expiryOf(viewer) - warningMs;
  }

  get isExpired(): boolean {
    return this.#shared.clock.now() >= expiryOf(this.viewer);
  }

  onOver(hear: () => void): () => void {
    if (this.isOver) {
      hear();
      return nothingToForget;
    }
    const hearers = this.#hearers ?? new Set();
    this.#hearers = hearers.add(hear);
    return () => hearers.delete(hear);
  }

  refresh(viewer: Viewer): void {
    if (this.isOver) return;
    this.viewer = viewer;
    this.#dueAt = expiryOf(viewer) - warningMs;
    if (this.#shared.wasRevoked(viewer)) this.end('TOKEN_REVOKED');
    else this.#listener?.refreshed?.();
  }

  end(reason: EndReason): void {
    if (this.isOver) return;
    this.isOver = true;
    // Before its subscriptions are over: none of them may be told to a client as complete.
    this.#listener?.ended(reason);
    this.#tellOver();
  }

  closed(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#tellOver();
  }

  /** Does what is due about the token: warns of its end, and ends the connection after the time of grace. */
  look(now: number): void {
    if (now < this.#dueAt) return;
    const expiresAt = expiryOf(this.viewer);
    if (now >= expiresAt + graceMs) {
      this.end('TOKEN_EXPIRED');
      return;
    }
    this.#dueAt = expiresAt + graceMs;
    this.#listener?.expiring?.(Math.max(expiresAt - now, 0));
  }

  #tellOver(): void {
    this.#shared.open.delete(this);
    for (const hear of this.#hearers ?? []) hear();
    this.#hearers = undefined;
  }
}

/**
 * The open connections, ended when their token is revoked, or 25 s after it has expired: 30 s before that they are
 * told. One interval looks after all of them, until `close`.
 */
export function createConnections({ clock }: { readonly clock: Clock }) {
  const open = new Set<OpenConnection>();
  let shutDown = false;
  // A token may be revoked after the database was asked about it and before its connection is here to be ended.
  let revoked: Array<(viewer: Viewer) => boolean> = [];
  let revokedBefore: typeof revoked = [];
  let sweeps = 0;

  const shared: Shared = {
    clock,
    open,
    wasRevoked: (viewer) => [revoked, revokedBefore].some((each) => each.some((chosen) => chosen(viewer))),
  };

  function sweep(): void {
    const now = clock.now();
    for (const connection of open) connection.look(now);
    sweeps += 1;
    if (sweeps % rememberedSweeps > 0) return;
    revokedBefore = revoked;
    revoked = [];
  }
  const sweeping = setInterval(sweep, sweepEveryMs).unref();

  return {
    /** Begins a connection; `isSocket` says whether its token can be refreshed. */
    open(viewer: Viewer, listener?: ConnectionListener, isSocket = false): Connection {
      const connection = new OpenConnection(shared, viewer, listener, isSocket);
      open.add(connection);
      if (shutDown) connection.end('SHUTDOWN');
      else if (shared.wasRevoked(viewer)) connection.end('TOKEN_REVOKED');
      return connection;
    },

    /**
     * Ends every connection whose viewer is chosen as TOKEN_REVOKED, and those chosen that open, or are refreshed to
     * such a viewer, within half a minute.
     */
    revoke(chosen: (viewer: Viewer) => boolean): void {
      revoked.push(chosen);
      for (const connection of [...open]) if (chosen(connection.viewer)) connection.end('TOKEN_REVOKED');
    },

    /**
     * Ends all connections as SHUTDOWN, and those that open later at once: in random order, spread over a time, so
     * that not all clients come back to the other nodes at the same moment. Resolves when the last one is ended.
     */
    async drain(withinMs: number): Promise<void> {
      shutDown = true;
      const left = [...open].sort(() => Math.random() - 0.5);
      const spreadMs = Math.min(withinMs, left.length * gentleEveryMs);
      const begin = performance.now();
      for (let ended = 0; ended < left.length; ) {
        const due =
          spreadMs === 0 ? left.length : Math.ceil(((performance.now() - begin) / spreadMs) * left.length);
        for (; ended < Math.min(due, left.length); ended += 1) left[ended]?.end('SHUTDOWN');
        if (ended < left.length) await pause(gentleEveryMs);
      }
    },

    get size(): number {
      return open.size;
    },

    /** Looks for expiries no more. */
    close(): void {
      clearInterval(sweeping);
    },
  };
}
