import type { TestApp } from './app.ts';
import type { As, Clients, Json } from './clients.ts';
import { key } from './operations.ts';
import { createUser } from './wallets.ts';

const listingFields = `
  id state origin seller { id } priceSats amountSats remainingSats endsAt endBlock
  stream { id state recipient { id } }`;

const changing = (name: string) => `
  mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { listing { ${listingFields} } }
  }`;

export const createListing = changing('createListing');
export const updateListing = changing('updateListing');
export const cancelListing = changing('cancelListing');
export const buyListing = changing('buyListing');

const ofStream = (name: string) => `
  mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { stream { id state withdrawnSats withdrawableSats recipient { id } } }
  }`;

export const withdrawFromStream = ofStream('withdrawFromStream');
export const settleStream = ofStream('settleStream');
export const pauseStream = ofStream('pauseStream');
export const resumeStream = ofStream('resumeStream');
export const cancelStream = ofStream('cancelStream');

export const readListing = `
  query ($id: ID!) { node(id: $id) { ... on Listing { ${listingFields} } } }`;

export const readStream = `
  query ($id: ID!) { stream(id: $id) { id state withdrawnSats recipient { id } } }`;

export const listListings = `
  query ($state: ListingState, $first: Int, $after: String) {
    listings(state: $state, first: $first, after: $after) {
      feedCursor pageInfo { hasNextPage endCursor } edges { node { ${listingFields} } }
    }
  }`;

export const watchMarketplace = `
  subscription ($after: Cursor) {
    marketplaceUpdated(after: $after) {
      __typename id cursor occurredAt
      listing { ${listingFields} }
      ... on ListingCreated { priceSats }
      ... on ListingUpdated { newPriceSats }
      ... on ListingCancelled { reason }
      ... on ListingSold { buyer { id } seller { id } priceSats }
      ... on ListingReorganised { rolledBack }
    }
  }`;

export const watchStream = `
  subscription ($id: ID!, $after: Cursor) {
    streamUpdated(id: $id, after: $after) {
      __typename id cursor
      stream { id state recipient { id } }
      ... on StreamSettled { settledSats }
      ... on StreamWithdrawn { amountSats }
      ... on StreamTransferred { from { id } to { id } }
    }
  }`;

/** A user of a test: who they are, and how they authenticate. */
export interface Person extends As {
  readonly id: string;
  readonly token: string;
}

type Server = Pick<TestApp, 'services' | 'token' | 'ask'>;

/** A user whom no other test knows. */
export const newPerson = (app: Server, sats = 0, roles?: readonly string[]): Promise<Person> =>
  createUser(app, `somebody ${key()}`, sats, roles);

/** A stream that begins to vest now, or at `startsAt`; the sender must have its amount. */
export async function startStream(
  app: Pick<Clients, 'ask'>,
  sender: As,
  recipientId: string,
  { amountSats, startsAt, endsAt }: { amountSats: number; startsAt?: Date; endsAt: Date },
): Promise<string> {
  const { createStream }: Json = await app.ask(
    'mutation ($input: CreateStreamInput!) { createStream(input: $input) { stream { id } } }',
    { input: { recipientId, amountSats, startsAt, endsAt, idempotencyKey: key() } },
    sender,
  );
  return createStream.stream.id;
}

/** Offers what is left of a stream; answers the id of the listing. */
export async function list(
  app: Pick<Clients, 'ask'>,
  seller: As,
  streamId: string,
  priceSats: number,
): Promise<string> {
  const made: Json = await app.ask(
    createListing,
    { input: { streamId, priceSats, idempotencyKey: key() } },
    seller,
  );
  return made.createListing.listing.id;
}

/** What buys a listing, whatever remains of its stream unless given. */
export const purchase = (listingId: string, expectedPriceSats: number, minimumRemainingSats = 1) => ({
  listingId,
  expectedPriceSats,
  minimumRemainingSats,
  idempotencyKey: key(),
});
