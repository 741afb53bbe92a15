import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import type { Context } from '../graphql/context.ts';
import { watch } from '../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription } from '../graphql/input.ts';
import type { Sats } from '../money/sats.ts';
import { badInput, forbidden } from '../platform/errors.ts';
import { isId } from '../platform/ids.ts';
import { marketplaceTopic } from './events.ts';
import { findListing, ListingRef, ListingStateEnum, MarketplaceEventRef } from './graphql.ts';
import { type Listing, listingsByIds, listListings } from './queries.ts';

/** A listing that a command has just changed: read anew. */
async function changedListing({ services }: Context, id: string): Promise<Listing> {
  const [listing] = await listingsByIds(services.db, [id]);
  return listing as Listing;
}

builder.queryField('listings', (t) =>
  t.connection(
    {
      type: ListingRef,
      authScopes: { credentials: true },
      description: 'What is for sale, and what was, newest first. Errors: UNAUTHENTICATED, BAD_USER_INPUT.',
      args: { state: t.arg({ type: ListingStateEnum, description: 'Only those in this state.' }) },
      resolve: async (_root, args, { services }) => {
        // Before the list is read: what it shows may be newer than the cursor, never older.
        const feedCursor = await services.feeds.log.cursor(marketplaceTopic);
        const connection = await listConnection<Listing>(
          args,
          (listing) => listing.id,
          (page) => listListings(services.db, { state: args.state ?? undefined }, page),
        );
        return { ...connection, feedCursor };
      },
    },
    {
      name: 'ListingConnection',
      description: 'A page of listings.',
      fields: (f) => ({
        feedCursor: f.field({
          type: 'Cursor',
          description: 'Where marketplaceUpdated stood at this read: query, then subscribe after it.',
          resolve: ({ feedCursor }) => feedCursor,
        }),
      }),
    },
    { name: 'ListingEdge', description: 'A listing in a list.' },
  ),
);

const key = { required: true, description: idempotencyKeyDescription } as const;
const listingId = { required: true, description: 'The id of the listing.' } as const;

function priceIn(priceSats: Sats): Sats {
  if (priceSats < 1n) throw badInput('priceSats', 'A price is at least 1 sat.');
  return priceSats;
}

/** What the mutations of the marketplace answer. */
const listingPayload = (name: string) =>
  builder.objectRef<{ readonly listing: Listing }>(name).implement({
    description: 'The listing that was changed.',
    fields: (t) => ({
      listing: t.expose('listing', { type: ListingRef, description: 'The listing as it is now.' }),
    }),
  });

const CreateListingInput = builder.inputType('CreateListingInput', {
  description: 'What is sold, and for how much.',
  fields: (t) => ({
    streamId: t.id({ required: true, description: 'The id of the stream.' }),
    priceSats: t.field({ type: 'Sats', required: true, description: 'The price; sats, at least 1.' }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('createListing', (t) =>
  t.field({
    type: listingPayload('CreateListingPayload'),
    authScopes: { user: true },
    description:
      'Offers what is left of a stream. Its recipient. While it is listed nothing is paid out of it. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT (INVALID_STATE, LISTED).',
    args: { input: t.arg({ type: CreateListingInput, required: true, description: 'The listing.' }) },
    resolve: async (_root, { input }, context) => {
      const { streamId } = input;
      // Whose it is, the command looks at: it may be a repetition of who has sold it since.
      if (!isId('str', streamId)) throw forbidden();
      const made = await context.services.marketplace.create(context.viewer, {
        streamId,
        priceSats: priceIn(input.priceSats),
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { listing: await changedListing(context, made.listingId) };
    },
  }),
);

const UpdateListingInput = builder.inputType('UpdateListingInput', {
  description: 'Another price.',
  fields: (t) => ({
    listingId: t.id(listingId),
    priceSats: t.field({
      type: 'Sats',
      required: true,
      description: 'The price from now on; sats, at least 1.',
    }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('updateListing', (t) =>
  t.field({
    type: listingPayload('UpdateListingPayload'),
    authScopes: { user: true },
    description:
      'Asks for another price. Its seller. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT (INVALID_STATE, TAKEN).',
    args: { input: t.arg({ type: UpdateListingInput, required: true, description: 'The price.' }) },
    resolve: async (_root, { input }, context) => {
      const { id } = await findListing(context, input.listingId);
      await context.services.marketplace.update(context.viewer, {
        listingId: id,
        priceSats: priceIn(input.priceSats),
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { listing: await changedListing(context, id) };
    },
  }),
);

const CancelListingInput = builder.inputType('CancelListingInput', {
  description: 'Which listing.',
  fields: (t) => ({ listingId: t.id(listingId), idempotencyKey: t.string(key) }),
});

builder.mutationField('cancelListing', (t) =>
  t.field({
    type: listingPayload('CancelListingPayload'),
    authScopes: { user: true },
    description:
      'Withdraws an offer. Its seller. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT (INVALID_STATE, TAKEN).',
    args: { input: t.arg({ type: CancelListingInput, required: true, description: 'Which listing.' }) },
    resolve: async (_root, { input }, context) => {
      const { id } = await findListing(context, input.listingId);
      await context.services.marketplace.cancel(context.viewer, {
        listingId: id,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { listing: await changedListing(context, id) };
    },
  }),
);

const BuyListingInput = builder.inputType('BuyListingInput', {
  description: 'What is bought, and on which conditions.',
  fields: (t) => ({
    listingId: t.id(listingId),
    expectedPriceSats: t.field({
      type: 'Sats',
      required: true,
      description: 'The price that you were shown; sats. With another one nothing is bought.',
    }),
    minimumRemainingSats: t.field({
      type: 'Sats',
      required: true,
      description: 'What must remain of the stream at least; sats. With less nothing is bought.',
    }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('buyListing', (t) =>
  t.field({
    type: listingPayload('BuyListingPayload'),
    authScopes: { user: true },
    description:
      'Buys what is left of a stream: its price leaves your wallet, and you are its recipient. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, INSUFFICIENT_FUNDS, CONFLICT (TAKEN, PRICE_CHANGED, INVALID_STATE).',
    args: { input: t.arg({ type: BuyListingInput, required: true, description: 'The purchase.' }) },
    resolve: async (_root, { input }, context) => {
      const { id } = await findListing(context, input.listingId);
      await context.services.marketplace.buy(context.viewer, {
        listingId: id,
        expectedPriceSats: input.expectedPriceSats,
        minimumRemainingSats: input.minimumRemainingSats,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { listing: await changedListing(context, id) };
    },
  }),
);

builder.subscriptionField('marketplaceUpdated', (t) =>
  t.field({
    type: MarketplaceEventRef,
    authScopes: { credentials: true },
    description:
      'All that happens on the marketplace. Live from now without `after`. Errors: UNAUTHENTICATED, BAD_USER_INPUT, CURSOR_EXPIRED.',
    args: { after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }) },
    subscribe: (_root, { after }, context) =>
      watch(context, { topic: marketplaceTopic, after, view: { access: 'PUBLIC' } }),
    resolve: (delivery) => delivery,
  }),
);
