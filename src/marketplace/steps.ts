import type { Sats } from '../money/sats.ts';
import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import { listingErrors } from './errors.ts';
import { type ListingAction, nextState } from './machine.ts';
import { type Listing, lockListing } from './queries.ts';

export type ListingSteps = ReturnType<typeof createListingSteps>;

/** What commands and rules do to a listing, within their transactions. */
export function createListingSteps({ clock }: { readonly clock: Clock }) {
  return {
    /**
     * A listing that is sold here.
     * @throws PublicError FORBIDDEN when there is none of this id, or it is mirrored.
     */
    async locked(tx: Transaction, id: string): Promise<Listing> {
      const listing = await lockListing(tx, id);
      if (!listing) throw forbidden();
      if (listing.origin !== 'SATWIRE') throw listingErrors.mirrored();
      return listing;
    },

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
