import { afterEach, expect, it, vi } from 'vitest';
import { createBatch } from '../../src/platform/batch.ts';
import { until } from '../support/until.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** A batch that answers a key with how often it has read, and knows nothing of `nobody`. */
function counting() {
  const asked: Array<readonly string[]> = [];
  const batch = createBatch<string>(async (keys) => {
    asked.push(keys);
    return new Map(keys.filter((key) => key !== 'nobody').map((key) => [key, `${key}${asked.length}`]));
  });
  return { asked, batch };
}

it('reads all that is asked for in a turn of the event loop at once, each key once', async () => {
  const { asked, batch } = counting();
  const first = ['a', 'b', 'a'].map((key) => batch.load(key));
  await Promise.resolve();
  const second = batch.load('c');
  expect(await Promise.all([...first, second])).toEqual(['a1', 'b1', 'a1', 'c1']);
  expect(asked).toEqual([['a', 'b', 'c']]);
});

it('answers nothing for what is not there', async () => {
  const { batch } = counting();
  expect(await Promise.all(['nobody', 'a'].map((key) => batch.load(key)))).toEqual([undefined, 'a1']);
});

it('remembers nothing: what is asked for later is read later', async () => {
  const { asked, batch } = counting();
  expect(await batch.load('a')).toBe('a1');
  expect(await batch.load('a')).toBe('a2');
  expect(asked).toEqual([['a'], ['a']]);
});

it('puts the next read off after one of several keys, so that more go with it, and none after one of a single key', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  const { asked, batch } = counting();
  await Promise.all(['a', 'b'].map((key) => batch.load(key)));
  const early = batch.load('c');
  vi.advanceTimersByTime(7);
  const late = batch.load('d');
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(await Promise.all([early, late])).toEqual(['c2', 'd2']);
  vi.advanceTimersByTime(8);
  expect(await batch.load('e')).toBe('e3');
  expect(await batch.load('f')).toBe('f4');
});

it('reads 500 keys at a time', async () => {
  const { asked, batch } = counting();
  const keys = Array.from({ length: 1_001 }, (_, index) => `key ${index} `);
  const values = await Promise.all(keys.map((key) => batch.load(key)));
  expect(values.every((value, index) => value?.startsWith(String(keys[index])))).toBe(true);
  expect(asked.map(({ length }) => length)).toEqual([500, 500, 1]);
});

it('tells all who asked together that it failed, and reads anew for those who ask then', async () => {
  let fails = true;
  const batch = createBatch<string>(async (keys) => {
    if (fails) throw new Error('away');
    return new Map(keys.map((key) => [key, key]));
  });
  const settled = await Promise.allSettled([batch.load('a'), batch.load('b')]);
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  fails = false;
  expect(await batch.load('a')).toBe('a');
});

it('has four reads under way at most: what is asked for meanwhile goes together, with the next', async () => {
  const answers: Array<() => void> = [];
  const asked: Array<readonly string[]> = [];
  const batch = createBatch<string>(async (keys) => {
    asked.push(keys);
    await new Promise<void>((resolve) => {
      answers.push(resolve);
    });
    return new Map(keys.map((key) => [key, key]));
  });
  const reading: Array<Promise<string | undefined>> = [];
  for (const key of ['a', 'b', 'c', 'd']) {
    reading.push(batch.load(key));
    await until('the read', () => asked.length === reading.length);
  }
  for (const key of ['e', 'f', 'g']) {
    reading.push(batch.load(key));
    await new Promise(setImmediate);
  }
  expect(asked).toEqual([['a'], ['b'], ['c'], ['d']]);
  answers.shift()?.();
  await until('the next read', () => asked.length === 5);
  for (const answer of answers) answer();
  expect(await Promise.all(reading)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  expect(asked[4]).toEqual(['e', 'f', 'g']);
});
