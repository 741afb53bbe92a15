import { builder } from '../graphql/builder.ts';
import type { Context } from '../graphql/context.ts';
import { EventRef, fact } from '../graphql/events.ts';
import { load } from '../graphql/loaders.ts';
import { NodeRef, registerNode } from '../graphql/node.ts';
import { OriginEnum } from '../graphql/origin.ts';
import { loadUser, UserRef } from '../graphql/users.ts';
import { forbidden } from '../platform/errors.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import { isId } from '../platform/ids.ts';
import { accessToStream, StreamRef } from '../streams/graphql.ts';
import { type StreamView, streamsByIds, streamsOfChain } from '../streams/queries.ts';
import type { ListingEventType } from './events.ts';
import { type ListingState, listingStates } from './machine.ts';
import { type Listing, listingsByIds } from './queries.ts';

const stateDescriptions: Record<ListingState, string> = {
  ACTIVE: 'It can be bought.',
  SOLD: 'Somebody has bought it.',
  CANCELLED: 'Its seller has withdrawn it.',
  ENDED: 'The stream was cancelled, or has vested to its end.',
};

export const ListingStateEnum = builder.enumType('ListingState', {
  description: 'Where a listing stands.',
  values: Object.fromEntries(
    listingStates.map((state) => [state, { description: stateDescriptions[state] }]),
  ) as Record<ListingState, { description: string }>,
});

/** A listing by its id. */
export async function findListing(context: Context, id: string): Promise<Listing> {
  const listing = isId('lst', id) ? await load(context, listingsByIds, (row) => row.id, id) : undefined;
  if (!listing) throw forbidden();
  return listing;
}

registerNode('lst', 'Listing', findListing);

/**
 * The stream that is sold, whoever asks: what a buyer must know of it is public. Undefined of a mirrored listing whose
 * stream is not mirrored yet.
 */
const soldStream = async (
  context: Context,
  { streamId, chainStream }: Listing,
): Promise<StreamView | undefined> =>
  streamId === null
    ? load(context, streamsOfChain, (row) => row.chainStream, chainStream as string)
    : load(context, streamsByIds, (row) => row.id, streamId);

export const ListingRef = builder.objectRef<Listing>('Listing').implement({
  description: 'An offer of what is left of a stream. Shown to whoever has credentials.',
  interfaces: [NodeRef],
  fields: (t) => ({
    state: t.expose('state', { type: ListingStateEnum, description: 'Where it stands.' }),
    origin: t.expose('origin', { type: OriginEnum, description: 'Where it is decided.' }),
    seller: t.field({
      type: UserRef,
      description: 'Who sells.',
      resolve: ({ seller }, _args, context) => loadUser(context, seller),
    }),
    priceSats: t.expose('priceSats', { type: 'Sats', description: 'What it costs; sats.' }),
    amountSats: t.field({
      type: 'Sats',
      description:
        'All that the stream vests; sats. 0 until the stream of a mirrored listing is mirrored too.',
      resolve: async (listing, _args, context) => (await soldStream(context, listing))?.amountSats ?? 0n,
    }),
    remainingSats: t.field({
      type: 'Sats',
      description: 'What was not paid out of the stream yet, vested or not; sats.',
      resolve: async (listing, _args, context) => {
        const stream = await soldStream(context, listing);
        return stream ? stream.amountSats - stream.withdrawnSats - stream.refundedSats - stream.feeSats : 0n;
      },
    }),
    endsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When all of the stream has vested. Null when it vests by blocks.',
      resolve: async (listing, _args, context) => {
        const stream = await soldStream(context, listing);
        return stream?.clock === 'TIME' ? new Date(stream.ends) : null;
      },
    }),
    endBlock: t.int({
      nullable: true,
      description: 'The height at which all of the stream has vested. Null when it vests by time.',
      resolve: async (listing, _args, context) => {
        const stream = await soldStream(context, listing);
        return stream?.clock === 'BLOCK' ? stream.ends : null;
      },
    }),
    stream: t.field({
      type: StreamRef,
      nullable: true,
      description: 'The stream. To its parties, SERVICE and ADMIN; null to others.',
      resolve: async (listing, _args, context) => {
        const stream = await soldStream(context, listing);
        return stream && accessToStream(context, stream) ? stream : null;
      },
    }),
  }),
});

export const MarketplaceEventRef = builder.interfaceRef<Delivery>('MarketplaceEvent').implement({
  description: 'Something that happened on the marketplace.',
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    listing: t.field({
      type: ListingRef,
      description: 'The listing when the event is executed: never older than the event, perhaps newer.',
      resolve: (delivery, _args, context) => findListing(context, fact<string>(delivery, 'listingId')),
    }),
  }),
});

/** An event type of the marketplace; its name is that of the log row. */
const listingEventRef = (name: ListingEventType) => builder.objectRef<Delivery>(name);

const interfaces = [MarketplaceEventRef, EventRef];

const sats = (name: string) => (delivery: Delivery) => fact<number>(delivery, name);

listingEventRef('ListingCreated').implement({
  description: 'What is left of a stream is for sale.',
  interfaces,
  fields: (t) => ({
    priceSats: t.field({ type: 'Sats', description: 'The price; sats.', resolve: sats('priceSats') }),
  }),
});

listingEventRef('ListingUpdated').implement({
  description: 'The seller asks for another price.',
  interfaces,
  fields: (t) => ({
    newPriceSats: t.field({
      type: 'Sats',
      description: 'The price from now on; sats.',
      resolve: sats('newPriceSats'),
    }),
  }),
});

listingEventRef('ListingCancelled').implement({
  description: 'It is no longer for sale: its seller has withdrawn it, or the stream has ended.',
  interfaces,
  fields: (t) => ({
    reason: t.string({
      nullable: true,
      description: 'STREAM_CANCELLED or STREAM_VESTED; null when its seller has withdrawn it.',
      resolve: (delivery) => fact<string | null>(delivery, 'reason'),
    }),
  }),
});

listingEventRef('ListingSold').implement({
  description: 'Somebody has bought it: they are the recipient of the stream from now on.',
  interfaces,
  fields: (t) => ({
    buyer: t.field({
      type: UserRef,
      description: 'Who has bought it.',
      resolve: (delivery, _args, context) => loadUser(context, fact<string>(delivery, 'buyer')),
    }),
    seller: t.field({
      type: UserRef,
      description: 'Who has sold it.',
      resolve: (delivery, _args, context) => loadUser(context, fact<string>(delivery, 'seller')),
    }),
    priceSats: t.field({ type: 'Sats', description: 'What was paid; sats.', resolve: sats('priceSats') }),
  }),
});

listingEventRef('ListingReorganised').implement({
  description:
    'A reorganisation of the chain undid an event. The listing is as if it had not happened. Mirrored listings only.',
  interfaces,
  fields: (t) => ({
    rolledBack: t.id({
      description: 'The id of the event that was undone.',
      resolve: (delivery) => fact<string>(delivery, 'rolledBack'),
    }),
  }),
});
