/** The pause before an attempt is repeated: doubling from 250 ms to a minute, with jitter; ms. */
export function backoffMs(attempts: number, random = Math.random()): number {
  return Math.min(250 * 2 ** Math.min(attempts - 1, 10), 60_000) * (0.75 + random / 2);
}
