import { conflict, PublicError } from '../platform/errors.ts';
import type { ListingState } from './machine.ts';

/** Everything that a marketplace command refuses, and what the caller is told. */
export const listingErrors = {
  wrongState: (state: ListingState) =>
    state === 'SOLD'
      ? conflict('TAKEN', 'The listing was sold.')
      : conflict('INVALID_STATE', `The listing is ${state}.`),
  priceChanged: () => conflict('PRICE_CHANGED', 'The listing has another price now.'),
  lessRemains: () => conflict('INVALID_STATE', 'Less remains of the stream than you want at least.'),
  ownListing: () => conflict('INVALID_STATE', 'A party of the stream cannot buy it.'),
  mirrored: () =>
    new PublicError('FORBIDDEN', 'The listing is mirrored from the chain, and is changed only there.', {
      reason: 'MIRRORED',
    }),
};
