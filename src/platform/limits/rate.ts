import type { Clock } from '../clock.ts';

/** How fast something may go: refilled continuously, a bucket holds `burst`. */
export interface Rate {
  /** How much in how many ms; an amount of 0 is no limit. */
  readonly amount: number;
  readonly perMs: number;
  /** How much at once. */
  readonly burst: number;
}

/** Sums of fractions are not exact: what is missing less than this is not missing; ms. */
const inexactMs = 0.01;

const msForEach = ({ amount, perMs }: Rate) => (amount === 0 ? 0 : perMs / amount);

/** How long an empty bucket takes until it is full; ms. */
const capacityMs = (rate: Rate) => rate.burst * msForEach(rate);

/** The state of a bucket is the time when it is full again, and nothing else. This is that of an empty one. */
export const emptied = (rate: Rate, now: number) => now + capacityMs(rate);

/** The state as it is now. One that a clock, set back, has left far in the future is that of an empty bucket. */
export function settled(rate: Rate, fullAt: number, now: number): number {
  const empty = emptied(rate, now);
  return fullAt > empty + msForEach(rate) ? empty : Math.max(fullAt, now);
}

/** The state after an amount more was taken. */
export const drained = (rate: Rate, fullAt: number, amount: number) => fullAt + amount * msForEach(rate);

/**
 * How long it takes until so much is in a bucket that it could be drained to this state; ms, 0 where it can be now.
 * At most as long as a bucket takes to fill: what is more than fits into one can never be taken.
 */
export function waitMs(rate: Rate, drainedTo: number, now: number): number {
  const missing = drainedTo - emptied(rate, now);
  return missing > inexactMs ? Math.ceil(Math.min(missing, capacityMs(rate)) - inexactMs) : 0;
}

/** A rate, and the clock that it is measured by: shared by many buckets. */
export interface TimedRate extends Rate {
  readonly clock: Clock;
}

/** The bucket of one socket: a number, and no timer. */
export class Bucket {
  readonly #rate: TimedRate;
  #fullAt = 0;

  constructor(rate: TimedRate) {
    this.#rate = rate;
  }

  /** Takes one; false when there is none. */
  take(): boolean {
    const now = this.#rate.clock.now();
    this.#fullAt = settled(this.#rate, this.#fullAt, now);
    const next = drained(this.#rate, this.#fullAt, 1);
    if (waitMs(this.#rate, next, now) > 0) return false;
    this.#fullAt = next;
    return true;
  }

  /** How long until one can be taken; ms. */
  get retryAfterMs(): number {
    const now = this.#rate.clock.now();
    return waitMs(this.#rate, drained(this.#rate, settled(this.#rate, this.#fullAt, now), 1), now);
  }
}
