import { beforeEach, describe, expect, it } from 'vitest';
import {
  createIdempotency,
  type Idempotency,
  type IdempotentRequest,
} from '../../src/platform/idempotency.ts';
import { type MovableClock, standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';

const dayMs = 24 * 3_600_000;

const db = useDatabase();
let clock: MovableClock;
let idempotency: Idempotency;

beforeEach(async () => {
  await db().query('DELETE FROM idempotency_keys');
  clock = standingClock();
  idempotency = createIdempotency({ clock });
});

const request: IdempotentRequest = {
  caller: 'usr_a',
  mutation: 'doIt',
  key: 'a key of 16 chars',
  input: { text: 'x', amount: 5n, list: [1, { b: null, a: true }] },
};

const claim = (asked: IdempotentRequest, result: object, keep?: 'FOR_GOOD') =>
  db().transaction((tx) => idempotency.claim(tx, asked, result, keep));

const reused = { code: 'CONFLICT', details: { reason: 'IDEMPOTENCY_KEY_REUSED' } };

describe('a request', () => {
  it('is new once, and afterwards answered by what it has made', async () => {
    expect(await idempotency.find(db(), request)).toBeUndefined();
    expect(await claim(request, { made: 1 })).toBeUndefined();
    expect(await claim(request, { made: 2 })).toEqual({ made: 1 });
    expect(await idempotency.find(db(), request)).toEqual({ made: 1 });
  });

  it('is the same whatever the order of its fields', async () => {
    await claim(request, { made: 1 });
    const input = { list: [1, { a: true, b: null }], amount: 5n, text: 'x' };
    expect(await claim({ ...request, input }, { made: 2 })).toEqual({ made: 1 });
  });

  it.each([
    { text: 'y', amount: 5n, list: [1, { b: null, a: true }] },
    { text: 'x', amount: 6n, list: [1, { b: null, a: true }] },
    { text: 'x', amount: 5n, list: [{ b: null, a: true }, 1] },
    { text: 'x', amount: 5n },
    null,
  ])('conflicts when its key came with another input: %o', async (input) => {
    await claim(request, { made: 1 });
    await expect(claim({ ...request, input }, { made: 2 })).rejects.toMatchObject(reused);
    await expect(idempotency.find(db(), { ...request, input })).rejects.toMatchObject(reused);
    expect(await idempotency.find(db(), request)).toEqual({ made: 1 });
  });

  it('counts for its caller and its mutation alone', async () => {
    await claim(request, { made: 1 });
    expect(await claim({ ...request, caller: 'usr_b', input: 'other' }, { made: 2 })).toBeUndefined();
    expect(await claim({ ...request, mutation: 'doThat', input: 'other' }, { made: 3 })).toBeUndefined();
    expect(await claim({ ...request, key: 'another key of 16' }, { made: 4 })).toBeUndefined();
  });

  it('was never made when its transaction failed', async () => {
    await expect(
      db().transaction(async (tx) => {
        await idempotency.claim(tx, request, { made: 1 });
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await claim(request, { made: 2 })).toBeUndefined();
  });

  it('is made by one of those that are sent at the same moment', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, (_, made) => claim(request, { made })));
    expect(results.filter((result) => result === undefined)).toHaveLength(1);
    const made = results.indexOf(undefined);
    expect(results.filter((result) => result !== undefined)).toEqual(Array(7).fill({ made }));
  });
});

describe('forgetting', () => {
  it('takes keys that are seven days old, and none that are kept for good', async () => {
    await claim(request, { made: 1 });
    await claim({ ...request, key: 'kept for good 16' }, { made: 2 }, 'FOR_GOOD');
    clock.advance(7 * dayMs - 1);
    expect(await idempotency.forgetExpired(db())).toBe(false);
    expect(await idempotency.find(db(), request)).toEqual({ made: 1 });
    clock.advance(1);
    expect(await idempotency.forgetExpired(db())).toBe(false);
    expect(await idempotency.find(db(), request)).toBeUndefined();
    expect(await idempotency.find(db(), { ...request, key: 'kept for good 16' })).toEqual({ made: 2 });
  });

  it('goes in bounded steps, and says whether there may be more', async () => {
    await db().query(
      `INSERT INTO idempotency_keys (caller, mutation, key, input_hash, result, expires_at)
       SELECT 'usr_a', 'doIt', n::text, '', '{}', $1 FROM generate_series(1, 700) n`,
      [new Date(clock.now())],
    );
    expect(await idempotency.forgetExpired(db())).toBe(true);
    expect(await idempotency.forgetExpired(db())).toBe(false);
    expect(await db().query('SELECT 1 FROM idempotency_keys')).toEqual([]);
  });
});
