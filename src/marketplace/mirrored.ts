import type { ChainEvent } from '../inbox/chainhook.ts';
import { maximumSats, type Sats } from '../money/sats.ts';
import type { ListingState } from './machine.ts';

/** A listing as its events on the chain make it; the seller is a principal. */
export interface ChainListing<Event extends ChainEvent> {
  /** The event that has made it. */
  readonly listed: Event;
  readonly seller: string;
  readonly priceSats: Sats;
  readonly state: ListingState;
  /** A principal, once it is sold. */
  readonly buyer: string | undefined;
}

/** What an event of the chain has done to a listing: as it is behind the event. */
export interface ChainStep<Event extends ChainEvent> {
  readonly event: Event;
  readonly listing: ChainListing<Event>;
}

const sales = ['market-direct-purchase-completed', 'market-gateway-purchase-completed'];

/** The events of the marketplace that are mirrored. */
const names = ['market-nft-listed', 'market-listing-price-updated', 'market-listing-cancelled', ...sales];

/** Which stream of a contract an event is about, by whose number its listings are told; undefined for none. */
export function entityOfListing({ name, contract, value }: ChainEvent): string | undefined {
  const number = value['stream-id'];
  return names.includes(name) && typeof number === 'bigint' && number >= 0n
    ? `${contract}/${number}`
    : undefined;
}

const textIn = ({ value }: ChainEvent, name: string): string | undefined => {
  const text = value[name];
  return typeof text === 'string' ? text : undefined;
};

const priceIn = ({ value }: ChainEvent, name: string): Sats | undefined => {
  const price = value[name];
  return typeof price === 'bigint' && price > 0n && price <= maximumSats ? price : undefined;
};

function after<Event extends ChainEvent>(
  listing: ChainListing<Event> | undefined,
  event: Event,
): ChainListing<Event> | undefined {
  if (event.name === 'market-nft-listed') {
    const seller = textIn(event, 'seller');
    const priceSats = priceIn(event, 'price');
    if (listing?.state === 'ACTIVE' || !seller || !priceSats) return undefined;
    return { listed: event, seller, priceSats, state: 'ACTIVE', buyer: undefined };
  }
  if (listing?.state !== 'ACTIVE') return undefined;
  if (event.name === 'market-listing-cancelled') return { ...listing, state: 'CANCELLED' };
  if (event.name === 'market-listing-price-updated') {
    const priceSats = priceIn(event, 'new-price');
    return priceSats === undefined ? undefined : { ...listing, priceSats };
  }
  const buyer = textIn(event, 'buyer');
  const priceSats = priceIn(event, 'price') ?? listing.priceSats;
  return buyer === undefined ? undefined : { ...listing, priceSats, state: 'SOLD', buyer };
}

/** What the events of one stream's listings, in the order of the chain, make of them. What makes no sense does nothing. */
export function replay<Event extends ChainEvent>(history: readonly Event[]): ChainStep<Event>[] {
  const steps: ChainStep<Event>[] = [];
  for (const event of history) {
    const listing = after(steps.at(-1)?.listing, event);
    if (listing) steps.push({ event, listing });
  }
  return steps;
}
