import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Transaction } from '../../src/platform/database/database.ts';
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

describe('a request that locks what it changes', () => {
  /** A row that a request is about, besides the key. */
  const aRow = async () => {
    const topic = `topic:${randomUUID()}`;
    await db().query('INSERT INTO topics (topic, epoch, head) VALUES ($1, $2, 7)', [topic, 'an epoch']);
    return topic;
  };

  const claimLocking = (asked: IdempotentRequest, result: object, topic: string) =>
    db().transaction(async (tx) => {
      const asksTwice = async (locking: Transaction) => {
        const [row] = await locking.query<{ head: bigint }>(
          'SELECT head FROM topics WHERE topic = $1 FOR UPDATE',
          [topic],
        );
        await locking.query('UPDATE topics SET head = head + 1 WHERE topic = $1', [topic]);
        return row?.head;
      };
      return idempotency.claimLocking(tx, asked, result, asksTwice);
    });

  it('is new once, and is answered with the row that it has locked', async () => {
    const topic = await aRow();
    expect(await claimLocking(request, { made: 1 }, topic)).toEqual({ locked: 7n, earlier: undefined });
    expect(await claimLocking(request, { made: 2 }, topic)).toEqual({ locked: 8n, earlier: { made: 1 } });
    expect(await idempotency.find(db(), request)).toEqual({ made: 1 });
    expect(await claim(request, { made: 3 })).toEqual({ made: 1 });
  });

  it('conflicts when its key came with another input', async () => {
    const topic = await aRow();
    await claimLocking(request, { made: 1 }, topic);
    await expect(claimLocking({ ...request, input: 'other' }, { made: 2 }, topic)).rejects.toMatchObject(
      reused,
    );
  });

  it('counts as new where there is nothing to lock, which the lock is to refuse', async () => {
    expect(await claimLocking(request, { made: 1 }, 'no topic')).toEqual({
      locked: undefined,
      earlier: undefined,
    });
    expect(await idempotency.find(db(), request)).toEqual({ made: 1 });
  });

  it('is made by one of those that are sent at the same moment', async () => {
    const topic = await aRow();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, made) => claimLocking(request, { made }, topic)),
    );
    const made = answers.findIndex(({ earlier }) => earlier === undefined);
    expect(answers.filter(({ earlier }) => earlier !== undefined).map(({ earlier }) => earlier)).toEqual(
      Array(7).fill({ made }),
    );
    expect(answers.map(({ locked }) => Number(locked)).sort((a, b) => a - b)).toEqual([
      7, 8, 9, 10, 11, 12, 13, 14,
    ]);
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
