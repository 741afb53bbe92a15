import type { PaymentLookUp } from '../lightning/payer.ts';
import type { Sats } from '../sats.ts';

/** Where a payout stands. */
export const payoutStates = ['PENDING', 'PAID', 'FAILED'] as const;

export type PayoutState = (typeof payoutStates)[number];

/** Why a payout failed: each time it is certain that nothing was or will be paid. */
export const failureReasons = ['PAYMENT_FAILED', 'NEVER_PAID', 'NOT_SENT', 'INVOICE_NOT_OPEN'] as const;

export type FailureReason = (typeof failureReasons)[number];

/** What is held for the fee of routing a payment. */
export interface FeeReserve {
  /** Of the amount; hundredths of a percent. */
  readonly basisPoints: number;
  readonly minimumSats: Sats;
}

/** What is held for the fee: max(minimum, ceil(amount × basis points / 10,000)); sats. */
export function feeReserve(amount: Sats, { basisPoints, minimumSats }: FeeReserve): Sats {
  const part = (amount * BigInt(basisPoints) + 9_999n) / 10_000n;
  return part > minimumSats ? part : minimumSats;
}

/** Millisats as whole sats: rounded up, as the rest of a sat is nobody's. */
export function satsOfMsats(msats: bigint): Sats {
  return (msats + 999n) / 1_000n;
}

/**
 * Behind the end of its invoice no node pays it any more; what is on its way then is known to the wallet that pays.
 * ms.
 */
const certainlyUnpaidAfterMs = 3_600_000;

/** Why a payout that was sent has failed, by what a look-up says of it; undefined when that is not certain. */
export function failureOf(
  { state }: PaymentLookUp,
  expiresAt: Date,
  now: number,
): 'PAYMENT_FAILED' | 'NEVER_PAID' | undefined {
  if (state === 'FAILED') return 'PAYMENT_FAILED';
  const isCertain = now >= expiresAt.getTime() + certainlyUnpaidAfterMs;
  return state === 'UNKNOWN' && isCertain ? 'NEVER_PAID' : undefined;
}

const shortestPauseMs = 1_000;
const longestPauseMs = 600_000;

/** How long until a payout is looked up again: a tenth of the time since it was sent, 1 s to 10 min; ms. */
export function lookUpPauseMs(sentAt: Date, now: number): number {
  return Math.min(Math.max((now - sentAt.getTime()) / 10, shortestPauseMs), longestPauseMs);
}
