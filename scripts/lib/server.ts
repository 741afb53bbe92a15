import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';

const POLL_MS = 5;
const DEADLINE_MS = 60_000;

/** A running server of the build, for measuring. */
export interface MeasuredServer {
  readonly url: string;
  readonly pid: number | undefined;
  /** From the start of the process to the first 200 of /ready. */
  readonly readyAfterMs: number;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
}

/** Starts `dist/src/main.js`, on a free port unless its environment names one, and waits until it is ready; throws when it ends before. */
export async function startServer(
  dataDir: string,
  env: Record<string, string> = {},
): Promise<MeasuredServer> {
  const port = env.PORT === undefined ? await freePort() : Number(env.PORT);
  const begin = performance.now();
  const server = spawn(process.execPath, [join('dist', 'src', 'main.js')], {
    env: {
      ...process.env,
      HOST: '127.0.0.1',
      PORT: String(port),
      DATA_DIR: dataDir,
      LOG_LEVEL: 'error',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = async () => {
    if (server.exitCode !== null) return;
    server.kill('SIGTERM');
    await once(server, 'exit');
  };
  try {
    await untilReady(server, port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    pid: server.pid,
    readyAfterMs: performance.now() - begin,
    stop,
  };
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function untilReady(server: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.status === 200) return;
    if (server.exitCode !== null) throw new Error(`the server ended with code ${server.exitCode}`);
    if (performance.now() > deadline) throw new Error(`the server is not ready after ${DEADLINE_MS} ms`);
    await setTimeout(POLL_MS);
  }
}
