import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { findPostgres } from '../../scripts/lib/postgres.ts';
import { startPostgres } from '../../scripts/lib/postgres-server.ts';
import { type RedisServer, startRedisServer } from '../../scripts/lib/redis-server.ts';
import { steadyPort } from './ports.ts';
import { type FaultProcess, faultProcess } from './processes.ts';
import { type FaultRelay, startFaultRelay } from './relay.ts';

/** A node, and the relays in front of it and of what it needs. */
export interface FaultNode {
  readonly process: FaultProcess;
  /** Its GraphQL endpoint, past the relay. */
  readonly directUrl: string;
  /** The same through the relay. */
  readonly url: string;
  readonly clients: FaultRelay;
  readonly redis: FaultRelay;
  readonly postgres: FaultRelay;
  /** Moves its clock ahead of the machine's; ms. */
  moveClock(byMs: number): void;
  /** By how much it was ahead at a time of the machine's; both ms. */
  aheadAt(at: number): number;
}

/** Nodes on one Postgres and one Redis, with a relay on every way between the processes. */
export interface Cluster {
  readonly nodes: readonly FaultNode[];
  readonly redis: RedisServer;
  /** Where the histories of the clients are. */
  readonly folder: string;
  /** Asks the database, past the relays. */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  /** Ends all of it; the histories stay if they are wanted. */
  close(keepsHistories: boolean): Promise<void>;
}

const script = fileURLToPath(new URL('./node.ts', import.meta.url));

/** Starts so many nodes of a copy of the build. */
export async function startCluster(build: string, nodeCount: number): Promise<Cluster> {
  const programs = findPostgres(process.env);
  if (programs === undefined) throw new Error('no Postgres: install it, or set INITDB_PATH');
  const folder = await mkdtemp(join(tmpdir(), 'satwire-faults-'));
  const [postgres, redis] = await Promise.all([startPostgres(programs), startRedisServer()]);
  // What was committed before what decides over rights; it is set before anything is committed.
  await postgres.administer('ALTER SYSTEM SET track_commit_timestamp = on');
  await postgres.kill();
  await postgres.start();
  await postgres.administer('CREATE DATABASE satwire');
  const database = postgres.url('satwire');
  const nodes = await Promise.all(
    Array.from({ length: nodeCount }, (_, n) =>
      prepareNode({
        build,
        database: new URL(database),
        redis: redis.url,
        folder: join(folder, `node-${n}`),
      }),
    ),
  );
  await Promise.all(nodes.map((node) => node.process.start()));
  return {
    nodes,
    redis,
    folder,
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      const client = new Client({ connectionString: database, application_name: 'checker' });
      await client.connect();
      try {
        return (await client.query(sql, [...parameters])).rows as Row[];
      } finally {
        await client.end();
      }
    },
    async close(keepsHistories) {
      await Promise.all(nodes.map((node) => node.process.kill()));
      for (const node of nodes)
        await Promise.all([node.clients.close(), node.redis.close(), node.postgres.close()]);
      await Promise.all([postgres.stop(), redis.stop()]);
      if (!keepsHistories) await rm(folder, { recursive: true, force: true });
    },
  };
}

interface NodeDescription {
  readonly build: string;
  readonly database: URL;
  readonly redis: URL;
  readonly folder: string;
}

async function prepareNode({ build, database, redis, folder }: NodeDescription): Promise<FaultNode> {
  const port = await steadyPort();
  const [clients, redisRelay, postgres] = await Promise.all([
    startFaultRelay(port),
    startFaultRelay(Number(redis.port)),
    startFaultRelay(Number(database.port)),
  ]);
  const through = (url: URL, relay: FaultRelay) =>
    Object.assign(new URL(url), { port: String(relay.port) }).href;
  const moves: Array<{ readonly at: number; readonly aheadMs: number }> = [];
  const aheadAt = (at: number) => moves.findLast((move) => move.at <= at)?.aheadMs ?? 0;
  const directUrl = `http://127.0.0.1:${port}/graphql`;
  const process = faultProcess({
    script,
    hear: () => {},
    env: () => ({
      FAULT_BUILD: build,
      FAULT_CLOCK_AHEAD_MS: String(aheadAt(Date.now())),
      PORT: String(port),
      DATA_DIR: folder,
      DATABASE_URL: through(database, postgres),
      REDIS_URL: through(redis, redisRelay),
      LOG_LEVEL: 'error',
      AGENT_STUB_STEP_MS: '50',
      DRAIN_SECONDS: '3',
      SESSION_DEPOSIT_MAX_SATS: '1000000000',
      // Faults are to be seen, and not limits: all clients are at one address, and share their users.
      LIMIT_OPEN_INVOICES: '0',
      LIMIT_SUBSCRIPTIONS_PER_CONNECTION: '1000',
      LIMIT_CONNECTIONS_PER_IP: '0',
      LIMIT_CONNECTIONS_PER_VIEWER: '0',
      LIMIT_MESSAGES_PER_SECOND: '0',
      LIMIT_MUTATIONS_PER_MINUTE: '0',
    }),
  });
  return {
    process,
    directUrl,
    url: through(new URL(directUrl), clients),
    clients,
    redis: redisRelay,
    postgres,
    aheadAt,
    moveClock(byMs) {
      const at = Date.now();
      const aheadMs = aheadAt(at) + byMs;
      moves.push({ at, aheadMs });
      process.send({ aheadMs });
    },
  };
}
