import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findPostgres } from '../scripts/lib/postgres.ts';
import { findRedis } from '../scripts/lib/redis-server.ts';
import { now } from './lib/clock.ts';
import { lineOf, lineOfStall } from './lib/figures.ts';
import { frameOfSatwire } from './lib/frame.ts';
import { measure } from './lib/measure.ts';
import { hasResult, writeMachine, writeResult } from './lib/results.ts';
import { measureStall } from './lib/stall.ts';
import { writeSummary } from './lib/summary.ts';
import { startSurroundings } from './lib/surroundings.ts';
import { repetitions, scenarios, stalled } from './plan.ts';

/**
 * Measures what has no result on disk, a line for each run. `--fresh` measures again; `--only <pattern>`, a regular
 * expression, measures the runs whose names it finds; `--list` prints these and measures nothing.
 */
const { values } = parseArgs({
  options: {
    fresh: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
  },
});

const print = (line: string) => void process.stdout.write(`${line}\n`);

interface Run {
  readonly name: string;
  /** Measures, keeps the result and says it in a line. */
  measure(): Promise<string>;
}

const numbers = Array.from({ length: repetitions }, (_, index) => index + 1);

const runs: readonly Run[] = [
  ...scenarios.flatMap((scenario) =>
    numbers.flatMap((number) =>
      scenario.servers.map((server) => {
        const name = `${scenario.name}/${server}-${number}`;
        return {
          name,
          async measure() {
            const result = await measure(scenario, server, surroundings, frame);
            writeResult(name, result);
            return lineOf(result);
          },
        };
      }),
    ),
  ),
  ...numbers.flatMap((number) =>
    stalled.variants.map((variant) => {
      const name = `${stalled.name}/${variant}-${number}`;
      return {
        name,
        async measure() {
          const result = await measureStall(variant === 'with' ? stalled.clients : 0, surroundings);
          writeResult(name, result);
          return lineOfStall(result);
        },
      };
    }),
  ),
];

const only = new RegExp(values.only);
const due = runs.filter(({ name }) => only.test(name) && (values.fresh || !hasResult(name)));
if (values.list || due.length === 0) {
  for (const { name } of due) print(name);
  print(`${due.length} of ${runs.length} runs to measure`);
  if (!values.list) print(writeSummary());
  process.exit();
}

const version = (program: string) => execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
const surroundings = await startSurroundings();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => surroundings.stop().finally(() => process.exit(1)));
let failures = 0;
let frame = '';
try {
  writeMachine({
    postgres: version(join(findPostgres(process.env) ?? '', 'postgres')),
    redis: version(findRedis(process.env) ?? 'redis-server').replace(/ sha.*/, ''),
  });
  frame = await frameOfSatwire(surroundings);
  for (const [index, run] of due.entries()) {
    const begin = now();
    const said = await run.measure().catch((error: unknown) => {
      failures += 1;
      return `FAILED: ${error}`;
    });
    const seconds = ((now() - begin) / 1_000).toFixed(0);
    print(`${index + 1}/${due.length}  ${run.name.padEnd(24)} ${said}  (${seconds} s)`);
  }
} finally {
  await surroundings.stop();
}
print(writeSummary());
if (failures > 0) process.exitCode = 1;
