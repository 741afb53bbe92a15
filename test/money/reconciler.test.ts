import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { byHashes } from '../../src/money/invoice-queries.ts';
import { createInvoices } from '../../src/money/invoices.ts';
import { createLedger } from '../../src/money/ledger.ts';
import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import { createStubLightning } from '../../src/money/lightning/stub.ts';
import { createOpenInvoices, type OpenInvoices } from '../../src/money/open-invoices.ts';
import { createReconciler, reconcileWork, scheduleReconciler } from '../../src/money/reconciler.ts';
import { newId } from '../../src/platform/ids.ts';
import { createWorkQueue, type LeasedWork } from '../../src/platform/work/queue.ts';
import { type MovableClock, standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';
import { faultyLightning } from '../support/lightning.ts';
import { until } from '../support/until.ts';

/** The pauses that the reconciler makes, which end when a test likes. */
const pauses = vi.hoisted((): Array<{ readonly ms: number; end(): void }> => []);

vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number, _value: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise<void>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      const end = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      pauses.push({ ms, end });
      signal.throwIfAborted();
      signal.addEventListener('abort', abort);
    }),
}));

const hourMs = 3_600_000;
const away = () => new LightningUnavailableError('The line is cut.');

const db = useDatabase();
let clock: MovableClock;
let open: OpenInvoices;
/** What was asked for, in order. */
let asked: string[];
/** What the Lightning node does when it is asked. */
let answering: (paymentHash: string) => Promise<unknown>;
/** How many look-ups, with what follows them, are not over. */
let underWay: number;
let failures: unknown[];
let stop: () => Promise<Date | undefined>;

beforeEach(async () => {
  await db().query('DELETE FROM open_invoices');
  pauses.length = 0;
  clock = standingClock();
  open = createOpenInvoices({ db: db(), clock, maximum: 0 });
  asked = [];
  answering = async () => {};
  underWay = 0;
  failures = [];
  stop = async () => undefined;
});
afterEach(() => stop());

/** Counts what is under way, so that a test can wait for its end. */
const counting =
  <Arguments extends unknown[], Result>(work: (...given: Arguments) => Promise<Result>) =>
  async (...given: Arguments): Promise<Result> => {
    underWay += 1;
    try {
      return await work(...given);
    } finally {
      underWay -= 1;
    }
  };

function start(
  requestsPerSecond: number,
  confirm: (paymentHash: string) => Promise<boolean> = async (paymentHash) => {
    asked.push(paymentHash);
    await answering(paymentHash);
    return false;
  },
): void {
  const stopping = new AbortController();
  const reconciler = createReconciler({
    openInvoices: { ...open, postpone: counting(open.postpone) },
    confirm: counting(confirm),
    clock,
    requestsPerSecond,
    onError: (error) => failures.push(error),
  });
  const running = reconciler.run({} as LeasedWork, stopping.signal);
  stop = () => {
    stopping.abort();
    return running;
  };
}

const idle = () => until('all that is under way', () => underWay === 0);

/** Waits until a round is over, and lets the pause after it pass; answers how long that was. */
async function round(): Promise<number> {
  const pause = await until('the pause after a round', () => pauses[0]);
  pauses.shift();
  clock.advance(pause.ms);
  pause.end();
  return pause.ms;
}

/** Lets rounds pass, and waits each time for what they have begun. Answers what each asked for. */
async function rounds(count: number, pauseMs: number[] = []): Promise<string[][]> {
  const each: string[][] = [];
  for (let n = 0; n < count; n += 1) {
    const before = asked.length;
    await until('the end of a round', () => pauses.length > 0);
    await idle();
    each.push(asked.slice(before));
    pauseMs.push(await round());
  }
  return each;
}

const add = (...paymentHashes: string[]) =>
  db().transaction(async (tx) => {
    for (const paymentHash of paymentHashes)
      await open.add(tx, paymentHash, new Date(clock.now() + 24 * hourMs));
  });

const names = (count: number, prefix = 'invoice') =>
  Array.from({ length: count }, (_, n) => `${prefix} ${n}`);

