import type { Commit } from './lib/messages.ts';
import type { ServerName } from './lib/servers.ts';

/** Every measurement is made so many times, and the servers take turns. */
export const repetitions = 3;

/** Subscribers, what they watch, and what happens meanwhile. */
export interface Scenario {
  readonly name: string;
  readonly servers: readonly ServerName[];
  readonly subscribers: number;
  /** How many sessions are watched; subscribers take them in turn. */
  readonly sessions: number;
  /** Whether the payload holds what resolvers load from the database. */
  readonly isLoaded: boolean;
  /** What is published as one round, with so many rounds under way at a time. */
  readonly round: readonly Commit[];
  readonly inFlight: number;
  /** Single events at a steady rate: how many in a second, and for how long; s. */
  readonly paced: { readonly perSecond: number; readonly seconds: number };
}

const allServers = ['raw', 'satwire', 'yoga', 'apollo', 'mercurius', 'socket-io'] as const;
const sizeServers = ['raw', 'satwire', 'yoga'] as const;

const one = { sessions: 1, isLoaded: false, round: [[0]], inFlight: 5 } as const;

const manySessions = 500;
/** How many events, each of another session, are committed at once where many are watched. */
const manyPerCommit = 25;

/** An event of each session, some of them in each commit. */
const manyRound: readonly Commit[] = Array.from({ length: manySessions / manyPerCommit }, (_, part) =>
  Array.from({ length: manyPerCommit }, (_, index) => part * manyPerCommit + index),
);

/** How many events of one session are committed at once in a burst. */
export const burstEvents = 50;

/** All that is measured beside others. */
export const scenarios: readonly [Scenario, ...Scenario[]] = [
  { ...one, name: 'one-100', servers: sizeServers, subscribers: 100, paced: { perSecond: 20, seconds: 2 } },
  {
    ...one,
    name: 'one-1000',
    servers: sizeServers,
    subscribers: 1_000,
    paced: { perSecond: 10, seconds: 2 },
  },
  { ...one, name: 'one-5000', servers: allServers, subscribers: 5_000, paced: { perSecond: 10, seconds: 2 } },
  {
    ...one,
    name: 'one-10000',
    servers: sizeServers,
    subscribers: 10_000,
    paced: { perSecond: 2, seconds: 3 },
  },
  {
    name: 'many-5000',
    servers: allServers,
    subscribers: 5_000,
    sessions: manySessions,
    isLoaded: false,
    round: manyRound,
    inFlight: 5,
    paced: { perSecond: 200, seconds: 3 },
  },
  {
    ...one,
    name: 'loaded-1000',
    servers: ['satwire', 'yoga'],
    subscribers: 1_000,
    isLoaded: true,
    paced: { perSecond: 2, seconds: 4 },
  },
  {
    ...one,
    name: 'bursts-1000',
    servers: ['raw', 'satwire'],
    subscribers: 1_000,
    round: [Array.from({ length: burstEvents }, () => 0)],
    inFlight: 2,
    paced: { perSecond: 0, seconds: 0 },
  },
  {
    ...one,
    name: 'latency-1000',
    servers: ['raw-database', 'satwire'],
    subscribers: 1_000,
    paced: { perSecond: 20, seconds: 8 },
  },
  {
    ...one,
    name: 'latency-5000',
    servers: ['raw-database', 'satwire'],
    subscribers: 5_000,
    paced: { perSecond: 5, seconds: 8 },
  },
];

/** Clients that stop reading while others go on, beside the same without them. */
export const stalled = {
  name: 'stalled',
  variants: ['without', 'with'],
  clients: 200,
  /** Those that watch the same session and read all of it. */
  readers: 5,
  /** Those that watch another session, with so many events a second; their latency is measured. */
  neighbours: 100,
  neighbourEventsPerSecond: 20,
  events: 100_000,
  perCommit: 50,
  /** The rounds under way are bounded by the readers. */
  inFlight: 10,
  /** What the memo of each event holds; bytes. */
  memoBytes: 2_000,
  /** How long it is waited for the server to close them all, after the last event; s. */
  patienceSeconds: 90,
  /** The most that resident memory may be above that of the run without them, at its highest; MiB. */
  boundMiB: 128,
} as const;
