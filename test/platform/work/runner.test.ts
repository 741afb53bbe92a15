import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { backoffMs } from '../../../src/platform/backoff.ts';
import { createWorkQueue, type LeasedWork, type WorkQueue } from '../../../src/platform/work/queue.ts';
import {
  createWorkRunner,
  nodeHolderPrefix,
  type WorkHandler,
  type WorkRunner,
} from '../../../src/platform/work/runner.ts';
import { type MovableClock, movableClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();
let clock: MovableClock;
let queue: WorkQueue;
let runners: WorkRunner[];
let failures: Array<{ error: unknown; work: LeasedWork | undefined }>;

beforeEach(async () => {
  await db().query('DELETE FROM work');
  clock = movableClock();
  queue = createWorkQueue({ db: db(), clock });
  runners = [];
  failures = [];
});

afterEach(async () => {
  vi.useRealTimers();
  for (const runner of runners) await runner.stop();
});

function createRunner(handlers: Record<string, WorkHandler>): WorkRunner {
  const runner = createWorkRunner({
    queue,
    clock,
    handlers,
    onError: (error, work) => failures.push({ error, work }),
  });
  runners.push(runner);
  return runner;
}

const start = (handlers: Record<string, WorkHandler>) => createRunner(handlers).start();

const schedule = (key: string, inMs = 0, kind = 'kind') =>
  db().transaction((tx) => queue.schedule(tx, kind, key, new Date(clock.now() + inMs)));

const rows = () =>
  db().query<{ key: string; attempts: number; holder: string | null; dueAt: Date; leasedUntil: Date | null }>(
    `SELECT key, attempts, holder, due_at AS "dueAt", leased_until AS "leasedUntil" FROM work ORDER BY key`,
  );

/** Does each piece of work by noting it. */
const noting = (note: (work: LeasedWork) => void, concurrency = 1): WorkHandler => ({
  concurrency,
  async run(work) {
    note(work);
    return undefined;
  },
});

/** A promise that a test keeps when it likes. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

/** Makes every statement of the queue fail until the table is back. */
const takeTableAway = () => db().query('ALTER TABLE work RENAME TO work_away');
const bringTableBack = () => db().query('ALTER TABLE work_away RENAME TO work');

describe('a runner', () => {
  it('does what is due, and what is scheduled later, and strikes it', async () => {
    const done: string[] = [];
    await schedule('before');
    start({
      kind: {
        concurrency: 1,
        async run({ key, attempts }) {
          done.push(`${key} ${attempts}`);
          return undefined;
        },
      },
    });
    await schedule('after');
    await until('both', () => done.length === 2);
    await until('an empty queue', async () => (await rows()).length === 0);
    expect(done).toEqual(['before 1', 'after 1']);
    expect(failures).toEqual([]);
  });

  it('begins nothing before it is started', async () => {
    createRunner({ kind: { concurrency: 1, run: () => Promise.reject(new Error('begun')) } });
    await schedule('x');
    expect(await queue.lease('kind', 1, 'test:', 1_000)).toHaveLength(1);
    expect(failures).toEqual([]);
  });

  it('leaves work of other kinds alone', async () => {
    await schedule('foreign', 0, 'other');
    const done: string[] = [];
    start({ kind: noting(({ key }) => done.push(key)) });
    await schedule('x');
    await until('the work', () => done.length === 1);
    expect((await rows()).filter(({ key }) => key === 'foreign')).toMatchObject([{ attempts: 0 }]);
  });

  it('does work again when it asks for that, and not before', async () => {
    const begun: number[] = [];
    let again = 0;
    start({
      kind: {
        concurrency: 1,
        async run() {
          begun.push(clock.now());
          again = clock.now() + 60_000;
          return begun.length === 1 ? new Date(again) : undefined;
        },
      },
    });
    await schedule('x');
    await until('the first time', async () => (await rows())[0]?.holder === null && begun.length === 1);
    expect((await rows())[0]?.dueAt).toEqual(new Date(again));
    await schedule('something else', 0, 'other');
    expect(begun).toHaveLength(1);
    clock.advance(60_000);
    await until('the second time', () => begun.length === 2);
    expect(begun[1]).toBeGreaterThanOrEqual(begun[0]! + 60_000);
  });

  it('wakes when work is due, and not when it happens to look again', async () => {
    const lateMs: number[] = [];
    start({ kind: noting(({ key }) => lateMs.push(clock.now() - Number(key))) });
    // The best of a few, as a busy machine is late by itself.
    for (let n = 1; n <= 3; n += 1) {
      await schedule(String(clock.now() + 100), 100);
      await until('the work', () => lateMs.length === n);
    }
    expect(Math.min(...lateMs)).toBeLessThan(500);
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0);
  });

  it('repeats what fails after a pause, and says so', async () => {
    const attempts: number[] = [];
    const begun: number[] = [];
    start({
      kind: {
        concurrency: 1,
        async run(work) {
          attempts.push(work.attempts);
          begun.push(clock.now());
          if (work.attempts < 3) throw new Error(`failure ${work.attempts}`);
          return undefined;
        },
      },
    });
    await schedule('x');
    await until('the third attempt', () => attempts.length === 3);
    expect(attempts).toEqual([1, 2, 3]);
    expect(failures.map(({ error, work }) => [String(error), work?.key])).toEqual([
      ['Error: failure 1', 'x'],
      ['Error: failure 2', 'x'],
    ]);
    expect(begun[1]! - begun[0]!).toBeGreaterThanOrEqual(187);
    expect(begun[2]! - begun[1]!).toBeGreaterThanOrEqual(375);
  });

  it('does no more at once than it may', async () => {
    const limit = 3;
    let running = 0;
    let most = 0;
    let done = 0;
    const gates = Array.from({ length: 10 }, gate);
    for (let n = 0; n < gates.length; n += 1) await schedule(String(n));
    start({
      kind: {
        concurrency: limit,
        async run({ key }) {
          running += 1;
          most = Math.max(most, running);
          await gates[Number(key)]!.opened;
          running -= 1;
          done += 1;
          return undefined;
        },
      },
    });
    await until('the limit', () => running === limit);
    for (const { open } of gates) open();
    await until('the rest', () => done === gates.length);
    expect(most).toBe(limit);
  });

  it('is not held up by other kinds that are busy', async () => {
    const busy = gate();
    const done: string[] = [];
    start({
      slow: { concurrency: 1, run: () => busy.opened as Promise<undefined> },
      quick: noting(({ key }) => done.push(key)),
    });
    await schedule('a', 0, 'slow');
    await schedule('b', 0, 'slow');
    await schedule('c', 0, 'quick');
    await until('the quick one', () => done.length === 1);
    busy.open();
  });

  it('does work once more that is scheduled anew while it is being done', async () => {
    const [first, second] = [gate(), gate()];
    const begun: number[] = [];
    start({
      kind: {
        concurrency: 2,
        async run({ attempts }) {
          begun.push(attempts);
          await (begun.length === 1 ? first : second).opened;
          return undefined;
        },
      },
    });
    await schedule('x');
    await until('the first', () => begun.length === 1);
    await schedule('x');
    await until('the second', () => begun.length === 2);
    first.open();
    // The first one's end does not strike what the second one has to do.
    await schedule('y', 60_000);
    expect((await rows()).map(({ key }) => key)).toEqual(['x', 'y']);
    second.open();
    await until('the end', async () => (await rows()).length === 1);
    expect(begun).toEqual([1, 1]);
  });

  it('keeps its lease for as long as the work takes', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const working = gate();
    let begun = false;
    start({
      kind: {
        concurrency: 1,
        async run() {
          begun = true;
          await working.opened;
          return undefined;
        },
      },
    });
    await schedule('x');
    await until('the beginning', () => begun);
    for (let n = 0; n < 5; n += 1) {
      clock.advance(3_000);
      const now = clock.now();
      vi.advanceTimersByTime(3_400);
      await until(
        'the renewal',
        async () => ((await rows())[0]?.leasedUntil?.getTime() ?? 0) >= now + 10_000,
      );
    }
    expect(await rows()).toMatchObject([{ attempts: 1, holder: expect.stringMatching(/^node:/) }]);
    await takeTableAway();
    vi.advanceTimersByTime(3_400);
    await until('the failure', () => failures.some(({ work }) => work?.key === 'x'));
    await bringTableBack();
    working.open();
    await until('the end', async () => (await rows()).length === 0);
  });

  it('tells work to stop whose lease was taken away, and no other', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const signals = new Map<string, AbortSignal>();
    const working = gate();
    start({
      kind: {
        concurrency: 2,
        async run({ key }, signal) {
          signals.set(key, signal);
          await working.opened;
          return undefined;
        },
      },
    });
    await schedule('lost');
    await schedule('kept');
    await until('the beginning', () => signals.size === 2);
    await db().query(`UPDATE work SET holder = 'another' WHERE key = 'lost'`);
    vi.advanceTimersByTime(3_400);
    await until('the end', () => signals.get('lost')?.aborted);
    const now = clock.now();
    clock.advance(1_000);
    vi.advanceTimersByTime(3_400);
    await until('the renewal of the other', async () =>
      (await rows()).some(({ key, leasedUntil }) => key === 'kept' && leasedUntil!.getTime() >= now + 11_000),
    );
    expect(signals.get('kept')?.aborted).toBe(false);
    working.open();
    // Whoever has it now still has it.
    await until('the end of the other', async () => (await rows()).length === 1);
    expect(await rows()).toMatchObject([{ key: 'lost', holder: 'another' }]);
    expect(failures).toEqual([]);
  });

  it('keeps going when a lease cannot be renewed for once', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const working = gate();
    let signal: AbortSignal | undefined;
    start({
      kind: {
        concurrency: 1,
        async run(_work, given) {
          signal = given;
          await working.opened;
          return undefined;
        },
      },
    });
    await schedule('x');
    await until('the beginning', () => signal);
    await takeTableAway();
    vi.advanceTimersByTime(3_400);
    await until('the failure', () => failures.some(({ work }) => work?.key === 'x'));
    await bringTableBack();
    expect(signal?.aborted).toBe(false);
    working.open();
    await until('the end', async () => (await rows()).length === 0);
  });

  it('does each piece of work once, however many nodes wait for it', async () => {
    const keys = Array.from({ length: 200 }, (_, n) => `timer ${n}`);
    const done: string[] = [];
    const slowly: WorkHandler = {
      concurrency: 4,
      async run({ key }) {
        done.push(key);
        await db().query('SELECT 1');
        return undefined;
      },
    };
    for (let node = 0; node < 4; node += 1) start({ kind: slowly });
    await db().transaction(async (tx) => {
      for (const key of keys) await queue.schedule(tx, 'kind', key, new Date(clock.now()));
    });
    await until('all to be done', async () => (await rows()).length === 0);
    expect(done.sort()).toEqual(keys.sort());
  });

  it('takes up what a dead process had begun, once its lease has ended', async () => {
    await schedule('x');
    await queue.lease('kind', 1, nodeHolderPrefix, 30_000);
    const done: number[] = [];
    start({ kind: noting(({ attempts }) => done.push(attempts)) });
    await schedule('y', 0, 'other');
    expect(done).toEqual([]);
    clock.advance(30_000);
    await until('the work', () => done.length === 1);
    expect(done).toEqual([2]);
  });

  it('shares the work with another: each piece is done by one', async () => {
    const done: string[] = [];
    const handlers = (name: string) => ({
      kind: noting(({ key }) => done.push(`${key} ${name}`), 2),
    });
    start(handlers('one'));
    start(handlers('other'));
    await Promise.all(Array.from({ length: 30 }, (_, n) => schedule(String(n))));
    await until('an empty queue', async () => (await rows()).length === 0);
    expect(done.map((text) => Number(text.split(' ')[0])).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, n) => n),
    );
  });

  it('goes on after the database was away', async () => {
    const done: string[] = [];
    await takeTableAway();
    start({ kind: noting(({ key }) => done.push(key)) });
    await until('the failure', () => failures.length > 0);
    await bringTableBack();
    await db().query(`INSERT INTO work (kind, key, due_at) VALUES ('kind', 'x', 'epoch')`);
    await until('the work', () => done.length === 1);
    expect(String(failures[0]!.error)).toMatch(/work/);
  });

  it('says so when the end of work cannot be written, and does it again when the lease has ended', async () => {
    const begun: number[] = [];
    start({
      kind: {
        concurrency: 1,
        async run({ attempts }) {
          begun.push(attempts);
          if (attempts === 1) await takeTableAway();
          return undefined;
        },
      },
    });
    await schedule('x');
    await until('the failure', () => failures.some(({ work }) => work?.key === 'x'));
    await bringTableBack();
    clock.advance(30_000);
    await until('the end', async () => (await rows()).length === 0);
    expect(begun).toEqual([1, 2]);
  });
});

