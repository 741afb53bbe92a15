import type { Log } from '../platform/log/log.ts';
import type { StreamRule } from '../streams/rules.ts';
import { listingEvents } from './events.ts';
import { lockListingOf } from './queries.ts';
import type { ListingSteps } from './steps.ts';

interface Dependencies {
  readonly log: Log;
  readonly steps: ListingSteps;
}

/** What the marketplace has to say about streams: what vests no further is no longer for sale. */
export function createListingRule({ log, steps }: Dependencies): StreamRule {
  return {
    async ended(tx, { id, isHeld }, reason) {
      const listing = isHeld ? await lockListingOf(tx, id) : undefined;
      if (!listing) return;
      await steps.advance(tx, listing, 'END');
      log.append(tx, listingEvents.cancelled(listing, `STREAM_${reason}`));
    },
  };
}
