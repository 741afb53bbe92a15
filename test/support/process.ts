import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import { freePort } from '../../scripts/lib/server.ts';
import { databaseImage } from './app.ts';
import { until } from './until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The real server as a process of its own, on one port and one folder however often it is started. */
export interface ServerProcess {
  readonly port: number;
  readonly url: string;
  readonly webSocketUrl: string;
  readonly dataDir: string;
  /** What it has printed since it was first started. */
  readonly output: string;
  /** Starts it, and waits until it is ready. */
  start(): Promise<void>;
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>;
  /** Has it drain; answers its exit code. */
  stop(): Promise<number | null>;
  /** Kills it, and removes its folder. */
  remove(): Promise<void>;
}

const processes: ServerProcess[] = [];

afterEach(async () => {
  for (const each of processes.splice(0)) await each.remove();
});

/** A server that is not started yet; it is killed, and its folder removed, after the test. */
export async function serverProcess(env: Record<string, string> = {}): Promise<ServerProcess> {
  const server = await createServerProcess(env);
  processes.push(server);
  return server;
}

/** A server that is not started yet; whoever made it removes it. */
export async function createServerProcess(env: Record<string, string>): Promise<ServerProcess> {
  const port = await freePort();
  const dataDir = await mkdtemp(join(tmpdir(), 'satwire-process-'));
  if (env.DATABASE_URL === undefined)
    await cp(databaseImage(), join(dataDir, 'postgres'), { recursive: true });
  const base = `http://127.0.0.1:${port}/`;
  let output = '';
  let running: ChildProcess | undefined;

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const child = running;
    if (!child) return null;
    running = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exit = once(child, 'exit');
    child.kill(signal);
    const [code] = await exit;
    return code;
  }

  const server: ServerProcess = {
    port,
    url: `${base}graphql`,
    webSocketUrl: `ws://127.0.0.1:${port}/graphql`,
    dataDir,
    get output() {
      return output;
    },
    async start() {
      const child = spawn(process.execPath, [join('dist', 'src', 'main.js')], {
        cwd: root,
        env: {
          PATH: process.env.PATH,
          AGENT_STUB_STEP_MS: '0',
          ...env,
          PORT: String(port),
          DATA_DIR: dataDir,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      running = child;
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
      await until('the server to be ready', async () => {
        if (child.exitCode !== null) throw new Error(`The server ended:\n${output}`);
        return fetch(`${base}ready`).then(
          (response) => response.ok,
          () => false,
        );
      });
    },
    async kill() {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    async remove() {
      await server.kill();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  return server;
}
