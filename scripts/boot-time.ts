import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { quantile } from './lib/distribution.ts';
import { startServer } from './lib/server.ts';

const RUNS = 5;

interface Start {
  milliseconds: number;
  /** Resident memory of the server when it is ready, in KiB; unknown where there is no /proc. */
  residentKib: number | undefined;
}

async function residentKib(pid: number | undefined): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return kib === undefined ? undefined : Number(kib);
}

async function startSatwire(dataDir: string): Promise<Start> {
  const server = await startServer(dataDir);
  try {
    return { milliseconds: server.readyAfterMs, residentKib: await residentKib(server.pid) };
  } finally {
    await server.stop();
  }
}

async function startNode(): Promise<Start> {
  const begin = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return { milliseconds: performance.now() - begin, residentKib: undefined };
}

function summary(name: string, starts: readonly Start[], base: number) {
  const milliseconds = quantile(
    starts.map((start) => start.milliseconds),
    0.5,
  );
  const memory = starts.flatMap((start) => start.residentKib ?? []);
  return {
    start: name,
    'median ms': Math.round(milliseconds),
    'times node -e 0': Number((milliseconds / base).toFixed(1)),
    'RSS MiB': memory.length === 0 ? '' : Math.round(quantile(memory, 0.5) / 1024),
  };
}

const bare: Start[] = [];
const first: Start[] = [];
const second: Start[] = [];
for (let run = 0; run < RUNS; run += 1) {
  const dataDir = await mkdtemp(join(tmpdir(), 'satwire-boot-'));
  try {
    bare.push(await startNode());
    first.push(await startSatwire(dataDir));
    second.push(await startSatwire(dataDir));
  } finally {
    await rm(dataDir, { recursive: true });
  }
}
const base = quantile(
  bare.map((start) => start.milliseconds),
  0.5,
);
console.table([
  summary('node -e 0', bare, base),
  summary('first start', first, base),
  summary('second start', second, base),
]);
