import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import type { RunResult } from './fault-run.ts';
import { withRun } from './summary.ts';

const run = (seed: number, deliveries: number): RunResult => ({
  seed,
  faults: 2,
  deliveries,
  feeds: 3,
  rows: 4,
  connections: 5,
  endedRights: 1,
  violations: [],
  memoryBytes: 200 * 1_048_576,
  loopDelayMs: 12.3,
  durationMs: 60_300,
  folder: '',
  journal: [
    { kind: 'node killed', target: 'node 1', from: 0, to: 1 },
    { kind: 'node killed', target: 'node 2', from: 0, to: 1 },
  ],
});

it('adds a line for each run before the sum, which it makes anew', () => {
  const text = '# Runs\n\n| seed |\n| --- |\n';
  const twice = withRun(withRun(text, run(1, 1_000), 'abc'), run(2, 500), 'abc');
  expect(twice).toBe(`# Runs

| seed |
| --- |
| 1 | 2 | 1000 | 5 | 1 | 0 | 200 | 12 | 60 | abc | node killed 2 |
| 2 | 2 | 500 | 5 | 1 | 0 | 200 | 12 | 60 | abc | node killed 2 |
| **sum** | 4 | 1500 | 10 | 2 | 0 |  |  | 120 |  |  |
`);
});

it('finds its table in the page', async () => {
  const page = await readFile('docs/faults.md', 'utf8');
  expect(withRun(page, run(1, 1_000), 'abc').trimEnd().split('\n').at(-1)).toMatch(/^\| \*\*sum\*\* \|/);
});
