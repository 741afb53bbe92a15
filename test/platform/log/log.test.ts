import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCursor } from '../../../src/platform/log/cursor.ts';
import type { LogRow } from '../../../src/platform/log/event.ts';
import type { NewEvent } from '../../../src/platform/log/insertion.ts';
import { createLog } from '../../../src/platform/log/log.ts';
import { standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';

const db = useDatabase();
const clock = standingClock();
const committed: LogRow[][] = [];

/** A topic that no other test uses. */
const freshTopic = () => `topic:${randomUUID()}`;

function openLog() {
  return createLog({ db: db(), clock, onCommitted: (rows) => committed.push([...rows]) });
}

const event = (topics: readonly string[], facts: NewEvent['facts'] = {}): NewEvent => ({
  type: 'Tested',
  facts,
  topics,
});

/** Appends events in one transaction, and answers their rows as subscribers hear of them. */
async function append(...events: NewEvent[]): Promise<LogRow[]> {
  const log = openLog();
  await db().transaction(async (tx) => log.append(tx, ...events));
  return committed[committed.length - 1] ?? [];
}

const epoch = async () => (await db().query<{ epoch: string }>('SELECT epoch FROM database_info'))[0]?.epoch;

describe('changing a row', () => {
  /** A row to change. */
  async function aRow(): Promise<string> {
    const topic = freshTopic();
    await db().query(`INSERT INTO topics (topic, epoch, head) VALUES ($1, 'an epoch', 7)`, [topic]);
    return topic;
  }
  const raise = 'UPDATE topics SET head = head + $2::bigint WHERE topic = $1';
  const headOf = async (topic: string) => (await openLog().heads([topic])).get(topic)?.head;

  it('goes with the events of the transaction, however many there are', async () => {
    for (const count of [0, 1, 20]) {
      const [log, one, other, told] = [openLog(), await aRow(), await aRow(), freshTopic()];
      await db().transaction(async (tx) => {
        log.change(tx, one, raise, [one, 1]);
        log.append(tx, ...Array.from({ length: count }, () => event([told])));
        log.change(tx, other, raise, [other, 10]);
        expect(await tx.query('SELECT head FROM topics WHERE topic = $1', [one])).toEqual([{ head: 7n }]);
      });
      expect([await headOf(one), await headOf(other)]).toEqual([8, 17]);
      expect(await log.readPage(told, 0, 100)).toHaveLength(count);
    }
  });

  it('is undone with the transaction', async () => {
    const [log, row] = [openLog(), await aRow()];
    await expect(
      db().transaction(async (tx) => {
        log.change(tx, row, raise, [row, 1]);
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await headOf(row)).toBe(7);
  });

  it('is refused a second time, of which Postgres would do one alone', async () => {
    const [log, row] = [openLog(), await aRow()];
    await expect(
      db().transaction(async (tx) => {
        log.change(tx, row, raise, [row, 1]);
        log.change(tx, row, raise, [row, 1]);
      }),
    ).rejects.toThrow(`${row} is changed already.`);
    expect(await headOf(row)).toBe(7);
  });
});

describe('appending', () => {
  it('numbers each topic from 1 without a gap, in the order given, whatever is appended together', async () => {
    const log = openLog();
    const batch = fc.array(
      fc.record({
        topics: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
        n: fc.integer(),
      }),
      { maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 6 }), async (batches) => {
        const run = freshTopic();
        const expected = new Map<string, number[]>(['a', 'b', 'c'].map((name) => [`${run}:${name}`, []]));
        const heard: LogRow[] = [];
        for (const events of batches) {
          const rows = await append(
            ...events.map(({ topics, n }) =>
              event(
                topics.map((name) => `${run}:${name}`),
                { n },
              ),
            ),
          );
          heard.push(...rows);
          for (const { topics, n } of events)
            for (const name of topics) expected.get(`${run}:${name}`)?.push(n);
        }
        const heads = await log.heads([...expected.keys()]);
        for (const [topic, numbers] of expected) {
          const stored = await log.readPage(topic, 0, 100);
          expect(stored.map((row) => row.seq)).toEqual(numbers.map((_, index) => index + 1));
          expect(stored.map((row) => row.event.facts.n)).toEqual(numbers);
          expect(heard.filter((row) => row.topic === topic)).toEqual(stored);
          expect(heads.get(topic)?.head).toBe(numbers.length);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('keeps one event under one id in all of its topics', async () => {
    const [one, two] = [freshTopic(), freshTopic()];
    await append(event([one, two], { text: 'ü "quoted" \\ \u{1f680}', none: null, yes: true, n: -1.5 }));
    const [[first], [second]] = [await openLog().readPage(one, 0, 10), await openLog().readPage(two, 0, 10)];
    expect(first?.event).toEqual(second?.event);
    expect(first).toEqual({
      topic: one,
      epoch: await epoch(),
      seq: 1,
      event: {
        id: expect.stringMatching(/^evt_[A-Za-z0-9_-]{22}$/),
        type: 'Tested',
        version: 1,
        facts: { text: 'ü "quoted" \\ \u{1f680}', none: null, yes: true, n: -1.5 },
        occurredAt: new Date(clock.now()),
      },
    });
  });

  it('keeps the version of a shape', async () => {
    const topic = freshTopic();
    await append({ ...event([topic]), version: 7 });
    expect((await openLog().readPage(topic, 0, 1))[0]?.event.version).toBe(7);
    expect(committed[committed.length - 1]?.[0]?.event.version).toBe(7);
  });

  it('writes what is appended in several steps as the last statement, in that order', async () => {
    const topic = freshTopic();
    const log = openLog();
    await db().transaction(async (tx) => {
      log.append(tx, event([topic], { n: 1 }));
      expect(await tx.query('SELECT 1 FROM topics WHERE topic = $1', [topic])).toEqual([]);
      log.append(tx, event([topic], { n: 2 }), event([topic], { n: 3 }));
    });
    expect((await log.readPage(topic, 0, 10)).map((row) => row.event.facts.n)).toEqual([1, 2, 3]);
  });

  it('leaves nothing of a transaction that fails, not even a number', async () => {
    const topic = freshTopic();
    const log = openLog();
    const before = committed.length;
    const failing = db().transaction(async (tx) => {
      log.append(tx, event([topic]));
      tx.lastly(() => {
        throw new Error('too late');
      });
    });
    await expect(failing).rejects.toThrow('too late');
    expect(committed).toHaveLength(before);
    expect(await db().query('SELECT 1 FROM topics WHERE topic = $1', [topic])).toEqual([]);
    const [row] = await append(event([topic]));
    expect(row?.seq).toBe(1);
  });

  it('numbers without a gap, and says what it has numbered, when many append at once', async () => {
    const topics = [freshTopic(), freshTopic()];
    const log = openLog();
    const before = committed.length;
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        db().transaction(async (tx) => log.append(tx, event(n % 2 ? topics : [...topics].reverse(), { n }))),
      ),
    );
    for (const topic of topics) {
      const heard = committed
        .slice(before)
        .flat()
        .filter((row) => row.topic === topic)
        // Of two commits on two connections, the answer to the second may be the first to come.
        .sort((a, b) => a.seq - b.seq);
      expect(heard.map((row) => row.seq)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
      expect(await log.readPage(topic, 0, 100)).toEqual(heard);
    }
  });
});

describe('reading', () => {
  it('answers any part of a topic, from either end', async () => {
    const topic = freshTopic();
    const all = await append(...Array.from({ length: 12 }, (_, n) => event([topic], { n })));
    const log = openLog();
    const part = fc.record({
      after: fc.integer({ min: 0, max: 14 }),
      before: fc.integer({ min: 0, max: 14 }),
      limit: fc.integer({ min: 0, max: 14 }),
      newestFirst: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(part, async ({ after, before, limit, newestFirst }) => {
        const behind = all.filter((row) => row.seq > after);
        expect(await log.readPage(topic, after, limit)).toEqual(behind.slice(0, limit));
        const between = behind.filter((row) => row.seq < before);
        if (newestFirst) between.reverse();
        expect(await log.readRange(topic, { after, before, limit, newestFirst })).toEqual(
          between.slice(0, limit),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('answers a page of each of many topics in one query, in order', async () => {
    const [one, two, empty] = [freshTopic(), freshTopic(), freshTopic()].sort() as [string, string, string];
    const rows = await append(
      ...Array.from({ length: 6 }, (_, n) => event(n < 4 ? [one, two] : [two], { n })),
    );
    const of = (topic: string) => rows.filter((row) => row.topic === topic);
    const pages = await openLog().readPages(
      new Map([
        [two, 1],
        [one, 3],
        [empty, 0],
      ]),
      3,
    );
    expect(pages).toEqual([...of(one).slice(3), ...of(two).slice(1, 4)]);
  });

  it('knows where each topic stands, also one that has no events, and one that was trimmed', async () => {
    const [full, empty, trimmed] = [freshTopic(), freshTopic(), freshTopic()];
    await append(event([full, trimmed]), event([full, trimmed]));
    await db().query('UPDATE topics SET trimmed_to = 1, epoch = $2 WHERE topic = $1', [
      trimmed,
      'abcdefabcdef',
    ]);
    const log = openLog();
    expect(await log.heads([full, empty, trimmed])).toEqual(
      new Map([
        [full, { epoch: await epoch(), head: 2, trimmedTo: 0 }],
        [empty, { epoch: await epoch(), head: 0, trimmedTo: 0 }],
        [trimmed, { epoch: 'abcdefabcdef', head: 2, trimmedTo: 1 }],
      ]),
    );
    expect(await log.heads([])).toEqual(new Map());
    expect((await log.readPage(trimmed, 1, 10))[0]?.epoch).toBe('abcdefabcdef');
    expect(parseCursor(await log.cursor(trimmed), trimmed)).toEqual({
      topic: trimmed,
      epoch: 'abcdefabcdef',
      seq: 2,
    });
  });
});
