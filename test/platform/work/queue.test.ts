import { beforeEach, describe, expect, it } from 'vitest';
import { createWorkQueue, type WorkQueue } from '../../../src/platform/work/queue.ts';
import { type MovableClock, standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';

const leaseMs = 1_000;

const db = useDatabase();
let clock: MovableClock;
let queue: WorkQueue;

beforeEach(async () => {
  await db().query('DELETE FROM work');
  clock = standingClock();
  queue = createWorkQueue({ db: db(), clock });
});

const schedule = (key: string, inMs = 0, kind = 'kind') =>
  db().transaction((tx) => queue.schedule(tx, kind, key, new Date(clock.now() + inMs)));

const lease = (limit = 10, prefix = 'a:') => queue.lease('kind', limit, prefix, leaseMs);

const keys = (works: ReadonlyArray<{ key: string }>) => works.map(({ key }) => key).sort();

const holds = (key: string, holder: string) => db().transaction((tx) => queue.holds(tx, 'kind', key, holder));

describe('a lease', () => {
  it('is given for what is due, the oldest first, up to a number', async () => {
    await schedule('second', -10);
    await schedule('first', -20);
    await schedule('third');
    await schedule('later', 1);
    await schedule('of another kind', -30, 'other');
    expect(keys(await lease(2))).toEqual(['first', 'second']);
    expect(keys(await lease())).toEqual(['third']);
    expect(await lease()).toEqual([]);
    clock.advance(1);
    expect(await lease()).toEqual([
      { kind: 'kind', key: 'later', holder: expect.stringMatching(/^a:[0-9a-f-]{36}$/), attempts: 1 },
    ]);
  });

  it('gives the work to one alone, until it ends', async () => {
    await schedule('x');
    const taken = await Promise.all([lease(1), lease(1), lease(1)]);
    const [work] = taken.flat();
    expect(taken.flat()).toHaveLength(1);
    clock.advance(leaseMs - 1);
    expect(await lease()).toEqual([]);
    expect(await holds('x', work!.holder)).toBe(true);
    clock.advance(1);
    expect(await holds('x', work!.holder)).toBe(false);
    const [again] = await lease(1, 'b:');
    expect(again).toMatchObject({ key: 'x', attempts: 2, holder: expect.stringMatching(/^b:/) });
    expect(await holds('x', again!.holder)).toBe(true);
  });

  it('is kept by renewing it', async () => {
    await schedule('x');
    const [work] = await lease();
    clock.advance(leaseMs - 1);
    expect(await queue.renew(work!, leaseMs)).toBe(true);
    clock.advance(leaseMs - 1);
    expect(await holds('x', work!.holder)).toBe(true);
    expect(await lease()).toEqual([]);
  });

  it('ends when the work is scheduled anew: its first attempt begins again', async () => {
    await schedule('x');
    await lease();
    clock.advance(leaseMs);
    const [stale] = await lease();
    await schedule('x');
    expect(await holds('x', stale!.holder)).toBe(false);
    const [fresh] = await lease();
    expect(fresh).toMatchObject({ attempts: 1 });
    // Whoever had it before can neither strike it nor put it off nor keep it.
    await queue.finish(stale!);
    await queue.postpone(stale!, new Date(clock.now() + 60_000));
    expect(await queue.renew(stale!, 60_000)).toBe(false);
    clock.advance(leaseMs - 1);
    expect(await holds('x', fresh!.holder)).toBe(true);
    clock.advance(1);
    expect(keys(await lease())).toEqual(['x']);
  });

  it('is lost when another has taken the work, or when it is done or struck', async () => {
    await schedule('taken');
    await schedule('done');
    await schedule('struck');
    const works = await lease();
    const workOf = (key: string) => works.find((work) => work.key === key)!;
    clock.advance(leaseMs);
    // It has ended, and yet nobody else has begun.
    expect(await queue.renew(workOf('taken'), leaseMs)).toBe(true);
    clock.advance(leaseMs);
    await queue.leaseOne(db(), 'kind', 'taken', 'another', leaseMs);
    await queue.finish(workOf('done'));
    await db().transaction((tx) => queue.cancel(tx, 'kind', 'struck'));
    for (const key of ['taken', 'done', 'struck'])
      expect(await queue.renew(workOf(key), leaseMs)).toBe(false);
    expect(await holds('taken', 'another')).toBe(true);
  });

  it('of dead holders is freed by their prefix', async () => {
    await schedule('x');
    await schedule('y');
    await lease(1, 'node:');
    const [other] = await lease(1, 'service:');
    await queue.releaseAll('node:');
    const freed = await lease(2, 'node:');
    expect(freed).toHaveLength(1);
    expect(freed[0]).toMatchObject({ attempts: 2 });
    expect(freed[0]!.key).not.toBe(other!.key);
  });
});

describe('leased work', () => {
  it('is gone once it is finished', async () => {
    await schedule('x');
    const [work] = await lease();
    await queue.finish(work!);
    clock.advance(leaseMs);
    expect(await lease()).toEqual([]);
    expect(await queue.nextDue(['kind'])).toBeUndefined();
  });

  it('comes back at the time it is postponed to, and knows how often it was begun', async () => {
    await schedule('x');
    const [work] = await lease();
    await queue.postpone(work!, new Date(clock.now() + 50));
    expect(await holds('x', work!.holder)).toBe(false);
    clock.advance(49);
    expect(await lease()).toEqual([]);
    clock.advance(1);
    expect(await lease()).toMatchObject([{ key: 'x', attempts: 2 }]);
  });

  it('can be struck by whoever no longer wants it', async () => {
    await schedule('x');
    const [work] = await lease();
    await db().transaction((tx) => queue.cancel(tx, 'kind', 'x'));
    await queue.postpone(work!, new Date(clock.now()));
    expect(await lease()).toEqual([]);
  });
});

describe('work taken by name', () => {
  const leaseOne = (key: string, holder: string) => queue.leaseOne(db(), 'kind', key, holder, leaseMs);

  it('is leased to its holder, who can renew the lease', async () => {
    await schedule('x');
    expect(await leaseOne('x', 'me')).toEqual(new Date(clock.now() + leaseMs));
    clock.advance(10);
    expect(await leaseOne('x', 'me')).toEqual(new Date(clock.now() + leaseMs));
    expect(await leaseOne('x', 'another')).toBeUndefined();
    expect(await holds('x', 'me')).toBe(true);
    clock.advance(leaseMs);
    expect(await leaseOne('x', 'another')).toEqual(new Date(clock.now() + leaseMs));
    expect(await holds('x', 'me')).toBe(false);
    clock.advance(leaseMs);
    // Begun by one, then by the other: renewing is no attempt.
    expect(await lease()).toMatchObject([{ attempts: 3 }]);
  });

  it('must be there, and due', async () => {
    await schedule('later', 1);
    expect(await leaseOne('later', 'me')).toBeUndefined();
    expect(await leaseOne('none', 'me')).toBeUndefined();
  });

  it('is found among what is free, the oldest first', async () => {
    await schedule('second', -10);
    await schedule('first', -20);
    await schedule('third', -5);
    await schedule('later', 1);
    expect(await queue.free('kind', 2)).toEqual(['first', 'second']);
    await leaseOne('first', 'me');
    expect(await queue.free('kind', 10)).toEqual(['second', 'third']);
    clock.advance(leaseMs);
    expect(await queue.free('kind', 10)).toEqual(['first', 'second', 'third', 'later']);
  });
});

it('knows when the next work of some kinds is due, or a lease on it ends', async () => {
  expect(await queue.nextDue(['kind', 'other'])).toBeUndefined();
  await schedule('x', 5_000);
  await schedule('y', 200, 'other');
  expect(await queue.nextDue(['kind', 'other'])).toEqual(new Date(clock.now() + 200));
  expect(await queue.nextDue(['kind'])).toEqual(new Date(clock.now() + 5_000));
  expect(await queue.nextDue([])).toBeUndefined();
  await schedule('z', -300);
  expect(await queue.nextDue(['kind'])).toEqual(new Date(clock.now() - 300));
  await lease();
  expect(await queue.nextDue(['kind'])).toEqual(new Date(clock.now() + leaseMs));
});

describe('work that is scheduled once', () => {
  const scheduleOnce = (key: string, inMs = 0) =>
    db().transaction((tx) => queue.scheduleOnce(tx, 'kind', key, new Date(clock.now() + inMs)));

  it('is due when it was not there', async () => {
    await scheduleOnce('x', 10);
    expect(await lease()).toEqual([]);
    clock.advance(10);
    expect(await lease()).toMatchObject([{ key: 'x', attempts: 1 }]);
  });

  it('stays with who has it, at its attempts', async () => {
    await schedule('x');
    await lease();
    clock.advance(leaseMs);
    const [work] = await lease();
    await scheduleOnce('x');
    expect(await holds('x', work!.holder)).toBe(true);
    expect(await lease()).toEqual([]);
    clock.advance(leaseMs);
    expect(await lease()).toMatchObject([{ attempts: 3 }]);
  });

  it('stays due when it was', async () => {
    await schedule('x', 5_000);
    await scheduleOnce('x');
    expect(await queue.nextDue(['kind'])).toEqual(new Date(clock.now() + 5_000));
  });

  it('is one for all that schedule it at the same time', async () => {
    await Promise.all(Array.from({ length: 16 }, () => scheduleOnce('x')));
    expect(await lease()).toHaveLength(1);
  });
});

it('tells of work when it is committed, and of none that is rolled back', async () => {
  let heard = 0;
  const forget = queue.onScheduled(() => {
    heard += 1;
  });
  await db().transaction(async (tx) => {
    await queue.schedule(tx, 'kind', 'x', new Date(clock.now()));
    expect(heard).toBe(0);
  });
  expect(heard).toBe(1);
  await expect(
    db().transaction(async (tx) => {
      await queue.schedule(tx, 'kind', 'y', new Date(clock.now()));
      throw new Error('rolled back');
    }),
  ).rejects.toThrow('rolled back');
  expect(heard).toBe(1);
  expect(keys(await lease())).toEqual(['x']);
  forget();
  await schedule('z');
  expect(heard).toBe(1);
});
