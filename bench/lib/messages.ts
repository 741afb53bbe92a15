/** How the processes of a run talk: what the client and the writer can be asked for. */

/** How a server is spoken to. */
export type Speech = 'raw' | 'graphql' | 'socket.io';

/** Subscribers that are to join. */
export interface Joining {
  readonly speech: Speech;
  readonly port: number;
  readonly path: string;
  readonly count: number;
  /** The ids of what is watched; subscribers take them in turn. */
  readonly ids: readonly string[];
  /** The subscription; its only variable is `$id`. */
  readonly query: string;
  /** Bearer tokens, taken in turn; none for servers that ask for none. */
  readonly tokens: readonly string[];
}

/** What came since the last `listen`: frames and bytes of frames; times in ms. */
export interface Received {
  readonly deliveries: number;
  readonly bytes: number;
  /** When the last one came, by the machine's clock. */
  readonly lastAt: number;
  /** Connections that have ended, ever. */
  readonly closed: number;
}

/** Times from commit to frame, in ms. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** When events were committed, in ms of the machine's clock: for each watched id in the order of its events. */
export type Commits = readonly (readonly number[])[];

/** The process that holds the subscribers. */
export interface Subscribers {
  /** Resolves once the last one has been answered, with the time of that. */
  join(joining: Joining): Promise<number>;
  /** Begins to count anew. A round is over with so many deliveries; `keepTimes` for `latency`. */
  listen(how: { readonly roundDeliveries: number; readonly keepTimes: boolean }): void;
  /** Resolves when so many deliveries have come, or none for so long; ms. */
  settle(what: { readonly deliveries: number; readonly patienceMs: number }): Promise<Received>;
  /** Of what came since `listen`. */
  latency(commits: Commits): Latency;
  /** The text of the last frame of an event. */
  sample(): string;
  /** From now on none reads. */
  stall(): void;
}

/** What is published as one: the indexes of the ids that get an event each, in one commit or one tick. */
export type Commit = readonly number[];

/** Where events go and what is in them. */
export interface Writing {
  readonly how: 'satwire' | 'raw' | 'graphql-redis-subscriptions' | 'mqemitter' | 'socket.io';
  readonly ids: readonly string[];
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** What raw sockets send. */
  readonly frame: string;
  readonly memo: string | null;
}

/** The process that makes events. */
export interface Writer {
  prepare(writing: Writing): Promise<void>;
  /**
   * Rounds of commits, back to back, with so many rounds under way, for so long (ms) and at most so many; answers how
   * many.
   */
  flood(what: {
    readonly round: readonly Commit[];
    readonly inFlight: number;
    readonly durationMs: number;
    readonly rounds: number;
  }): Promise<number>;
  /** Single events at a steady rate, to each id in turn; answers when each was committed. */
  pace(what: { readonly perSecond: number; readonly events: number }): Promise<Commits>;
}

/** A function of a server and the time that went by in it; ms. */
export interface ProfiledFunction {
  readonly name: string;
  /** The file and line, from the last package folder on. */
  readonly place: string;
  readonly selfMs: number;
}

/** What is preloaded into a server. */
export interface Probe {
  /** Collects all garbage. */
  collect(): Promise<void>;
  /** Watches the delay of the event loop. */
  watchDelay(): void;
  /** The longest since the last call of this or of `watchDelay`; ms. */
  longestDelay(): number;
  /** Begins to sample where time goes. */
  startProfile(): Promise<void>;
  /** Where it went: for each function the time in itself, the longest first; ms. */
  stopProfile(): Promise<readonly ProfiledFunction[]>;
}
