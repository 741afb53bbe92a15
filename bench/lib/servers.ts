import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../../scripts/lib/server.ts';
import { now } from './clock.ts';
import type { Joining, Probe, Writing } from './messages.ts';
import { type Remote, startPinned } from './remote.ts';
import type { Surroundings } from './surroundings.ts';

/** The core of the server; all else runs on the other one. */
const serverCore = 0;
const readyWithinMs = 30_000;

const bench = join(import.meta.dirname, '..');
const peer = (file: string) => ['--import', 'tsx', join(bench, 'servers', file)];

interface Kind {
  readonly args: readonly string[];
  readonly speech: Joining['speech'];
  readonly path: string;
  readonly writing: Writing['how'];
}

const kinds = {
  raw: { args: peer('raw.ts'), speech: 'raw', path: '/', writing: 'raw' },
  'raw-database': { args: peer('raw-database.ts'), speech: 'raw', path: '/', writing: 'satwire' },
  satwire: {
    args: [join(bench, '..', 'dist', 'src', 'main.js')],
    speech: 'graphql',
    path: '/graphql',
    writing: 'satwire',
  },
  yoga: {
    args: peer('yoga.ts'),
    speech: 'graphql',
    path: '/graphql',
    writing: 'graphql-redis-subscriptions',
  },
  apollo: {
    args: peer('apollo.ts'),
    speech: 'graphql',
    path: '/graphql',
    writing: 'graphql-redis-subscriptions',
  },
  mercurius: { args: peer('mercurius.ts'), speech: 'graphql', path: '/graphql', writing: 'mqemitter' },
  'socket-io': { args: peer('socket-io.ts'), speech: 'socket.io', path: '/socket.io/', writing: 'socket.io' },
} as const satisfies Record<string, Kind>;

/** What is measured. */
export type ServerName = keyof typeof kinds;

/** Whether a text names one. */
export const isServerName = (text: string): text is ServerName => Object.hasOwn(kinds, text);

/** A server that listens. */
export interface RunningServer extends Kind {
  readonly port: number;
  readonly process: Remote<Probe>;
}

// What counts clients is off, as thousands come from one address here; what bounds memory is as it is shipped.
const satwireEnvironment = {
  ALLOW_STUB: 'true',
  AGENT: 'external',
  LOG_LEVEL: 'error',
  DRAIN_SECONDS: '0',
  LIMIT_CONNECTIONS_PER_IP: '0',
  LIMIT_CONNECTIONS_PER_VIEWER: '0',
  LIMIT_SUBSCRIPTIONS_PER_CONNECTION: '0',
  LIMIT_MESSAGES_PER_SECOND: '0',
  LIMIT_MUTATIONS_PER_MINUTE: '0',
};

/** Starts a server on a core of its own, and waits until it takes connections. */
export async function startServer(name: ServerName, surroundings: Surroundings): Promise<RunningServer> {
  const kind: Kind = kinds[name];
  const port = await freePort();
  const preloaded = ['--expose-gc', '--import', join(bench, 'servers', 'probe.mjs')];
  const process = startPinned<Probe>(serverCore, [...preloaded, ...kind.args], {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    REDIS_URL: surroundings.redisUrl,
    DATABASE_URL: surroundings.databaseUrl,
    ...(name === 'satwire' && { ...satwireEnvironment, JWT_SECRET: surroundings.jwtSecret }),
  });
  const deadline = now() + readyWithinMs;
  while (!(await takesConnections(port))) {
    if (process.hasEnded || now() > deadline) {
      await process.stop();
      throw new Error(`${name} does not listen`);
    }
    await pause(20);
  }
  return { ...kind, port, process };
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (takes: boolean) => {
      socket.destroy();
      resolve(takes);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
