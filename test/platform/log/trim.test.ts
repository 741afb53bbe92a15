import { randomUUID } from 'node:crypto';
import { setImmediate as othersTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLog, type Log } from '../../../src/platform/log/log.ts';
import { type Keep, keptOf, trimBatch } from '../../../src/platform/log/trim.ts';
import { standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';
import { onPostgres } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();
const clock = standingClock();

const openLog = () => createLog({ db: db(), clock, onCommitted: () => {} });

const trim = (topic: string, keep: Keep, limit = 100) =>
  trimBatch(db(), topic, { keep, now: clock.now(), limit });

/** Appends numbered events of one run in one transaction. */
const append = (log: Log, run: string, events: readonly Appended[]) =>
  db().transaction(async (tx) =>
    log.append(
      tx,
      ...events.map(({ n, type, topics }) => ({
        type,
        facts: { run, n },
        topics: topics.map((name) => `${run}:${name}`),
      })),
    ),
  );

/** The events of a run that the database has, whether or not they have a place. */
async function storedIn(run: string): Promise<number[]> {
  const rows = await db().query<{ n: number }>(
    `SELECT (facts->>'n')::int AS n FROM events WHERE facts->>'run' = $1 ORDER BY n`,
    [run],
  );
  return rows.map(({ n }) => n);
}

interface Appended {
  readonly n: number;
  readonly type: string;
  readonly topics: readonly string[];
}

/** A topic as it should be: its rows in order, and what has gone of it. */
interface Modelled {
  kept: Array<{ readonly seq: number; readonly n: number; readonly type: string; readonly at: number }>;
  head: number;
  trimmedTo: number;
  readonly lastOf: Map<string, number>;
}

const names = ['a', 'b', 'c'] as const;
const types = ['X', 'Y', 'Z'] as const;

const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constant('append' as const),
        events: fc.array(
          fc.record({
            type: fc.constantFrom(...types),
            topics: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
          }),
          { minLength: 1, maxLength: 6 },
        ),
      }),
    },
    // Also back: the clocks of nodes differ, so a row may be older than the one before it.
    {
      weight: 1,
      arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.integer({ min: -5, max: 20 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('trim' as const),
        name: fc.constantFrom(...names),
        keep: fc.record({ ms: fc.integer({ min: 0, max: 15 }), rows: fc.integer({ min: 0, max: 6 }) }),
        limit: fc.integer({ min: 1, max: 5 }),
      }),
    },
  ),
  { minLength: 5, maxLength: 25 },
);

