import type { TestContext } from 'vitest';

/** Random choices that can be made again. */
export interface Random {
  readonly seed: number;
  /** A whole number from 0 to below the limit. */
  below(limit: number): number;
}

/**
 * Random choices for a test, from the seed in TEST_SEED or else any; a test that fails prints its seed.
 */
export function seededRandom({ onTestFailed }: Pick<TestContext, 'onTestFailed'>): Random {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  onTestFailed(() => {
    process.stderr.write(`The random choices were those of TEST_SEED=${seed}.\n`);
  });
  return randomFrom(seed);
}

/** Random choices from a seed. The generator is mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed;
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  return { seed, below: (limit) => Math.floor(next() * limit) };
}
