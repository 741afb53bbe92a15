import { type Sats, satsToJson } from '../money/sats.ts';
import { activityTopic } from '../platform/auth/users.ts';
import type { Facts } from '../platform/log/event.ts';
import type { NewEvent } from '../platform/log/insertion.ts';

/** The feed of all that is bought and sold. */
export const marketplaceTopic = 'marketplace';

/** The names of the events of the marketplace, which are those of their GraphQL types. */
export type ListingEventType =
  | 'ListingCreated'
  | 'ListingUpdated'
  | 'ListingCancelled'
  | 'ListingSold'
  | 'ListingReorganised';

/** What an event needs to know of its listing. */
export interface EventListing {
  readonly id: string;
  /** A user. */
  readonly seller: string;
}

function listingEvent(
  { id, seller }: EventListing,
  type: ListingEventType,
  facts: Facts,
  others: readonly string[] = [],
): NewEvent {
  const topics = [marketplaceTopic, ...new Set([seller, ...others].map(activityTopic))];
  return { type, facts: { listingId: id, ...facts }, topics };
}

/** Why a listing went that nobody has bought and its seller has not withdrawn. */
export type EndReason = 'STREAM_CANCELLED' | 'STREAM_VESTED';

export const listingEvents = {
  created: (listing: EventListing, price: Sats) =>
    listingEvent(listing, 'ListingCreated', { priceSats: satsToJson(price) }),
  updated: (listing: EventListing, newPrice: Sats) =>
    listingEvent(listing, 'ListingUpdated', { newPriceSats: satsToJson(newPrice) }),
  cancelled: (listing: EventListing, reason: EndReason | null) =>
    listingEvent(listing, 'ListingCancelled', { reason }),
  sold: (listing: EventListing, buyer: string, price: Sats) =>
    listingEvent(listing, 'ListingSold', { buyer, seller: listing.seller, priceSats: satsToJson(price) }, [
      buyer,
    ]),
  /** A reorganisation of the chain undid an event. */
  reorganised: (listing: EventListing, rolledBack: string) =>
    listingEvent(listing, 'ListingReorganised', { rolledBack }),
};
