import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { ensureProgram, findProgram, type Program } from './programs.ts';
import { freePort } from './server.ts';

const REDIS: Program = { names: ['redis-server'], variable: 'REDIS_SERVER_PATH', package: 'redis-server' };

const POLL_MS = 10;
const DEADLINE_MS = 30_000;

/** The path of a redis-server: REDIS_SERVER_PATH when that is set, else the one on PATH. */
export const findRedis = (env: NodeJS.ProcessEnv): string | undefined => findProgram(REDIS, env);

/** The path of a redis-server, which root on Debian gets installed when there is none. */
export const ensureRedis = (): string | undefined => ensureProgram(REDIS);

/** A real Redis of its own, which keeps nothing; on one port however often it is started. */
export interface RedisServer {
  readonly port: number;
  readonly url: URL;
  /** Starts it again, and waits until it answers. */
  start(): Promise<void>;
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>;
  /** Stops it from running, with its connections open; `resume` lets it run again. */
  pause(): void;
  resume(): void;
  /** Runs one command, as the default user; answers the reply. */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** Ends the connections that have subscribed to something; answers how many. */
  killSubscribers(): Promise<number>;
  /** Ends it for good, and removes its folder. */
  stop(): Promise<void>;
}

/** Starts a redis-server on a free port; throws when there is none, or when it ends at once. */
export async function startRedisServer(): Promise<RedisServer> {
  const found = findRedis(process.env);
  if (found === undefined) throw new Error('no redis-server: install it, or set REDIS_SERVER_PATH');
  const program = found;
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'satwire-redis-'));
  let running: ChildProcess | undefined;
  const kill = () => void running?.kill('SIGKILL');

  async function command(name: string, ...args: string[]): Promise<unknown> {
    const client = new Redis({ port, host: '127.0.0.1', retryStrategy: null, lazyConnect: true });
    // The promises below say why.
    client.on('error', () => {});
    const end = new Promise((resolve) => client.once('end', resolve));
    try {
      await client.connect();
      return await client.call(name, ...args);
    } finally {
      if (client.status !== 'end') client.disconnect();
      await end;
    }
  }

  const server: RedisServer = {
    port,
    url: new URL(`redis://127.0.0.1:${port}`),
    async start() {
      const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
      const child = spawn(program, [...settings, '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
      running = child;
      process.once('exit', kill);
      const deadline = Date.now() + DEADLINE_MS;
      while (!(await answers(command))) {
        if (child.exitCode !== null) throw new Error(`redis-server ended with code ${child.exitCode}`);
        if (Date.now() > deadline) throw new Error(`redis-server does not answer after ${DEADLINE_MS} ms`);
        await pause(POLL_MS);
      }
    },
    async kill() {
      const child = running;
      running = undefined;
      process.off('exit', kill);
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
    pause: () => void running?.kill('SIGSTOP'),
    resume: () => void running?.kill('SIGCONT'),
    command,
    killSubscribers: async () => Number(await command('CLIENT', 'KILL', 'TYPE', 'pubsub')),
    async stop() {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

const answers = (command: RedisServer['command']): Promise<boolean> =>
  command('PING').then(
    () => true,
    () => false,
  );
