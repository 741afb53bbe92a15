import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostgres } from './postgres.ts';
import { startPostgres } from './postgres-server.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';
import { freePort, type MeasuredServer, startServer } from './server.ts';

/** Two servers of the build on one Postgres and one Redis of their own, for measuring. */
export interface MeasuredNodes {
  readonly one: MeasuredServer;
  readonly two: MeasuredServer;
  readonly redis: RedisServer;
  stop(): Promise<void>;
}

/** Starts them; the environment may depend on the port of the first. */
export async function startTwoNodes(
  envOf: (portOfFirst: number) => Record<string, string> = () => ({}),
): Promise<MeasuredNodes> {
  const programs = findPostgres(process.env);
  if (programs === undefined) throw new Error('no Postgres: install it, or set INITDB_PATH');
  const folder = await mkdtemp(join(tmpdir(), 'satwire-nodes-'));
  const [postgres, redis, port] = await Promise.all([
    startPostgres(programs),
    startRedisServer(),
    freePort(),
  ]);
  await postgres.administer('CREATE DATABASE satwire');
  const env = {
    DATABASE_URL: postgres.url('satwire'),
    REDIS_URL: redis.url.href,
    ...envOf(port),
  };
  const one = await startServer(join(folder, 'one'), { ...env, PORT: String(port) });
  const two = await startServer(join(folder, 'two'), env);
  return {
    one,
    two,
    redis,
    async stop() {
      await Promise.all([one.stop(), two.stop()]);
      await Promise.all([postgres.stop(), redis.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
