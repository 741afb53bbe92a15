import type { Sats } from '../money/sats.ts';

/** Where a listing stands. */
export const listingStates = ['ACTIVE', 'SOLD', 'CANCELLED', 'ENDED'] as const;

export type ListingState = (typeof listingStates)[number];

/** What can happen to a listing. */
export type ListingAction = 'UPDATE' | 'CANCEL' | 'BUY' | 'END';

const transitions: Readonly<Record<ListingState, Partial<Record<ListingAction, ListingState>>>> = {
  ACTIVE: { UPDATE: 'ACTIVE', CANCEL: 'CANCELLED', BUY: 'SOLD', END: 'ENDED' },
  SOLD: {},
  CANCELLED: {},
  ENDED: {},
};

/** The state that an action leads to; undefined where it does not fit. */
export function nextState(state: ListingState, action: ListingAction): ListingState | undefined {
  return transitions[state][action];
}

/** What of a price is the seller's, and what the fee: floor(price × basis points / 10,000); sats. */
export function splitPrice(
  price: Sats,
  feeBasisPoints: number,
): { readonly fee: Sats; readonly proceeds: Sats } {
  const fee = (price * BigInt(feeBasisPoints)) / 10_000n;
  return { fee, proceeds: price - fee };
}
