import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import type { Latency } from './messages.ts';

/** What a stretch of events cost and brought; times in ms. */
export interface Stretch {
  readonly events: number;
  readonly deliveries: number;
  /** Deliveries that were due and did not come. */
  readonly missing: number;
  readonly bytes: number;
  readonly wallMs: number;
  readonly userMs: number;
  readonly systemMs: number;
}

/** One server in one scenario, once. */
export interface Measured {
  readonly at: string;
  readonly commit: string;
  readonly subscribers: number;
  /** A frame as it came. */
  readonly sample: string;
  /** All but the first hundred. */
  readonly joining: { readonly subscribers: number; readonly wallMs: number } & {
    readonly userMs: number;
    readonly systemMs: number;
    /** Resident memory that they added; bytes. */
    readonly residentBytes: number;
  };
  /** Rounds back to back. */
  readonly flood: Stretch;
  /** Single events at a steady rate. */
  readonly paced?: Stretch & { readonly latency: Latency };
}

/** The server at one moment: connections, memory, and the event loop's longest delay since the last one. */
export interface Moment {
  readonly atMs: number;
  readonly connections: number;
  readonly residentBytes: number;
  readonly delayMs: number;
}

/** The server while clients stall, or the same without them. */
export interface MeasuredStall {
  readonly at: string;
  readonly commit: string;
  readonly stalledClients: number;
  /** Resident memory with all connected, before the first event; at its highest; bytes. */
  readonly idleBytes: number;
  readonly peakBytes: number;
  readonly flood: Stretch;
  /** Of those that watch something else, meanwhile. */
  readonly neighbours: Latency & { readonly missing: number };
  /** How many connections the server has closed. */
  readonly closed: number;
  readonly moments: readonly Moment[];
}

const folder = join(import.meta.dirname, '..', 'results');
const fileOf = (run: string) => join(folder, `${run}.json`);

function write(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

/** Whether the raw result of a run is on disk. */
export const hasResult = (run: string): boolean => existsSync(fileOf(run));

/** Keeps the raw result of a run. */
export const writeResult = (run: string, result: Measured | MeasuredStall): void =>
  write(fileOf(run), result);

/** The raw results of a server in a scenario, in the order of their repetitions. */
export function readResults<Result extends Measured | MeasuredStall>(
  scenario: string,
  server: string,
): readonly Result[] {
  const of = new RegExp(`^${server}-\\d+\\.json$`);
  const files = existsSync(join(folder, scenario)) ? readdirSync(join(folder, scenario)) : [];
  return files
    .filter((file) => of.test(file))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, scenario, file), 'utf8')) as Result);
}

/** On what it was measured. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly postgres: string;
  readonly redis: string;
  readonly packages: Readonly<Record<string, string>>;
}

/** Keeps what there is to know of this machine and what runs on it. */
export function writeMachine(programs: Pick<Machine, 'postgres' | 'redis'>): void {
  const [cpu] = cpus();
  const manifest = readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8');
  write(fileOf('machine'), {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    ...programs,
    packages: (JSON.parse(manifest) as { dependencies: Record<string, string> }).dependencies,
  } satisfies Machine);
}

/** What `writeMachine` kept. */
export const readMachine = (): Machine => JSON.parse(readFileSync(fileOf('machine'), 'utf8')) as Machine;

/** Keeps where a server's time went; answers the file. */
export function writeProfile(name: string, text: string): string {
  const file = join(folder, 'profiles', `${name}.md`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** Where the table of all results goes. */
export const summaryFile = join(folder, 'README.md');

/** When, and of which commit, something is measured. */
export const stamp = () => ({
  at: new Date().toISOString(),
  commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
});
