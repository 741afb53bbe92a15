import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/platform/ids.ts';
import { useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import {
  buyListing,
  cancelListing,
  createListing,
  list,
  listListings,
  newPerson,
  type Person,
  purchase,
  readListing,
  startStream,
  updateListing,
  watchMarketplace,
} from '../support/marketplace.ts';
import { key, openSession } from '../support/operations.ts';

const clock = standingClock(Math.floor(Date.now() / 1_000) * 1_000);
const app = useTestApp({ AGENT: 'external' }, { clock });

let sender: Person;
let seller: Person;
let buyer: Person;
let stranger: Person;
let service: Person;
let admin: Person;
beforeAll(async () => {
  sender = await newPerson(app(), 100_000);
  seller = await newPerson(app());
  buyer = await newPerson(app(), 100_000);
  stranger = await newPerson(app());
  service = await newPerson(app(), 0, ['SERVICE']);
  admin = await newPerson(app(), 0, ['ADMIN']);
});

async function offer(priceSats = 10): Promise<{ streamId: string; listingId: string }> {
  const endsAt = new Date(clock.now() + 1_000_000);
  const streamId = await startStream(app(), sender, seller.id, { amountSats: 1_000, endsAt });
  return { streamId, listingId: await list(app(), seller, streamId, priceSats) };
}

/** The listing as `node` and `listings` show it, which must be the same. */
async function shown(id: string, as: As): Promise<Json> {
  const { node } = await app().ask(readListing, { id }, as);
  const { listings } = await app().ask(listListings, { first: 100 }, as);
  expect(listings.edges.find((edge: Json) => edge.node.id === id).node).toEqual(node);
  return node;
}

describe('the stream of a listing', () => {
  it('is shown to its parties, SERVICE and ADMIN; to others is shown what a buyer must know of it', async () => {
    const { streamId, listingId } = await offer();
    for (const who of [sender, seller, service, admin])
      expect(await shown(listingId, who)).toMatchObject({
        stream: { id: streamId, recipient: { id: seller.id } },
      });
    const { accessToken } = await openSession(app(), 100);
    for (const who of [stranger, buyer, { token: accessToken }])
      expect(await shown(listingId, who)).toMatchObject({
        stream: null,
        seller: { id: seller.id },
        amountSats: 1_000,
        remainingSats: 1_000,
        endsAt: new Date(clock.now() + 1_000_000).toISOString(),
      });
    await app().ask(buyListing, { input: purchase(listingId, 10) }, buyer);
    for (const who of [stranger, seller]) expect(await shown(listingId, who)).toMatchObject({ stream: null });
    for (const who of [sender, buyer, service])
      expect(await shown(listingId, who)).toMatchObject({
        stream: { id: streamId, recipient: { id: buyer.id } },
      });
  });

  it('is shown to nobody in the feed that all share, whoever watches', async () => {
    const watchers = [stranger, sender, seller, service, admin];
    const { listings } = await app().ask(listListings, { first: 1 }, stranger);
    const watched = watchers.map((who) => app().watch(watchMarketplace, { after: listings.feedCursor }, who));
    const { listingId } = await offer();
    await app().ask(cancelListing, { input: { listingId, idempotencyKey: key() } }, seller);
    for (const each of watched) {
      await each.count(2);
      expect(each.errors).toBeUndefined();
      expect(each.events).toMatchObject([
        { __typename: 'ListingCreated', listing: { id: listingId, stream: null, remainingSats: 1_000 } },
        { __typename: 'ListingCancelled', listing: { id: listingId, stream: null, state: 'CANCELLED' } },
      ]);
      expect(each.events).toEqual(watched[0]?.events);
    }
  });

  it('is shown to its parties in their own feeds', async () => {
    const own = await newPerson(app());
    const endsAt = new Date(clock.now() + 1_000_000);
    const streamId = await startStream(app(), sender, own.id, { amountSats: 10, endsAt });
    const activity = `subscription ($after: Cursor) {
      activity(after: $after) { __typename ... on MarketplaceEvent { listing { id stream { id } } } }
    }`;
    const watched = app().watch(activity, { after: 'START' }, own);
    const id = await list(app(), own, streamId, 5);
    expect(await watched.event('ListingCreated')).toMatchObject({
      listing: { id, stream: { id: streamId } },
    });
  });
});

it('shows nothing to whoever has no credentials', async () => {
  const { listingId, streamId } = await offer();
  const nobody = { extensions: { code: 'UNAUTHENTICATED' } };
  for (const [document, variables] of [
    [readListing, { id: listingId }],
    [readListing, { id: 'lst_none' }],
    [listListings, { first: 1 }],
    [createListing, { input: { streamId, priceSats: 1, idempotencyKey: key() } }],
    [updateListing, { input: { listingId, priceSats: 1, idempotencyKey: key() } }],
    [cancelListing, { input: { listingId, idempotencyKey: key() } }],
    [buyListing, { input: purchase(listingId, 10) }],
  ] as const)
    expect((await app().send(document, variables)).errors).toMatchObject([nobody]);
  const watched = app().watch(watchMarketplace, {});
  await expect.poll(() => watched.errors, { timeout: 10_000 }).toMatchObject([nobody]);
});

it('answers listings that are guessed as those that do not exist', async () => {
  const answers = await Promise.all(
    ['lst_00000000000000000000000000', newId('lst'), 'lst_1', 'lst_\u0000'].map(async (id) => {
      const { errors } = await app().send(readListing, { id }, stranger);
      return errors?.map(({ message, extensions }) => ({ message, extensions }));
    }),
  );
  for (const answer of answers) {
    expect(answer).toEqual(answers[0]);
    expect(answer).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  }
});

it('lists by state, newest first, a page at a time; its feed goes on where the list was read', async () => {
  const made = [];
  for (let n = 0; n < 3; n += 1) {
    clock.advance(1);
    made.push((await offer()).listingId);
  }
  await app().ask(cancelListing, { input: { listingId: made[1], idempotencyKey: key() } }, seller);
  const page = async (variables: object): Promise<Json> =>
    (await app().ask(listListings, { ...variables }, stranger)).listings;
  const ids = ({ edges }: Json) => edges.map(({ node }: Json) => node.id);
  const first = await page({ first: 2 });
  expect(ids(first)).toEqual([made[2], made[1]]);
  expect(ids(await page({ first: 1, after: first.pageInfo.endCursor }))).toEqual([made[0]]);
  expect(ids(await page({ state: 'ACTIVE', first: 2 }))).toEqual([made[2], made[0]]);
  expect(ids(await page({ state: 'CANCELLED', first: 1 }))).toEqual([made[1]]);
  const watched = app().watch(watchMarketplace, { after: first.feedCursor }, stranger);
  const next = (await offer()).listingId;
  await watched.count(1);
  expect(watched.events.map(({ __typename, listing }) => [__typename, listing.id])).toEqual([
    ['ListingCreated', next],
  ]);
  const behind = app().watch(watchMarketplace, { after: 'not a cursor' }, stranger);
  await expect
    .poll(() => behind.errors, { timeout: 10_000 })
    .toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', argument: 'after' } }]);
});

describe('what is mirrored from the chain', () => {
  const mirrored = { code: 'FORBIDDEN', reason: 'MIRRORED' };
  const streamId = newId('str');
  const listingId = newId('lst');

  beforeAll(async () => {
    const { db } = app().services;
    const now = new Date(clock.now());
    for (const [address, { id }] of [
      ['STSENDER', sender],
      ['STSELLER', seller],
    ] as const)
      await db.query('INSERT INTO user_addresses (address, user_id) VALUES ($1, $2)', [address, id]);
    await db.query(
      `INSERT INTO streams (id, origin, clock, sender, recipient, state, amount_sats, starts, ends, chain_key, created_at, updated_at)
       VALUES ($1, 'STACKS', 'BLOCK', 'STSENDER', 'STSELLER', 'ACTIVE', 500, 10, 20, 'stream-1', $2, $2)`,
      [streamId, now],
    );
    await db.query(
      `INSERT INTO listings (id, origin, stream_id, seller, price_sats, state, chain_key, created_at, updated_at)
       VALUES ($1, 'STACKS', $2, 'STSELLER', 250, 'ACTIVE', 'listing-1', $3, $3)`,
      [listingId, streamId, now],
    );
  });

  it('is shown like all else', async () => {
    expect(await shown(listingId, stranger)).toEqual({
      id: listingId,
      state: 'ACTIVE',
      origin: 'STACKS',
      seller: { id: seller.id },
      priceSats: 250,
      amountSats: 500,
      remainingSats: 500,
      endsAt: null,
      endBlock: 20,
      stream: null,
    });
    expect(await shown(listingId, seller)).toMatchObject({ stream: { id: streamId } });
  });

  it('is changed only there', async () => {
    for (const [document, input] of [
      [updateListing, { listingId, priceSats: 1, idempotencyKey: key() }],
      [cancelListing, { listingId, idempotencyKey: key() }],
      [buyListing, purchase(listingId, 250)],
    ] as const)
      for (const who of [seller, buyer])
        expect((await app().send(document, { input }, who)).errors?.[0]?.extensions).toEqual(mirrored);
    const input = { streamId, priceSats: 1, idempotencyKey: key() };
    expect((await app().send(createListing, { input }, seller)).errors?.[0]?.extensions).toEqual(mirrored);
    // To whom it is nothing, it is nothing.
    for (const who of [sender, stranger])
      expect((await app().send(createListing, { input }, who)).errors?.[0]?.extensions).toEqual({
        code: 'FORBIDDEN',
      });
  });
});
