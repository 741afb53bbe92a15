import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from './server.ts';

/** A Postgres of our own, on a port and a folder that nobody else has. */
export interface PostgresServer {
  /** A connection string of one of its databases. */
  url(database: string): string;
  /** Runs one statement outside of any of our databases, such as CREATE DATABASE. */
  administer(sql: string): Promise<void>;
  /** Ends it as a crash does, with all its connections. */
  kill(): Promise<void>;
  /** Starts it again where it was, and waits until it answers. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Postgres refuses to run as root: then it runs as whom its package has made for it. */
function unprivileged(): { uid: number; gid: number } | Record<string, never> {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Runs SQL without parameters on a connection of its own. */
export async function runStatement(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/**
 * Runs initdb and starts Postgres with the programs of a folder; waits until it answers. It has to outlive its own
 * processes, and the machine only where it is durable, as one that holds money is.
 */
export async function startPostgres(programs: string, isDurable = false): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'satwire-postgres-'));
  const user = unprivileged();
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const initdb = ['--no-sync', '--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C'];
  execFileSync(join(programs, 'initdb'), [...initdb, `--pgdata=${data}`], { cwd: folder, ...user });

  const port = await freePort();
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 400,
    fsync: isDurable ? 'on' : 'off',
    full_page_writes: isDurable ? 'on' : 'off',
    log_min_messages: 'panic',
  };
  let running: ChildProcess | undefined;
  const url = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;

  const administer = (sql: string) => runStatement(url('postgres'), sql);

  async function start(): Promise<void> {
    const server = spawn(
      join(programs, 'postgres'),
      ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      { cwd: folder, stdio: 'ignore', ...user },
    );
    running = server;
    const answers = () =>
      administer('SELECT 1').then(
        () => true,
        () => false,
      );
    while (!(await answers())) {
      if (server.exitCode !== null) throw new Error(`Postgres ended with code ${server.exitCode}.`);
      await setTimeout(20);
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const server = running;
    running = undefined;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    server.kill(signal);
    await once(server, 'exit');
  }

  const server: PostgresServer = {
    url,
    administer,
    start,
    // Its "immediate" shutdown: it ends without a checkpoint, and recovers at its next start.
    kill: () => end('SIGQUIT'),
    async stop() {
      await end('SIGINT');
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}
