import type { Bus } from '../bus/bus.ts';
import { createExchange, maximumNumbers, tellEveryMs } from './exchange.ts';
import { shortKey } from './keys.ts';
import { drained, emptied, settled, type TimedRate, waitMs } from './rate.ts';

export type KeyedRate = ReturnType<typeof createKeyedRate>;

/** How many buckets are kept that are not full; beyond that those go that were used longest ago. */
const maximumBuckets = 50_000;
/** How many full ones are forgotten, at most, for each that is used. */
const forgottenAtOnce = 2;

/** A bucket for each key, such as a user or an address. */
export function createKeyedRate(rate: TimedRate) {
  /** When each is full again, the one that was used last at the end. A full one need not be known. */
  const buckets = new Map<string, number>();

  function put(key: string, fullAt: number, now: number): void {
    buckets.delete(key);
    buckets.set(key, fullAt);
    let seen = 0;
    for (const [oldest, oldestFullAt] of buckets) {
      if (seen === forgottenAtOnce || (oldestFullAt > now && buckets.size <= maximumBuckets)) break;
      buckets.delete(oldest);
      seen += 1;
    }
  }

  return {
    /** Takes an amount, if there is so much; else answers how long until there is, in ms. 0 when it was taken. */
    take(key: string, amount: number): number {
      const now = rate.clock.now();
      const before = settled(rate, buckets.get(key) ?? 0, now);
      const after = drained(rate, before, amount);
      const wait = waitMs(rate, after, now);
      put(key, wait === 0 ? after : before, now);
      return wait;
    },

    /** Takes an amount that another node has granted, whether it is there or not. */
    drain(key: string, amount: number): void {
      const now = rate.clock.now();
      const after = drained(rate, settled(rate, buckets.get(key) ?? 0, now), amount);
      put(key, Math.min(after, emptied(rate, now)), now);
    },

    /** How many buckets are known. */
    get size(): number {
      return buckets.size;
    },
  };
}

export type SharedRate = Awaited<ReturnType<typeof createSharedRate>>;

/** How much is kept of what is to be told; what is beyond that counts on this node alone. */
const maximumUntold = 20_000;

/**
 * A bucket for each name, shared by all nodes: each tells four times a second what it has granted. So together they
 * may grant more than the rate by what they have not told each other yet; while the bus is away, each grants it.
 */
export async function createSharedRate(rate: TimedRate, bus: Bus, topic: string) {
  const { clock } = rate;
  const buckets = createKeyedRate(rate);
  const untold = new Map<string, number>();
  const exchange = await createExchange({
    bus,
    clock,
    topic,
    hear({ numbers }) {
      for (const [key, amount] of numbers) buckets.drain(key, amount);
    },
  });
  const timer = setInterval(tell, tellEveryMs).unref();

  function tell(): void {
    while (untold.size > 0) {
      const numbers = new Map([...untold].slice(0, maximumNumbers));
      for (const key of numbers.keys()) untold.delete(key);
      exchange.tell(numbers, 0);
    }
  }

  return {
    /** Takes an amount, if there is so much; else answers how long until there is, in ms. 0 when it was taken. */
    take(name: string, amount: number): number {
      if (rate.amount === 0) return 0;
      const key = shortKey(name);
      const wait = buckets.take(key, amount);
      if (wait === 0 && (untold.has(key) || untold.size < maximumUntold))
        untold.set(key, (untold.get(key) ?? 0) + amount);
      return wait;
    },

    /** Tells and hears nothing more. */
    close(): void {
      clearInterval(timer);
      exchange.stop();
    },
  };
}
