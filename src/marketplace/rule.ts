import type { Log } from '../platform/log/log.ts';
import type { StreamRule } from '../streams/rules.ts';
import { listingErrors } from './errors.ts';
import { listingEvents } from './events.ts';
import { lockListingOf } from './queries.ts';
import type { ListingSteps } from './steps.ts';

interface Dependencies {
  readonly log: Log;
  readonly steps: ListingSteps;
}

/**
 * What the marketplace has to say about streams: nothing is paid out of what is for sale, and what vests no further
 * is no longer for sale.
 */
export function createListingRule({ log, steps }: Dependencies): StreamRule {
  return {
    async beforePayout(tx, { id }) {
      if (await lockListingOf(tx, id)) throw listingErrors.listed();
    },
    async ended(tx, { id }, reason) {
      const listing = await lockListingOf(tx, id);
      if (!listing) return;
      await steps.advance(tx, listing, 'END');
      log.append(tx, listingEvents.cancelled(listing, `STREAM_${reason}`));
    },
  };
}
