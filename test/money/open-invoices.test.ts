import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { createOpenInvoices, type OpenInvoices } from '../../src/money/open-invoices.ts';
import { type MovableClock, standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';

const hourMs = 3_600_000;

const db = useDatabase();
let clock: MovableClock;
let open: OpenInvoices;

beforeEach(async () => {
  await db().query('DELETE FROM open_invoices');
  clock = standingClock();
  open = limitedTo(2);
});

const limitedTo = (maximum: number) => createOpenInvoices({ db: db(), clock, maximum });

const inMs = (ms: number) => new Date(clock.now() + ms);

const fromCaller = (caller: string) => ({ caller, address: null });
const fromAddress = (address: string) => ({ caller: null, address });

async function add(
  paymentHash: string = randomBytes(32).toString('hex'),
  { of = undefined as Parameters<OpenInvoices['add']>[3], forMs = hourMs, to = open } = {},
): Promise<string> {
  await db().transaction((tx) => to.add(tx, paymentHash, inMs(forMs), of));
  return paymentHash;
}

const remove = (...paymentHashes: string[]) => db().transaction((tx) => open.remove(tx, paymentHashes));

const takeAll = async () => (await open.take(100, 'LIKELIEST')).sort();

/** How long it takes until something is due again; ms. */
async function pauseOf(paymentHash: string): Promise<number> {
  const [row] = await db().query<{ nextPollAt: Date }>(
    'SELECT next_poll_at AS "nextPollAt" FROM open_invoices WHERE payment_hash = $1',
    [paymentHash],
  );
  return row!.nextPollAt.getTime() - clock.now();
}

describe('taking', () => {
  /** Takes one after another, until nothing is due. */
  async function order(first: 'LIKELIEST' | 'LONGEST_WAITING'): Promise<string[]> {
    const taken: string[] = [];
    for (let next = await open.take(1, first); next[0] !== undefined; next = await open.take(1, first))
      taken.push(next[0]);
    return taken;
  }

  it('begins with those that were hinted at, and then with the youngest', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await add(name);
      clock.advance(1_000);
    }
    await open.hint('b');
    await open.hint('d');
    expect(await order('LIKELIEST')).toEqual(['d', 'b', 'e', 'c', 'a']);
  });

  it('can begin with those that have waited longest, hinted at or not', async () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      await add(name);
      clock.advance(1_000);
    }
    await open.hint('b');
    await open.postpone('a', 500);
    await open.postpone('c', -10_000);
    clock.advance(600);
    expect(await order('LONGEST_WAITING')).toEqual(['c', 'd', 'b', 'a']);
  });

  it('answers as many as were asked for, the others next', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await add(name);
      clock.advance(10);
    }
    expect((await open.take(2, 'LIKELIEST')).sort()).toEqual(['d', 'e']);
    expect((await open.take(2, 'LIKELIEST')).sort()).toEqual(['b', 'c']);
    expect(await open.take(2, 'LIKELIEST')).toEqual(['a']);
    expect(await open.take(2, 'LIKELIEST')).toEqual([]);
    expect(await open.take(2, 'LONGEST_WAITING')).toEqual([]);
  });

  it('takes what is due, at the very moment, and also after its time', async () => {
    await add('a', { forMs: 1_000 });
    expect(await takeAll()).toEqual(['a']);
    clock.advance(399);
    expect(await takeAll()).toEqual([]);
    clock.advance(1);
    expect(await takeAll()).toEqual(['a']);
    clock.advance(hourMs);
    expect(await takeAll()).toEqual(['a']);
  });
});

describe('the pause', () => {
  it.each([
    [0, 400],
    [1_000, 400],
    [48_000, 400],
    [60_000, 500],
    [600_000, 5_000],
    [hourMs, 30_000],
    [2 * hourMs, 60_000],
    [365 * 24 * hourMs, 60_000],
  ])('of an invoice that is %i ms old is %i ms', async (ageMs, pauseMs) => {
    await add('a');
    clock.advance(ageMs);
    expect(await takeAll()).toEqual(['a']);
    expect(await pauseOf('a')).toBe(pauseMs);
  });

  it('is short again after a hint, and grows with the age of that', async () => {
    await add('a');
    await add('b');
    clock.advance(hourMs);
    expect(await takeAll()).toEqual(['a', 'b']);
    expect(await pauseOf('a')).toBe(30_000);
    await open.hint('a');
    expect(await takeAll()).toEqual(['a']);
    expect(await pauseOf('a')).toBe(400);
    clock.advance(120_000);
    expect(await takeAll()).toEqual(['a', 'b']);
    expect(await pauseOf('a')).toBe(1_000);
    expect(await pauseOf('b')).toBe(31_000);
  });

  it('can be given, and is ended by a hint', async () => {
    await add('a');
    await add('b');
    await open.postpone('a', 5_000);
    expect(await takeAll()).toEqual(['b']);
    clock.advance(4_999);
    expect(await takeAll()).toEqual(['b']);
    clock.advance(1);
    expect(await takeAll()).toEqual(['a']);
    await open.postpone('a', 5_000);
    await open.hint('a');
    expect(await takeAll()).toEqual(['a']);
  });
});

it('forgets what is removed, and takes no notice of what it does not know', async () => {
  for (const name of ['a', 'b', 'c']) await add(name);
  await remove('a', 'c', 'none');
  await remove();
  await open.hint('a');
  await open.postpone('a', -1);
  expect(await takeAll()).toEqual(['b']);
});