describe('stopping', () => {
  it('waits for what runs, and begins nothing more', async () => {
    const working = gate();
    const begun: string[] = [];
    let finished = false;
    const runner = createRunner({
      kind: {
        concurrency: 1,
        async run({ key }) {
          begun.push(key);
          await working.opened;
          finished = true;
          return undefined;
        },
      },
    });
    runner.start();
    await schedule('x');
    await until('the beginning', () => begun.length === 1);
    let stopped = false;
    const stopping = runner.stop().then(() => {
      stopped = true;
    });
    await schedule('y');
    expect(stopped).toBe(false);
    working.open();
    await stopping;
    expect(finished).toBe(true);
    expect(begun).toEqual(['x']);
    expect(await rows()).toMatchObject([{ key: 'y', holder: null, attempts: 0 }]);
  });

  it('is done at once when nothing runs, also while it looks for work', async () => {
    const runner = createRunner({ kind: noting(() => {}), other: noting(() => {}) });
    runner.start();
    await runner.stop();
    await schedule('x');
    expect(await rows()).toMatchObject([{ key: 'x', holder: null, attempts: 0 }]);
    expect(failures).toEqual([]);
  });

  it('tells what runs to stop, which is no failure: it is due at once for whoever comes next', async () => {
    let begun = false;
    const runner = createRunner({
      kind: {
        concurrency: 1,
        run: (_work, signal) =>
          new Promise((_, reject) => {
            begun = true;
            signal.addEventListener('abort', () => reject(signal.reason));
          }),
      },
    });
    runner.start();
    await schedule('x');
    await until('the beginning', () => begun);
    await runner.stop();
    expect(failures).toEqual([]);
    const done: number[] = [];
    start({ kind: noting(({ attempts }) => done.push(attempts)) });
    await until('the work', () => done.length === 1);
    expect(done).toEqual([2]);
  });
});

