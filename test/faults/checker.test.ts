import { describe, expect, it } from 'vitest';
import { encodeCursor } from '../../src/platform/log/cursor.ts';
import { checkFeed, type FeedHistory, type LogEntry } from './checker.ts';
import type { Delivered } from './record.ts';

const topic = 'session:ses_1';
const epoch = '0123456789ab';
const everyMs = 100;

/** A log of debits, with one top-up at 4. */
const log: readonly LogEntry[] = Array.from({ length: 10 }, (_, n) => ({
  seq: n + 1,
  id: `evt_${n + 1}`,
  type: n === 3 ? 'SessionToppedUp' : 'SessionDebited',
  committedAt: (n + 1) * everyMs,
}));

/** The delivery of a row, a little after its commit. */
function told(seq: number, changes: Partial<Delivered> = {}): Delivered {
  const { id, type, committedAt } = log[seq - 1]!;
  const cursor = encodeCursor({ topic, epoch, seq });
  const delivered = {
    kind: 'event',
    feed: 'a feed',
    cursor,
    id,
    type,
    token: 'one',
    at: committedAt + 5,
  } as const;
  return { ...delivered, ...changes };
}

const snapshot = (seq: number, reason: string) => told(seq, { type: 'SessionSnapshot', id: 'evt_s', reason });
const progress = (seq: number) => told(seq, { type: 'JobProgressed', id: 'evt_p' });
const all = log.map(({ seq }) => seq);

function kindsFound(
  deliveries: readonly Delivered[],
  { fromStart = true, debitsOnly = false, ends = undefined as number | undefined } = {},
): string[] {
  const history: FeedHistory = { client: 'a client', feed: 'a feed', topic, fromStart, deliveries };
  const found = checkFeed(history, {
    log,
    passes: (type) => !debitsOnly || type === 'SessionDebited',
    lastAllowed: () => ends,
  });
  return found.map(({ kind }) => kind);
}

const each = (seqs: readonly number[]) => seqs.map((seq) => told(seq));

describe('what is as it must be', () => {
  it('is the whole log from the start', () => {
    expect(kindsFound(each(all))).toEqual([]);
  });

  it('is the rest of the log from wherever a live feed began', () => {
    expect(kindsFound(each(all.slice(6)), { fromStart: false })).toEqual([]);
    expect(kindsFound([snapshot(6, 'SUBSCRIBED'), ...each(all.slice(6))], { fromStart: false })).toEqual([]);
    expect(kindsFound([], { fromStart: false })).toEqual([]);
  });

  it('is what passes the filter of its field', () => {
    expect(kindsFound(each(all.filter((seq) => seq !== 4)), { debitsOnly: true })).toEqual([]);
  });

  it('has what is not kept beside the kept event that it came behind', () => {
    expect(kindsFound([...each([1, 2]), progress(2), progress(2), ...each(all.slice(2))])).toEqual([]);
  });

  it('ends with the right', () => {
    expect(kindsFound(each(all), { ends: 10 * everyMs })).toEqual([]);
  });
});

describe('what must not be', () => {
  it.each([
    { name: 'a gap', deliveries: each([1, 2, 4, 5, 6, 7, 8, 9, 10]), kinds: ['gap'] },
    { name: 'a gap at the start', deliveries: each(all.slice(1)), kinds: ['gap'] },
    { name: 'a repeat', deliveries: each([1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10]), kinds: ['repeat'] },
    { name: 'a repeat of all', deliveries: each([...all, ...all]), kinds: all.map(() => 'repeat') },
    { name: 'a swap', deliveries: each([1, 3, 2, 4, 5, 6, 7, 8, 9, 10]), kinds: ['gap', 'reordered'] },
    {
      name: 'an event of elsewhere in the place of one',
      deliveries: [...each([1, 2]), told(3, { id: 'evt_other' }), ...each(all.slice(3))],
      kinds: ['foreign', 'gap'],
    },
    {
      name: 'an event that is not in the log',
      deliveries: [...each(all), told(10, { cursor: encodeCursor({ topic, epoch, seq: 11 }) })],
      kinds: ['foreign'],
    },
    {
      name: 'a cursor of another feed',
      deliveries: [
        ...each(all),
        told(10, { cursor: encodeCursor({ topic: 'session:ses_2', epoch, seq: 10 }) }),
      ],
      kinds: ['foreign'],
    },
    {
      name: 'an event before its commit',
      deliveries: [told(1, { at: everyMs - 5 }), ...each(all.slice(1))],
      kinds: ['not committed'],
    },
    { name: 'an end before that of the log', deliveries: each(all.slice(0, 8)), kinds: ['incomplete'] },
    { name: 'nothing at all', deliveries: [], kinds: ['incomplete'] },
    {
      name: 'a snapshot where there was an event',
      deliveries: [...each([1, 2]), snapshot(5, 'GAP'), ...each(all.slice(5))],
      kinds: ['gap'],
    },
    {
      name: 'what is not kept behind what came after it',
      deliveries: [...each([1, 2, 3]), progress(2), ...each(all.slice(3))],
      kinds: ['reordered'],
    },
  ])('is found: $name', ({ deliveries, kinds }) => {
    expect(kindsFound(deliveries)).toEqual(kinds);
  });

  it('is found: an event that the field does not let pass', () => {
    expect(kindsFound(each(all), { debitsOnly: true })).toEqual(['foreign']);
  });

  it('is found: a gap that the filter does not explain', () => {
    const without = all.filter((seq) => seq !== 4 && seq !== 5);
    expect(kindsFound(each(without), { debitsOnly: true })).toEqual(['gap']);
  });

  it('is found: events that were committed behind the end of a right', () => {
    expect(kindsFound(each(all), { ends: 8 * everyMs })).toEqual(['right ended', 'right ended']);
  });

  it('is shown with what was told and what is in the log around it', () => {
    const history: FeedHistory = {
      client: 'client-1',
      feed: 'socket-0 sessionUpdated ses_1 START',
      topic,
      fromStart: true,
      deliveries: each([1, 2, 4, 5, 6, 7, 8, 9, 10]),
    };
    const [gap] = checkFeed(history, { log, passes: () => true, lastAllowed: () => undefined });
    expect(gap?.where).toBe('client-1: socket-0 sessionUpdated ses_1 START');
    expect(gap?.at).toBe(4 * everyMs + 5);
    expect(gap?.detail).toContain('4 instead of 3.');
    expect(gap?.detail).toMatch(/> 00:00:00\.405 0123456789ab\.4\.session:ses_1 evt_4/);
    expect(gap?.detail).toMatch(/00:00:00\.300 3 evt_3 SessionDebited/);
  });
});