describe('the open invoices', () => {
  it('are all asked for, again and again', async () => {
    await add(...names(7));
    start(40);
    const [first, second, third] = await rounds(3);
    expect(first?.sort()).toEqual(names(7));
    // Asked for a moment ago.
    expect(second).toEqual([]);
    expect(third?.sort()).toEqual(names(7));
    await add('another');
    expect((await rounds(2)).flat()).toContain('another');
    expect(failures).toEqual([]);
  });

  it('are booked once they are paid, though nobody says so, and not asked for any more', async () => {
    const stub = createStubLightning({ db: db(), clock });
    const line = faultyLightning();
    line.silent = true;
    const booked: string[] = [];
    const invoices = createInvoices({
      db: db(),
      clock,
      ledger: createLedger({ clock, onEntry: () => {} }),
      lightning: line.wrap(stub),
      queue: createWorkQueue({ db: db(), clock }),
      openInvoices: open,
      expirySeconds: 600,
      webhooksUrl: undefined,
      onError: (error) => failures.push(error),
    });
    invoices.handle('job.eval', {
      async paid(_tx, { paymentHash }) {
        booked.push(paymentHash);
      },
      async expired() {},
    });
    const made: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const draft = await invoices.draft(100n, 'For a test.');
      const owner = { userId: 'usr_a', objectId: newId('job') };
      await db().transaction((tx) => invoices.insert(tx, draft, 'job.eval', owner));
      made.push(draft.paymentHash);
    }
    const [paid, unpaid, late] = made as [string, string, string];
    await stub.pay(paid, 100n);
    start(40, invoices.confirm);
    await rounds(1);
    expect(booked).toEqual([paid]);
    await stub.pay(late, 100n);
    await rounds(3);
    expect(booked).toEqual([paid, late]);
    line.lookedUp.length = 0;
    await rounds(4);
    expect(new Set(line.lookedUp)).toEqual(new Set([unpaid]));
    expect((await byHashes(db(), made)).map(({ paymentHash, state }) => [paymentHash, state]).sort()).toEqual(
      [
        [paid, 'PAID'],
        [unpaid, 'OPEN'],
        [late, 'PAID'],
      ].sort(),
    );
    expect(failures).toEqual([]);
  });

  it('come first that were hinted at, and then the youngest', async () => {
    for (const name of ['a', 'b', 'c']) {
      await add(name);
      clock.advance(1_000);
    }
    await open.hint('a');
    start(1);
    expect((await rounds(4)).flat()).toEqual(['a']);
    await db().transaction((tx) => open.remove(tx, ['a']));
    expect((await rounds(4)).flat()).toEqual(['c']);
  });

  it.each([
    ['hints at others', async () => open.hint('young 0')],
    ['younger ones', async () => {}],
  ])('are none of them passed over for good by %s', async (_what, disturb) => {
    await add(...names(5, 'old'));
    clock.advance(hourMs);
    await add(...names(5, 'young'));
    start(4);
    for (let n = 0; n < 60; n += 1) {
      await disturb();
      await rounds(1);
    }
    expect(new Set(asked)).toEqual(new Set([...names(5, 'old'), ...names(5, 'young')]));
  });
});

describe('the budget', () => {
  it.each([1, 2, 3, 7, 20, 40])('of %i requests a second is kept, and used', async (budget) => {
    await add(...names(45));
    start(budget);
    let ms = 0;
    while (ms < 10_000) {
      await rounds(1);
      ms += 250;
    }
    expect(asked.length).toBeLessThanOrEqual(budget * 10);
    expect(asked.length).toBeGreaterThan(budget * 10 - Math.ceil(budget / 4) - 1);
  });

  it('is not saved up while there is nothing to ask for', async () => {
    start(20);
    expect((await rounds(10)).flat()).toEqual([]);
    await add(...names(40));
    // The round that is over when they are added had none of them.
    const counts = (await rounds(5)).map(({ length }) => length).filter((count) => count > 0);
    expect(counts.slice(0, 4)).toEqual([10, 5, 5, 5]);
  });

  it('is not used for more than ten at once, however slow the node is', async () => {
    const answers = new Map<string, () => void>();
    answering = (paymentHash) => new Promise<void>((resolve) => answers.set(paymentHash, resolve));
    await add(...names(30));
    start(1_000);
    for (let n = 0; n < 5; n += 1) await round();
    await until('a full line', () => underWay === 10);
    const [first, second] = asked as [string, string];
    answers.get(first)?.();
    answers.get(second)?.();
    await until('the two answers', () => underWay === 8);
    for (let n = 0; n < 3; n += 1) await round();
    expect([asked.length, underWay]).toEqual([12, 10]);
    const stopped = stop();
    answering = async () => {};
    for (const answer of answers.values()) answer();
    await stopped;
  });
});

