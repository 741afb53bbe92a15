import { afterAll } from 'vitest';
import { type RedisServer, startRedisServer } from '../../scripts/lib/redis-server.ts';

const servers: RedisServer[] = [];

/** Starts a real Redis of its own; it is ended, and its folder removed, after the test file. */
export async function startRedis(): Promise<RedisServer> {
  const server = await startRedisServer();
  servers.push(server);
  return server;
}

afterAll(async () => {
  for (const server of servers.splice(0)) await server.stop();
});
