import type { Sats } from '../money/sats.ts';
import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { listingErrors } from './errors.ts';
import { type ListingAction, nextState } from './machine.ts';
import type { Listing } from './queries.ts';

export type ListingSteps = ReturnType<typeof createListingSteps>;

/** What commands and rules do to a listing, within their transactions. */
export function createListingSteps({ clock }: { readonly clock: Clock }) {
  return {
    /**
     * Moves a locked listing on, with another price if given.
     * @throws PublicError CONFLICT (TAKEN once it is sold, else INVALID_STATE) when its state does not allow that.
     */
    async advance(
      tx: Transaction,
      listing: Listing,
      action: ListingAction,
      priceSats: Sats = listing.priceSats,
    ): Promise<void> {
      const state = nextState(listing.state, action);
      if (!state) throw listingErrors.wrongState(listing.state);
      await tx.query('UPDATE listings SET state = $2, price_sats = $3, updated_at = $4 WHERE id = $1', [
        listing.id,
        state,
        priceSats,
        new Date(clock.now()),
      ]);
    },
  };
}