describe('while the node is away', () => {
  it('it is asked for one at a time, which is said once; and it goes on when it is back', async () => {
    await add(...names(30));
    answering = async () => {
      throw away();
    };
    start(20);
    expect((await rounds(1)).map(({ length }) => length)).toEqual([5]);
    expect(failures).toMatchObject([{ name: 'LightningUnavailableError' }]);
    const pausesMs: number[] = [];
    const tried = await rounds(8, pausesMs);
    expect(tried.map(({ length }) => length)).toEqual(Array(8).fill(1));
    expect(pausesMs).toEqual(Array(8).fill(1_000));
    // Each time another one, as what fails may be that one alone.
    expect(new Set(tried.slice(0, 4).flat()).size).toBe(4);
    expect(failures).toHaveLength(1);

    answering = async () => {};
    asked.length = 0;
    await rounds(1);
    expect(asked).toHaveLength(1);
    pausesMs.length = 0;
    await rounds(24, pausesMs);
    expect(new Set(asked)).toEqual(new Set(names(30)));
    expect(pausesMs).toEqual(Array(24).fill(250));
    expect(failures).toHaveLength(1);

    answering = async () => {
      throw away();
    };
    await rounds(4);
    expect(failures).toHaveLength(2);
  });

  it('no second look-up begins while one hangs', async () => {
    await add(...names(30));
    answering = async () => {
      throw away();
    };
    start(20);
    await rounds(2);
    let letGo = () => {};
    answering = () =>
      new Promise<void>((resolve) => {
        letGo = resolve;
      });
    asked.length = 0;
    for (let n = 0; n < 6; n += 1) await round();
    await until('the look-up', () => asked.length > 0);
    expect(asked).toHaveLength(1);
    letGo();
    await idle();
  });

  it('what fails is put off, and comes again', async () => {
    await add('a');
    answering = async () => {
      throw away();
    };
    start(20);
    const each = await rounds(12);
    // After a round of 250 ms, rounds of a second: it waits for five.
    expect(each.map(({ length }) => length)).toEqual([1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
  });
});

it('says of a bug each time, and asks for the others all the same', async () => {
  await add('faulty', 'fine');
  const bug = new TypeError('a bug');
  answering = async (paymentHash) => {
    if (paymentHash === 'faulty') throw bug;
  };
  start(20);
  const each = await rounds(45);
  const timesOf = (name: string) => each.flat().filter((paymentHash) => paymentHash === name).length;
  expect(timesOf('faulty')).toBe(3);
  expect(failures).toEqual([bug, bug, bug]);
  expect(timesOf('fine')).toBeGreaterThan(20);
});

describe('a database that is away', () => {
  const takeTableAway = () => db().query('ALTER TABLE open_invoices RENAME TO open_invoices_away');
  const bringTableBack = () => db().query('ALTER TABLE open_invoices_away RENAME TO open_invoices');

  it('is said and survived in a round', async () => {
    await add('a');
    await takeTableAway();
    start(20);
    await rounds(2);
    expect(failures.length).toBeGreaterThanOrEqual(2);
    for (const error of failures) expect(String(error)).toMatch(/open_invoices/);
    expect(asked).toEqual([]);
    await bringTableBack();
    await rounds(2);
    expect(asked).toEqual(['a']);
  });

  it('is said and survived when what failed is put off', async () => {
    await add('a');
    let isAway = false;
    answering = async () => {
      if (isAway) return;
      isAway = true;
      await takeTableAway();
      throw away();
    };
    start(20);
    await until('both failures', () => failures.length >= 2);
    await bringTableBack();
    expect(failures[0]).toMatchObject({ name: 'LightningUnavailableError' });
    expect(String(failures[1])).toMatch(/open_invoices/);
    await rounds(4);
    expect(asked.length).toBeGreaterThanOrEqual(2);
  });
});

describe('when it is told to stop', () => {
  it('it ends in the middle of its pause, due again at once', async () => {
    await add('a');
    start(20);
    await until('the pause', () => pauses.length === 1);
    expect(await stop()).toEqual(new Date(clock.now()));
    expect(pauses).toHaveLength(1);
    expect(asked).toEqual(['a']);
  });

  it('it waits for what is under way, and begins nothing more', async () => {
    await add('a', 'b');
    const answers: Array<() => void> = [];
    answering = () => new Promise<void>((resolve) => answers.push(resolve));
    start(4);
    await until('the first', () => asked.length === 1 && pauses.length === 1);
    let stopped = false;
    const stopping = stop().then(() => {
      stopped = true;
    });
    // A turn of the database, which is more than it would need to end.
    await db().query('SELECT 1');
    expect(stopped).toBe(false);
    answers[0]?.();
    await stopping;
    expect(asked).toHaveLength(1);
  });

  it('before it began, it asks for nothing', async () => {
    await add('a');
    const reconciler = createReconciler({
      openInvoices: open,
      confirm: async (paymentHash) => asked.push(paymentHash) > 0,
      clock,
      requestsPerSecond: 20,
      onError: (error) => failures.push(error),
    });
    expect(await reconciler.run({} as LeasedWork, AbortSignal.abort())).toEqual(new Date(clock.now()));
    expect([asked, failures]).toEqual([[], []]);
  });
});

it('is scheduled once, however many nodes start, and stays with the one that has it', async () => {
  const queue = createWorkQueue({ db: db(), clock });
  const lease = () => queue.lease(reconcileWork, 5, 'test:', 1_000);
  await scheduleReconciler(db(), queue, clock);
  await scheduleReconciler(db(), queue, clock);
  expect(await lease()).toMatchObject([{ key: 'all' }]);
  await scheduleReconciler(db(), queue, clock);
  expect(await lease()).toEqual([]);
});
