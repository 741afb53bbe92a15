import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bucket, drained, type Rate, settled, waitMs } from '../../../src/platform/limits/rate.ts';
import { standingClock } from '../../support/clock.ts';

const anyRate = fc.record({
  amount: fc.integer({ min: 1, max: 1_000 }),
  perMs: fc.constantFrom(1_000, 60_000),
  burst: fc.integer({ min: 1, max: 1_000 }),
});

/** Takes as `Bucket` does, from a number. */
function taker(rate: Rate) {
  let fullAt = 0;
  return (now: number, amount = 1) => {
    fullAt = settled(rate, fullAt, now);
    const next = drained(rate, fullAt, amount);
    const wait = waitMs(rate, next, now);
    if (wait === 0) fullAt = next;
    return wait;
  };
}

describe('a bucket', () => {
  it('gives its burst at once, and then what is refilled, continuously', () => {
    const clock = standingClock();
    const bucket = new Bucket({ clock, amount: 7, perMs: 1_000, burst: 10 });
    for (let taken = 0; taken < 10; taken += 1)
      expect([bucket.retryAfterMs, bucket.take()]).toEqual([0, true]);
    expect([bucket.take(), bucket.retryAfterMs]).toEqual([false, 143]);
    clock.advance(143);
    expect([bucket.take(), bucket.take()]).toEqual([true, false]);
    clock.advance(3_600_000);
    const takes = Array.from({ length: 11 }, () => bucket.take());
    expect(takes).toEqual([...Array(10).fill(true), false]);
  });

  it('without a rate gives anything', () => {
    const bucket = new Bucket({ clock: standingClock(), amount: 0, perMs: 1_000, burst: 0 });
    for (let taken = 0; taken < 1_000; taken += 1) expect(bucket.take()).toBe(true);
    expect(bucket.retryAfterMs).toBe(0);
  });

  it('is empty for no longer than it takes to fill when the clock is set back', () => {
    const clock = standingClock();
    const bucket = new Bucket({ clock, amount: 10, perMs: 1_000, burst: 10 });
    expect(bucket.take()).toBe(true);
    clock.advance(-86_400_000);
    expect([bucket.take(), bucket.retryAfterMs]).toEqual([false, 100]);
    clock.advance(100);
    expect(bucket.take()).toBe(true);
  });

  it('never gives more than its burst and what was refilled since, over any time, and no less', () => {
    const steps = fc.array(
      fc.record({ pause: fc.integer({ min: 0, max: 5_000 }), tries: fc.integer({ min: 1, max: 50 }) }),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(anyRate, steps, (rate, all) => {
        const take = taker(rate);
        let now = 1_000_000;
        // The bucket as one would write it down: what is in it, and when that was so.
        let level = rate.burst;
        for (const { pause, tries } of all) {
          now += pause;
          level = Math.min(rate.burst, level + (pause * rate.amount) / rate.perMs);
          for (let n = 0; n < tries; n += 1) {
            const wait = take(now);
            if (wait === 0) {
              level -= 1;
              expect(level).toBeGreaterThan(-0.02);
            } else {
              expect(level).toBeLessThan(1);
              expect(Math.abs(wait - ((1 - level) * rate.perMs) / rate.amount)).toBeLessThan(1.03);
            }
          }
        }
      }),
    );
  });

  it('gives what was asked for after the time that it has named', () => {
    fc.assert(
      fc.property(anyRate, fc.integer({ min: 1, max: 2_000 }), (rate, amount) => {
        const take = taker(rate);
        for (let n = 0; n < rate.burst; n += 1) take(0);
        const wait = take(0, amount);
        expect(wait).toBeGreaterThan(0);
        if (amount <= rate.burst) expect(take(wait, amount)).toBe(0);
        // What never fits is never given; the time is that of a whole bucket.
        else expect(take(wait, amount)).toBeGreaterThan(0);
        expect(wait).toBeLessThanOrEqual(Math.ceil((rate.burst * rate.perMs) / rate.amount));
      }),
    );
  });
});