it('gives back what it leased while it was being stopped, and does not begin it', async () => {
  const leased = gate();
  let asked = false;
  const begun: string[] = [];
  const runner = createWorkRunner({
    queue: {
      ...queue,
      async lease(...wanted) {
        const works = await queue.lease(...wanted);
        if (works.length === 0) return works;
        asked = true;
        await leased.opened;
        return works;
      },
    },
    clock,
    handlers: { kind: noting(({ key }) => begun.push(key)) },
    onError: (error, work) => failures.push({ error, work }),
  });
  runners.push(runner);
  await schedule('x');
  runner.start();
  await until('the lease', () => asked);
  const stopped = runner.stop();
  leased.open();
  await stopped;
  expect(begun).toEqual([]);
  expect(failures).toEqual([]);
  expect(await rows()).toMatchObject([{ key: 'x', holder: null, attempts: 1 }]);
});

it('waits between attempts: twice as long each time, from 250 ms to a minute, give or take a quarter', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (attempts, random) => {
        const middle = Math.min(250 * 2 ** (attempts - 1), 60_000);
        const pause = backoffMs(attempts, random);
        expect(pause).toBeGreaterThanOrEqual(middle * 0.75);
        expect(pause).toBeLessThanOrEqual(middle * 1.25);
      },
    ),
  );
  expect(new Set(Array.from({ length: 20 }, () => backoffMs(3))).size).toBeGreaterThan(1);
});