it('notes nothing when the transaction is rolled back', async () => {
  const failing = db().transaction(async (tx) => {
    await open.add(tx, 'a', inMs(hourMs), fromCaller('usr_a'));
    throw new Error('rolled back');
  });
  await expect(failing).rejects.toThrow('rolled back');
  expect(await takeAll()).toEqual([]);
});

describe('the room', () => {
  const limited = (retryAfterMs: number) => ({
    name: 'PublicError',
    code: 'RATE_LIMITED',
    message: 'At most 2 invoices may be open at a time: pay one, or wait until one expires.',
    details: { retryAfterMs },
  });

  it.each([
    ['a caller', fromCaller('usr_a'), fromCaller('usr_b')],
    ['an address', fromAddress('203.0.113.7'), fromAddress('203.0.113.8')],
  ])('of %s ends at the maximum, and leaves that of others', async (_what, of, other) => {
    await add('a', { of });
    await open.requireRoom(of);
    await add('b', { of });
    await expect(open.requireRoom(of)).rejects.toMatchObject(limited(hourMs));
    await expect(add('c', { of })).rejects.toMatchObject(limited(hourMs));
    expect(await takeAll()).toEqual(['a', 'b']);
    await open.requireRoom(other);
    await add('d', { of: other });
    await add('e');
    await remove('a');
    await open.requireRoom(of);
    await add('f', { of });
    await expect(open.requireRoom(of)).rejects.toMatchObject(limited(hourMs));
  });

  it('of a caller is the same from every address, and that of an address for every caller', async () => {
    await add('a', { of: { caller: 'usr_a', address: '203.0.113.1' } });
    await add('b', { of: { caller: 'usr_a', address: '203.0.113.2' } });
    await expect(open.requireRoom({ caller: 'usr_a', address: '203.0.113.3' })).rejects.toMatchObject(
      limited(hourMs),
    );
    await open.requireRoom({ caller: 'usr_b', address: '203.0.113.1' });
    await add('c', { of: { caller: 'usr_b', address: '203.0.113.1' } });
    await expect(open.requireRoom({ caller: 'usr_c', address: '203.0.113.1' })).rejects.toMatchObject(
      limited(hourMs),
    );
    await open.requireRoom({ caller: 'usr_c', address: '203.0.113.2' });
  });

  it('of callers and addresses that read the same is not shared', async () => {
    for (const name of ['a', 'b']) await add(name, { of: fromCaller('203.0.113.7') });
    await open.requireRoom(fromAddress('203.0.113.7'));
    await expect(open.requireRoom(fromCaller('203.0.113.7'))).rejects.toMatchObject(limited(hourMs));
  });

  it('is free for who is neither known nor comes from anywhere', async () => {
    const nobody = { caller: null, address: null };
    for (const name of ['a', 'b', 'c']) await add(name, { of: nobody });
    await open.requireRoom(nobody);
  });

  it('comes back when the first of them expires, and that is told', async () => {
    const of = fromCaller('usr_a');
    await add('a', { of, forMs: 50_000 });
    await add('b', { of, forMs: 20_000 });
    await expect(open.requireRoom(of)).rejects.toMatchObject(limited(20_000));
    clock.advance(19_999);
    await expect(open.requireRoom(of)).rejects.toMatchObject(limited(1));
    clock.advance(1);
    await open.requireRoom(of);
    await add('c', { of, forMs: 40_000 });
    await expect(open.requireRoom(of)).rejects.toMatchObject(limited(30_000));
    // Expired ones do not count, and are asked for all the same.
    expect(await takeAll()).toEqual(['a', 'b', 'c']);
  });

  it('has no end when the maximum is 0', async () => {
    const of = { caller: 'usr_a', address: '203.0.113.7' };
    const endless = limitedTo(0);
    for (let n = 0; n < 30; n += 1) await add(undefined, { of, to: endless });
    await endless.requireRoom(of);
    expect(await takeAll()).toHaveLength(30);
  });

  it.each([
    ['a caller', () => fromCaller('usr_a')],
    ['an address', () => fromAddress('203.0.113.7')],
    [
      'an address, for different callers',
      () => ({ caller: `usr_${randomBytes(4).toString('hex')}`, address: '203.0.113.7' }),
    ],
    [
      'a caller, from different addresses',
      () => ({ caller: 'usr_a', address: `203.0.113.${randomBytes(1)[0]}` }),
    ],
  ])('of %s is not exceeded by many at once', async (_what, of) => {
    const few = limitedTo(5);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 48 }, () => add(undefined, { of: of(), to: few })),
    );
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refused).toHaveLength(43);
    for (const error of refused) expect(error).toMatchObject({ code: 'RATE_LIMITED' });
    expect(await takeAll()).toHaveLength(5);
  });

  it('is found by crowds that meet on two names, whichever comes first', async () => {
    const few = limitedTo(3);
    const requesters = Array.from({ length: 40 }, (_, n) =>
      n % 2 === 0 ? { caller: 'left', address: 'right' } : { caller: 'right', address: 'left' },
    );
    const outcomes = await Promise.allSettled(requesters.map((of) => add(undefined, { of, to: few })));
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'ADDED'));
    expect(codes.filter((code) => code === 'ADDED')).toHaveLength(6);
    expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(34);
  });
});
