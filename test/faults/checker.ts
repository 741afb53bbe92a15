import { parseCursor } from '../../src/platform/log/cursor.ts';
import type { Delivered } from './record.ts';

/** A row of the log, as Postgres has it in the end; `committedAt` in ms. */
export interface LogEntry {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly committedAt: number;
}

/** All that one client was told in one feed, over all its connections. */
export interface FeedHistory {
  readonly client: string;
  readonly feed: string;
  readonly topic: string;
  /** Begun before the first event; else it begins with what is told first. */
  readonly fromStart: boolean;
  readonly deliveries: readonly Delivered[];
}

/** What must not be. */
export type ViolationKind =
  | 'gap'
  | 'repeat'
  | 'reordered'
  | 'foreign'
  | 'not committed'
  | 'right ended'
  | 'incomplete'
  | 'still connected'
  | 'refused'
  | 'money'
  | 'write lost or doubled'
  | 'memory'
  | 'event loop'
  | 'unexpected error'
  | 'unfinished';

/** A promise that was not kept: where, when (ms), and what was seen around it. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly where: string;
  readonly at: number;
  readonly detail: string;
}

interface Expected {
  /** The whole topic, by sequence from 1. */
  readonly log: readonly LogEntry[];
  /** Which types the field lets pass. */
  readonly passes: (type: string) => boolean;
  /** The commit (ms) behind which nothing may be told to this token; undefined while its right lasts. */
  readonly lastAllowed: (token: string) => number | undefined;
}

const isSnapshot = (type: string) => type.endsWith('Snapshot');
/** What is not kept is told between what is. */
const isEphemeral = (type: string) => type === 'JobProgressed';
/** Both are read off the same machine's clock, one of them in whole milliseconds. */
const roundingMs = 1;
const shownAround = 5;

/**
 * Compares what a feed told with the log: each event in its place, none left out, repeated or out of order, none
 * before its commit or behind the end of a right, and in the end all of them.
 */
export function checkFeed(history: FeedHistory, { log, passes, lastAllowed }: Expected): Violation[] {
  const { client, feed, topic, fromStart, deliveries } = history;
  const violations: Violation[] = [];
  const seen = new Set<number>();
  let position = fromStart ? 0 : undefined;

  function nextBehind(seq: number): number | undefined {
    for (let next = seq; next < log.length; next += 1) if (passes(log[next]!.type)) return next + 1;
    return undefined;
  }

  function report(kind: ViolationKind, index: number, what: string): void {
    const at = (deliveries[index] ?? deliveries.at(-1))?.at ?? 0;
    const told = around(deliveries, index).map(showDelivery(index, deliveries));
    const from = Math.max(0, (position ?? 0) - shownAround);
    const rows = log.slice(from, from + 2 * shownAround + 1).map(showEntry);
    const detail = [what, '  told:', ...told, `  the log of ${topic}:`, ...rows].join('\n');
    violations.push({ kind, where: `${client}: ${feed}`, at, detail });
  }

  function checkKept({ id, type, token, at }: Delivered, seq: number, index: number): void {
    const row = log[seq - 1];
    if (row?.id !== id || row.type !== type || !passes(type)) {
      report('foreign', index, `${id} is not at ${seq}, or not of this feed.`);
      return;
    }
    if (at + roundingMs < row.committedAt)
      report('not committed', index, `${seq} was told before its commit.`);
    const allowed = lastAllowed(token);
    if (allowed !== undefined && row.committedAt > allowed)
      report(
        'right ended',
        index,
        `${seq} was committed ${Math.round(row.committedAt - allowed)} ms too late.`,
      );
    const expected = position === undefined ? seq : nextBehind(position);
    if (seen.has(seq)) report('repeat', index, `${seq} had been told.`);
    else if (position !== undefined && seq <= position)
      report('reordered', index, `${seq} behind ${position}.`);
    else if (seq !== expected) report('gap', index, `${seq} instead of ${expected}.`);
    seen.add(seq);
    position = Math.max(position ?? 0, seq);
  }

  for (const [index, delivery] of deliveries.entries()) {
    const { cursor, type } = delivery;
    const seq = sequenceOf(cursor, topic);
    if (seq === undefined) report('foreign', index, `The cursor ${cursor} is not of this feed.`);
    else if (isSnapshot(type)) {
      if (index > 0 || fromStart || delivery.reason !== 'SUBSCRIBED')
        report('gap', index, `A snapshot (${delivery.reason}) where there must be none.`);
      position = seq;
    } else if (isEphemeral(type)) {
      if (seq !== (position ?? seq))
        report('reordered', index, `What is not kept, at ${seq}, behind ${position}.`);
    } else checkKept(delivery, seq, index);
  }
  const missing = position === undefined ? undefined : nextBehind(position);
  if (missing !== undefined)
    report('incomplete', deliveries.length, `It ended behind ${position}; the log goes on to ${log.length}.`);
  return violations;
}

function sequenceOf(cursor: string, topic: string): number | undefined {
  try {
    return parseCursor(cursor, topic).seq;
  } catch {
    return undefined;
  }
}

const around = <Item>(items: readonly Item[], index: number) =>
  items.slice(Math.max(0, index - shownAround), index + shownAround + 1);

const timeOf = (ms: number) => new Date(ms).toISOString().slice(11, 23);

const showDelivery =
  (index: number, deliveries: readonly Delivered[]) =>
  (each: Delivered): string => {
    const text = Buffer.from(each.cursor, 'base64url').toString();
    const mark = deliveries[index] === each ? '>' : ' ';
    return `  ${mark} ${timeOf(each.at)} ${text} ${each.id} ${each.type} token ${each.token}`;
  };

const showEntry = ({ seq, id, type, committedAt }: LogEntry): string =>
  `    ${timeOf(committedAt)} ${seq} ${id} ${type}`;
