import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type RedisServer, startRedisServer } from '../../scripts/lib/redis-server.ts';
import { createLedger } from '../../src/money/ledger.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openPostgres } from '../../src/platform/database/postgres.ts';
import type { TestApp } from './app.ts';
import { type Clients, createClients } from './clients.ts';
import { createTestDatabase } from './postgres.ts';
import { createServerProcess, type ServerProcess } from './process.ts';

/** A server process, with clients of its own. */
export interface Node extends ServerProcess, Clients {}

/** Two server processes on one Postgres and one Redis. */
export interface Nodes {
  readonly one: Node;
  readonly two: Node;
  readonly redis: RedisServer;
  /** The database that they share. */
  readonly db: ReturnType<typeof openPostgres>;
}

/** Two nodes for each test; they are removed after it. */
export async function startNodes(env: Record<string, string> = {}): Promise<Nodes> {
  const nodes = await openNodes(env);
  onTestFinished(nodes.close);
  return nodes;
}

/** Two nodes for all tests of a file; they are there once these run. */
export function useNodes(env: Record<string, string> = {}): () => Nodes {
  let nodes: Awaited<ReturnType<typeof openNodes>> | undefined;
  beforeAll(async () => {
    nodes = await openNodes(env);
  });
  afterAll(() => nodes?.close());
  return () => nodes as Nodes;
}

/** What makes users of both nodes and fills their wallets, as it does with an app in the tests' own process. */
export function userMaker({
  one,
  db,
}: Pick<Nodes, 'one' | 'db'>): Pick<TestApp, 'services' | 'token' | 'ask'> {
  const services = { db, ledger: createLedger({ clock: systemClock, onEntry: () => {} }) };
  return { ask: one.ask, token: one.token, services: services as unknown as TestApp['services'] };
}

async function openNodes(env: Record<string, string>) {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedisServer()]);
  const db = openPostgres({ url: database.url, poolSize: 4, onError: () => {} });
  const shared = { DATABASE_URL: database.url, REDIS_URL: redis.url.href, ...env };
  const [one, two] = await Promise.all([startNode(shared), startNode(shared)]);
  return {
    one,
    two,
    redis,
    db,
    async close() {
      await Promise.all([one.dispose(), two.dispose()]);
      await Promise.all([one.remove(), two.remove()]);
      await redis.stop();
      await db.close();
      await database.drop();
    },
  };
}

async function startNode(env: Record<string, string>): Promise<Node> {
  const server = await createServerProcess(env);
  await server.start();
  const clients = createClients(server.url, server.webSocketUrl);
  return Object.assign(Object.create(server) as ServerProcess, clients);
}
