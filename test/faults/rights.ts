import type { JournalEntry } from './nemesis.ts';

/** Within this an ended right is acted on, when nothing is in the way; ms. */
const promisedMs = 1_000;
/** A socket whose token has expired may go on for this long; ms. */
const graceMs = 25_000;

/** Those that keep nodes from reading the log, and so from knowing that a right has ended. */
const blinding = ['node stopped', 'Postgres connections stalled'];

/**
 * Up to which commit (ms) events may be told to the bearer of a revoked token: a second later, and `lateMs` for the
 * load of the machine. While a node cannot read the log that time does not pass; Redis makes no difference.
 */
export function revokedUntil(at: number, journal: readonly JournalEntry[], lateMs: number): number {
  let end = at + promisedMs + lateMs;
  for (const { kind, from, to } of [...journal].sort((a, b) => a.from - b.from))
    if (blinding.includes(kind) && from <= end && to >= at) end = Math.max(end, to + promisedMs + lateMs);
  return end;
}

/**
 * Up to which commit (ms) events may be told to the bearer of a token that expires: the same behind its end, by the
 * clock that was least ahead when it was made, and behind the grace that an open socket has.
 */
export function expiredUntil(
  token: { readonly expiresAtMs: number; readonly leastAheadMs: number },
  journal: readonly JournalEntry[],
  lateMs: number,
): number {
  return revokedUntil(token.expiresAtMs - token.leastAheadMs + graceMs, journal, lateMs);
}
