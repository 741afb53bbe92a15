/** Whole satoshis. */
export type Sats = bigint;

/** All the bitcoin that there will ever be, in sats. */
export const maximumSats: Sats = 2_100_000_000_000_000n;

/** Sats as a fact of an event or a result: they fit a JSON integer exactly (2.1e15 < 2^53). */
export function satsToJson(sats: Sats): number {
  return Number(sats);
}
