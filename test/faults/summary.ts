import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunResult } from './fault-run.ts';
import { countKinds } from './report.ts';

const path = join('docs', 'faults.md');

/** Adds a finished run without violations to the table at the end of `docs/faults.md`, and sums it up anew. */
export async function appendRun(result: RunResult, commit: string): Promise<void> {
  await writeFile(path, withRun(await readFile(path, 'utf8'), result, commit));
}

/** The text with one more row before the sum, which is the last line. */
export function withRun(text: string, result: RunResult, commit: string): string {
  const lines = text.trimEnd().split('\n');
  const table = lines.findIndex((line) => line.startsWith('| ---'));
  const rows = [
    ...lines.slice(table + 1).filter((line) => !line.startsWith('| **sum**')),
    rowOf(result, commit),
  ];
  return `${[...lines.slice(0, table + 1), ...rows, sumOf(rows)].join('\n')}\n`;
}

const cellsOf = (row: string) =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const toRow = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;

function rowOf(result: RunResult, commit: string): string {
  const { seed, faults, deliveries, connections, endedRights, violations, journal } = result;
  const kinds = [...countKinds(journal)].sort(([one], [other]) => one.localeCompare(other));
  return toRow([
    seed,
    faults,
    deliveries,
    connections,
    endedRights,
    violations.length,
    Math.round(result.memoryBytes / 1_048_576),
    Math.round(result.loopDelayMs),
    Math.round(result.durationMs / 1_000),
    commit,
    kinds.map(([kind, count]) => `${kind} ${count}`).join(', '),
  ]);
}

/** The columns that are summed: faults, deliveries, connections, ended rights, violations; and the duration. */
const summed = [1, 2, 3, 4, 5, 8];

function sumOf(rows: readonly string[]): string {
  const all = rows.map(cellsOf);
  const columns = all[0]?.length ?? 0;
  const sums = Array.from({ length: columns }, (_, n) =>
    summed.includes(n) ? all.reduce((sum, cells) => sum + Number(cells[n]), 0) : '',
  );
  return toRow(['**sum**', ...sums.slice(1)]);
}
