import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { migrations } from '../../../src/migrations.ts';
import type { Clock } from '../../../src/platform/clock.ts';
import { migrate } from '../../../src/platform/database/migrate.ts';
import { openPostgres } from '../../../src/platform/database/postgres.ts';
import { createLog } from '../../../src/platform/log/log.ts';
import { createRetention, trimWork } from '../../../src/platform/log/retention.ts';
import { createWorkQueue, type LeasedWork } from '../../../src/platform/work/queue.ts';
import { createWorkRunner } from '../../../src/platform/work/runner.ts';
import { type MovableClock, standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';
import { createTestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();
let clock: MovableClock;
/** The entities that have closed, by their ids. */
let closed: Set<string>;

beforeEach(async () => {
  await db().query('DELETE FROM work');
  clock = standingClock();
  closed = new Set();
});

const hour = 3_600_000;
const day = 24 * hour;

const openLog = () => createLog({ db: db(), clock, onCommitted: () => {} });

const retention = (of: Clock = clock) =>
  createRetention({
    db: db(),
    clock: of,
    entities: { entity: async (_, id) => !closed.has(id) },
  });

/** Appends events in one transaction, each to all of the topics. */
const append = (count: number, ...topics: string[]) =>
  db().transaction(async (tx) =>
    openLog().append(tx, ...Array.from({ length: count }, () => ({ type: 'Tested', facts: {}, topics }))),
  );

/** Makes new topics that share so many events: as appending does, but in one go. */
async function fill(count: number, ...topics: string[]): Promise<void> {
  const id = `'${randomUUID()}' || n`;
  const numbers = `generate_series(1, ${count}) AS n`;
  const now = new Date(clock.now());
  await db().query(`INSERT INTO events SELECT ${id}, 'Tested', 1, '{}', $1 FROM ${numbers}`, [now]);
  for (const topic of topics) {
    await db().query(`INSERT INTO topic_events SELECT $1, n, ${id} FROM ${numbers}`, [topic]);
    await db().query('INSERT INTO topics SELECT $1, epoch, $2 FROM database_info', [topic, count]);
  }
}

/** Does the work of a topic; answers in how many ms it is to be done again. */
async function trim(topic: string, signal = new AbortController().signal): Promise<number | undefined> {
  const again = await retention().run({ key: topic } as LeasedWork, signal);
  return again && again.getTime() - clock.now();
}

/** The first and the last sequence that are kept; they must be what the head says. */
async function keptOf(topic: string): Promise<[first: number, last: number]> {
  const log = openLog();
  const { head, trimmedTo } = (await log.heads([topic])).get(topic) as { head: number; trimmedTo: number };
  const stored = await db().query<{ first: bigint; count: bigint }>(
    'SELECT min(seq) AS first, count(*) AS count FROM topic_events WHERE topic = $1 HAVING count(*) > 0',
    [topic],
  );
  expect(stored.map(({ first, count }) => [Number(first), Number(count)])).toEqual(
    head > trimmedTo ? [[trimmedTo + 1, head - trimmedTo]] : [],
  );
  return [trimmedTo + 1, head];
}

const fresh = (kind: string) => `${kind}:${randomUUID()}`;
const close = (topic: string) => closed.add(topic.slice(topic.indexOf(':') + 1));

describe('retention', () => {
  it('keeps 30 days of a closed entity, and its newest 1,000 rows, whichever is more', async () => {
    const topic = fresh('entity');
    close(topic);
    await append(1_200, topic);
    clock.advance(20 * day);
    await append(1_300, topic);
    clock.advance(10 * day - 1);
    expect(await trim(topic)).toBe(hour);
    expect(await keptOf(topic)).toEqual([1, 2_500]);
    clock.advance(1);
    expect(await trim(topic)).toBe(20 * day);
    expect(await keptOf(topic)).toEqual([1_201, 2_500]);
    clock.advance(20 * day);
    expect(await trim(topic)).toBeUndefined();
    expect(await keptOf(topic)).toEqual([1_501, 2_500]);
    clock.advance(1_000 * day);
    expect(await trim(topic)).toBeUndefined();
    expect(await keptOf(topic)).toEqual([1_501, 2_500]);
  });

  it('keeps 100,000 rows of what is open however young, and of a collection 30 days beside', async () => {
    const [entity, user] = [fresh('entity'), fresh('user')];
    await fill(100_000, entity, user);
    await append(800, entity, user);
    const head = 100_800;
    expect(await trim(entity)).toBe(day);
    expect(await keptOf(entity)).toEqual([801, head]);
    expect(await trim(user)).toBe(30 * day);
    expect(await keptOf(user)).toEqual([1, head]);
    clock.advance(30 * day);
    expect(await trim(entity)).toBe(day);
    expect(await keptOf(entity)).toEqual([801, head]);
    // It may grow beyond that number before an append schedules the work again.
    expect(await trim(user)).toBe(day);
    expect(await keptOf(user)).toEqual([801, head]);
    close(entity);
    expect(await trim(entity)).toBeUndefined();
    expect(await keptOf(entity)).toEqual([head - 999, head]);
  });

  it('looks at an open entity each day, as it may have closed', async () => {
    const topic = fresh('entity');
    await append(1_500, topic);
    clock.advance(40 * day);
    expect(await trim(topic)).toBe(day);
    expect(await keptOf(topic)).toEqual([1, 1_500]);
    close(topic);
    expect(await trim(topic)).toBeUndefined();
    expect(await keptOf(topic)).toEqual([501, 1_500]);
  });

  it('keeps 7 days of the chain, however few rows are left', async () => {
    await append(3, 'chain');
    clock.advance(3 * day);
    await append(2, 'chain');
    expect(await trim('chain')).toBe(4 * day);
    clock.advance(4 * day);
    expect(await trim('chain')).toBe(3 * day);
    expect(await keptOf('chain')).toEqual([4, 5]);
    clock.advance(3 * day);
    expect(await trim('chain')).toBe(day);
    expect(await keptOf('chain')).toEqual([6, 5]);
  });

  it.each(['agent-jobs', 'revocations'])('keeps all of %s while it is small', async (topic) => {
    await append(5, topic);
    clock.advance(1_000 * day);
    expect(await trim(topic)).toBeUndefined();
    expect(await keptOf(topic)).toEqual([1, 5]);
  });

  it('stops between two batches when it is told to, and is due again at once', async () => {
    const topic = fresh('entity');
    close(topic);
    await append(2_100, topic);
    clock.advance(30 * day);
    const stopping = new AbortController();
    let looked = 0;
    const stoppingAtSecond: Clock = {
      now() {
        looked += 1;
        if (looked === 2) stopping.abort();
        return clock.now();
      },
    };
    const work = { key: topic } as LeasedWork;
    expect(await retention(stoppingAtSecond).run(work, stopping.signal)).toEqual(new Date(clock.now()));
    expect(await keptOf(topic)).toEqual([1_001, 2_100]);
    expect(await trim(topic, stopping.signal)).toBe(0);
    expect(await keptOf(topic)).toEqual([1_001, 2_100]);
  });
});

describe('the work of trimming', () => {
  const scheduled = () =>
    db().query<{ key: string; dueAt: Date }>(
      `SELECT key, due_at AS "dueAt" FROM work WHERE kind = $1 ORDER BY key`,
      [trimWork],
    );
  const due = (key: string) => ({ key, dueAt: new Date(clock.now()) });

  it('is scheduled by the append that brings a topic to a thousand rows, and by no other', async () => {
    const [one, two] = [fresh('entity'), fresh('user')];
    await append(500, one, two);
    await append(499, one);
    expect(await scheduled()).toEqual([]);
    await append(1, one);
    expect(await scheduled()).toEqual([due(one)]);
    await db().query('DELETE FROM work');
    await append(600, one, two);
    expect(await scheduled()).toEqual([due(two)]);
    await db().query('DELETE FROM work');
    await append(2_000, one);
    expect(await scheduled()).toEqual([due(one)]);
  });

  it('is brought forward by such an append, and taken from who has it', async () => {
    const topic = fresh('entity');
    const queue = createWorkQueue({ db: db(), clock });
    await append(1_000, topic);
    const [work] = await queue.lease(trimWork, 1, 'test:', hour);
    await queue.postpone(work as LeasedWork, new Date(clock.now() + 30 * day));
    clock.advance(day);
    await append(1_000, topic);
    expect(await scheduled()).toEqual([due(topic)]);
    const [taken] = await queue.lease(trimWork, 1, 'test:', hour);
    await append(1_000, topic);
    // What it has done does not count any more: there is more to do.
    await queue.finish(taken as LeasedWork);
    expect(await scheduled()).toEqual([due(topic)]);
  });

  it('is scheduled by the migration for topics that are long already', async () => {
    const { url, drop } = await createTestDatabase('template1');
    const older = openPostgres({ url, poolSize: 2, onError: () => {} });
    onTestFinished(async () => {
      await older.close();
      await drop();
    });
    const own = migrations.findIndex(({ pathname }) => pathname.endsWith('0009-retention.sql'));
    await migrate(older, migrations.slice(0, own));
    await older.query(
      `INSERT INTO topics (topic, epoch, head) SELECT 'of ' || head, '', head FROM unnest('{999,1000}'::int[]) AS head`,
    );
    await migrate(older, migrations);
    expect(await older.query('SELECT kind, key FROM work')).toEqual([{ kind: trimWork, key: 'of 1000' }]);
  });

  it('is not scheduled by an append that fails', async () => {
    const topic = fresh('entity');
    const failing = db().transaction(async (tx) => {
      openLog().append(
        tx,
        ...Array.from({ length: 1_000 }, () => ({ type: 'T', facts: {}, topics: [topic] })),
      );
      tx.lastly(() => {
        throw new Error('too late');
      });
    });
    await expect(failing).rejects.toThrow('too late');
    expect(await scheduled()).toEqual([]);
  });

  it('is done by the runner, until nothing may go any more', async () => {
    const topic = fresh('entity');
    close(topic);
    const queue = createWorkQueue({ db: db(), clock });
    const errors: unknown[] = [];
    const runner = createWorkRunner({
      queue,
      clock,
      handlers: { [trimWork]: retention() },
      onError: (error) => errors.push(error),
    });
    onTestFinished(() => runner.stop());
    await append(2_300, topic);
    const [first] = await scheduled();
    runner.start();
    const again = await until('it is looked at', async () => {
      const [work] = await scheduled();
      return work && work.dueAt.getTime() > (first?.dueAt.getTime() ?? 0) ? work : undefined;
    });
    expect(again.dueAt).toEqual(new Date(clock.now() + 30 * day));
    expect(await keptOf(topic)).toEqual([1, 2_300]);
    clock.advance(30 * day);
    await until('it is done', async () => (await scheduled()).length === 0);
    expect(await keptOf(topic)).toEqual([1_301, 2_300]);
    expect(errors).toEqual([]);
  });
});
