import type { Violation } from './checker.ts';
import type { RunResult } from './fault-run.ts';
import type { JournalEntry } from './nemesis.ts';

/** How far around a violation the faults are shown; ms. */
const aroundMs = 10_000;
const mostShown = 10;

/** What a run has shown, as text; of violations what lies around them, and how to see them again. */
export function report(result: RunResult): string {
  const { seed, faults, deliveries, feeds, rows, connections, endedRights, violations, journal } = result;
  const lines = [
    `${faults} faults, ${deliveries} deliveries in ${feeds} feeds of ${rows} rows of the log, ` +
      `${connections} connections, ${endedRights} rights ended, ${Math.round(result.durationMs / 1_000)} s`,
    `Largest node ${Math.round(result.memoryBytes / 1_048_576)} MiB, latest event loop ${Math.round(result.loopDelayMs)} ms`,
    `${violations.length} violations`,
  ];
  if (violations.length === 0) return lines.join('\n');
  const shown = violations.slice(0, mostShown).map((violation) => showViolation(violation, journal));
  const more = violations.length > mostShown ? [`… and ${violations.length - mostShown} more.`] : [];
  const whole = ['The journal:', ...journal.map(showEntry)];
  return [
    ...lines,
    '',
    ...shown,
    ...more,
    ...whole,
    `FAULT_SEED=${seed} plans the same run again; the histories are in ${result.folder}.`,
  ].join('\n');
}

/** How many faults there were of each kind. */
export function countKinds(journal: readonly JournalEntry[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { kind } of journal) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

function showViolation({ kind, where, at, detail }: Violation, journal: readonly JournalEntry[]): string {
  const near = journal.filter(({ from, to }) => from < at + aroundMs && to > at - aroundMs);
  return [
    `${kind.toUpperCase()} at ${where}: ${detail}`,
    '  the faults around it:',
    ...near.map(showEntry),
    '',
  ].join('\n');
}

const timeOf = (ms: number) => (Number.isFinite(ms) ? new Date(ms).toISOString().slice(11, 23) : 'not ended');

const showEntry = ({ kind, target, from, to }: JournalEntry): string =>
  `    ${timeOf(from)} to ${timeOf(to)} ${kind}: ${target}`;
