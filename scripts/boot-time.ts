import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';

const RUNS = 5;
const POLL_MS = 5;
const DEADLINE_MS = 60_000;

interface Start {
  milliseconds: number;
  /** Resident memory of the server when it is ready, in KiB; unknown where there is no /proc. */
  residentKib: number | undefined;
}

async function freePort(): Promise<number> {
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

async function residentKib(pid: number | undefined): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return kib === undefined ? undefined : Number(kib);
}

async function startServer(dataDir: string): Promise<Start> {
  const port = await freePort();
  const begin = performance.now();
  const server = spawn(process.execPath, [join('dist', 'src', 'main.js')], {
    env: { ...process.env, HOST: '127.0.0.1', PORT: String(port), DATA_DIR: dataDir, LOG_LEVEL: 'error' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await untilReady(server, port);
    const milliseconds = performance.now() - begin;
    return { milliseconds, residentKib: await residentKib(server.pid) };
  } finally {
    if (server.exitCode === null) {
      server.kill('SIGTERM');
      await once(server, 'exit');
    }
  }
}

async function startNode(): Promise<Start> {
  const begin = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return { milliseconds: performance.now() - begin, residentKib: undefined };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function summary(name: string, starts: readonly Start[], base: number) {
  const milliseconds = median(starts.map((start) => start.milliseconds));
  const memory = starts.flatMap((start) => start.residentKib ?? []);
  return {
    start: name,
    'median ms': Math.round(milliseconds),
    'times node -e 0': Number((milliseconds / base).toFixed(1)),
    'RSS MiB': memory.length === 0 ? '' : Math.round(median(memory) / 1024),
  };
}

const bare: Start[] = [];
const first: Start[] = [];
const second: Start[] = [];
for (let run = 0; run < RUNS; run += 1) {
  const dataDir = await mkdtemp(join(tmpdir(), 'satwire-boot-'));
  try {
    bare.push(await startNode());
    first.push(await startServer(dataDir));
    second.push(await startServer(dataDir));
  } finally {
    await rm(dataDir, { recursive: true });
  }
}
const base = median(bare.map((start) => start.milliseconds));
console.table([
  summary('node -e 0', bare, base),
  summary('first start', first, base),
  summary('second start', second, base),
]);