describe('trimming', () => {
  it('takes from each topic what a plain model takes, and keeps an event while a topic has it', async () => {
    const log = openLog();
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const run = randomUUID();
        const model = new Map<string, Modelled>(
          names.map((name) => [name, { kept: [], head: 0, trimmedTo: 0, lastOf: new Map() }]),
        );
        const of = (name: string) => model.get(name) as Modelled;
        let made = 0;

        for (const step of all) {
          if (step.does === 'wait') {
            clock.advance(step.ms);
          } else if (step.does === 'append') {
            const events = step.events.map((event) => {
              made += 1;
              return { ...event, n: made };
            });
            await append(log, run, events);
            for (const { n, type, topics } of events)
              for (const name of topics) {
                of(name).head += 1;
                of(name).kept.push({ seq: of(name).head, n, type, at: clock.now() });
              }
          } else {
            const { keep, limit } = step;
            const topic = of(step.name);
            let gone = 0;
            for (let [first] = topic.kept; first && gone < limit; [first] = topic.kept) {
              if (topic.kept.length <= keep.rows || first.at > clock.now() - keep.ms) break;
              topic.kept.shift();
              topic.trimmedTo = first.seq;
              topic.lastOf.set(first.type, first.seq);
              gone += 1;
            }
            expect(await trim(`${run}:${step.name}`, keep, limit)).toBe(gone);
          }
        }

        for (const [name, { kept, head, trimmedTo, lastOf }] of model) {
          const topic = `${run}:${name}`;
          expect((await log.heads([topic])).get(topic)).toMatchObject({ head, trimmedTo });
          const rows = await log.readPage(topic, 0, 1_000);
          expect(rows.map(({ seq, event }) => [seq, event.type, event.facts.n])).toEqual(
            kept.map(({ seq, type, n }) => [seq, type, n]),
          );
          expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => trimmedTo + 1 + index));
          expect(await keptOf(db(), topic)).toEqual({
            rows: kept.length,
            oldest: kept[0] && new Date(kept[0].at),
          });
          for (const wanted of [['X'], ['Y', 'Z'], ['X', 'Y', 'Z'], ['W'], []])
            expect(await log.lastTrimmed(topic, wanted)).toBe(
              Math.max(0, ...wanted.map((type) => lastOf.get(type) ?? 0)),
            );
        }
        const placed = new Set([...model.values()].flatMap(({ kept }) => kept.map(({ n }) => n)));
        expect(await storedIn(run)).toEqual([...placed].sort((a, b) => a - b));
      }),
      { numRuns: 40 },
    );
  });

  it('finds nothing to take from a topic that has no events', async () => {
    const topic = `nothing:${randomUUID()}`;
    expect(await trim(topic, { ms: 0, rows: 0 })).toBe(0);
    expect(await keptOf(db(), topic)).toEqual({ rows: 0, oldest: undefined });
    expect(await openLog().lastTrimmed(topic, ['X'])).toBe(0);
  });

  it('goes on numbering a topic of which nothing is left', async () => {
    const [run, log] = [randomUUID(), openLog()];
    const event = (n: number) => [{ n, type: 'X', topics: ['a'] }];
    await append(log, run, event(1));
    expect(await trim(`${run}:a`, { ms: 0, rows: 0 })).toBe(1);
    await append(log, run, event(2));
    expect((await log.readPage(`${run}:a`, 0, 10)).map(({ seq }) => seq)).toEqual([2]);
  });

  // The embedded database does one transaction after another.
  it.runIf(onPostgres)('lets go of an event whose last two topics are trimmed at once', async () => {
    const run = randomUUID();
    await append(openLog(), run, [{ n: 1, type: 'X', topics: ['a', 'b'] }]);
    const waiting = async () => {
      const [row] = await db().query<{ count: bigint }>(
        `SELECT count(*) AS count FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return Number(row?.count);
    };
    const keepNothing = { ms: 0, rows: 0 };
    let trimmed = 0;
    const count = (gone: number) => {
      trimmed += gone;
    };
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holding = db().transaction(async (tx) => {
      await tx.query('SELECT 1 FROM topics WHERE topic = $1 FOR UPDATE', [`${run}:a`]);
      await released;
    });
    const one = trim(`${run}:a`, keepNothing).then(count);
    await until('the first waits for its topic', async () => (await waiting()) === 1);
    const two = trim(`${run}:b`, keepNothing).then(count);
    await until('the second waits, or is done', async () => trimmed === 1 || (await waiting()) === 2);
    release();
    await Promise.all([holding, one, two]);
    expect(trimmed).toBe(2);
    expect(await storedIn(run)).toEqual([]);
  });

  it('leaves nothing behind, and no reader short, when topics that share events are trimmed and grow at once', async () => {
    const [run, log] = [randomUUID(), openLog()];
    const topics = names.map((name) => `${run}:${name}`);
    const total = 120;
    let writing = true;

    async function write(): Promise<void> {
      for (let n = 1; n <= total; n += 3)
        await append(
          log,
          run,
          [n, n + 1, n + 2].map((each) => ({ n: each, type: 'X', topics: names })),
        );
      writing = false;
    }
    async function trimAll(topic: string): Promise<void> {
      for (;;) {
        const isLast = !writing;
        const gone = await trim(topic, { ms: 0, rows: 5 }, 4);
        if (isLast && gone === 0) return;
        await othersTurn();
      }
    }
    async function read(topic: string): Promise<void> {
      for (let seq = 0; seq < total; ) {
        const rows = await log.readPage(topic, seq, 7);
        const { trimmedTo } = (await log.heads([topic])).get(topic) as { trimmedTo: number };
        const [first] = rows;
        expect(rows.map((row) => row.seq)).toEqual(rows.map((_, index) => (first?.seq ?? 0) + index));
        if (first && first.seq > seq + 1) expect(trimmedTo).toBeGreaterThanOrEqual(first.seq - 1);
        seq = rows[rows.length - 1]?.seq ?? seq;
        await othersTurn();
      }
    }

    await Promise.all([
      write(),
      ...topics.flatMap((topic) => [trimAll(topic), trimAll(topic), read(topic), read(topic)]),
    ]);
    const kept = Array.from({ length: 5 }, (_, index) => total - 4 + index);
    for (const topic of topics) {
      expect((await log.heads([topic])).get(topic)).toMatchObject({ head: total, trimmedTo: total - 5 });
      expect((await log.readPage(topic, 0, 100)).map((row) => row.seq)).toEqual(kept);
      expect(await log.lastTrimmed(topic, ['X'])).toBe(total - 5);
    }
    expect(await storedIn(run)).toEqual(kept);
  });
});
