import { describe, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { As, Json, Received } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import {
  buyListing,
  cancelListing,
  cancelStream,
  createListing,
  list,
  listListings,
  newPerson,
  type Person,
  pauseStream,
  purchase,
  readListing,
  readStream,
  settleStream,
  startStream,
  updateListing,
  watchMarketplace,
  watchStream,
  withdrawFromStream,
} from '../support/marketplace.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import { until } from '../support/until.ts';
import { walletOf } from '../support/wallets.ts';

const clock = standingClock(Math.floor(Date.now() / 1_000) * 1_000);
const app = useTestApp({ AGENT: 'external' }, { clock });

const ask = (document: string, input: object, as: As): Promise<Json> => app().ask(document, { input }, as);

async function refusal(document: string, input: object, as: As): Promise<object | undefined> {
  return (await app().send(document, { input }, as)).errors?.[0]?.extensions;
}

const conflict = (reason: string) => ({ code: 'CONFLICT', reason });
const forbidden = { code: 'FORBIDDEN' };

const listingOf = async (id: string, as: As): Promise<Json> =>
  (await app().ask(readListing, { id }, as)).node;

const treasury = async () => Number(await app().services.ledger.balance(app().services.db, 'treasury'));

/** Types of a user's own feed, without what wallets tell. */
const typesOf = (rows: ReadonlyArray<{ event: { type: string } }>) => rows.map(({ event }) => event.type);

const activityOf = ({ id }: Person) => app().services.feeds.log.readPage(`user:${id}`, 0, 1_000);

/** What a subscription to a stream has told that is kept, behind its snapshot. */
const told = (received: Received): string[] =>
  received.events
    .map(({ __typename }) => __typename)
    .filter((type) => type !== 'StreamSnapshot' && type !== 'StreamUpdated');

/** What a stranger is told of one listing from now on. */
async function watchListing(listing: () => string) {
  const stranger = await newPerson(app());
  const { listings } = await app().ask(listListings, { first: 1 }, stranger);
  const received = app().watch(watchMarketplace, { after: listings.feedCursor }, stranger);
  const events = (): Json[] => received.events.filter((event) => event.listing.id === listing());
  return {
    events,
    event: (type: string): Promise<Json> =>
      until(`a ${type}`, () => events().find(({ __typename }) => __typename === type)),
  };
}

async function watchingStream(streamId: string, as: As) {
  const received = app().watch(watchStream, { id: streamId }, as);
  await received.event('StreamSnapshot');
  return received;
}

/** A stream of 1,000 sats over 100 seconds, a tenth of which has vested, whose recipient has it listed. */
async function listed({ amountSats = 1_000, priceSats = 500, sats = 10_000 } = {}) {
  const [sender, seller, buyer] = await Promise.all([
    newPerson(app(), amountSats),
    newPerson(app()),
    newPerson(app(), sats),
  ]);
  const endsAt = new Date(clock.now() + 100_000);
  const streamId = await startStream(app(), sender, seller.id, { amountSats, endsAt });
  clock.advance(10_000);
  const listingId = await list(app(), seller, streamId, priceSats);
  return { sender, seller, buyer, streamId, listingId, endsAt };
}

it('sells what is left of a stream, and tells everybody concerned', async () => {
  let listingId = '';
  const stranger = await watchListing(() => listingId);
  const before = await treasury();
  const { seller, sender, buyer, streamId, endsAt, ...made } = await listed();
  listingId = made.listingId;
  const sellers = await watchingStream(streamId, seller);
  const senders = await watchingStream(streamId, sender);

  const updated = { listingId, priceSats: 650, idempotencyKey: key() };
  expect((await ask(updateListing, updated, seller)).updateListing.listing).toMatchObject({
    state: 'ACTIVE',
    priceSats: 650,
  });
  expect((await ask(buyListing, purchase(listingId, 650, 1_000), buyer)).buyListing.listing).toEqual({
    id: listingId,
    state: 'SOLD',
    origin: 'SATWIRE',
    seller: { id: seller.id },
    priceSats: 650,
    amountSats: 1_000,
    remainingSats: 1_000,
    endsAt: endsAt.toISOString(),
    endBlock: null,
    stream: { id: streamId, state: 'ACTIVE', recipient: { id: buyer.id } },
  });

  // The price less the fee, floor(650 / 100), which is the treasury's.
  expect(await walletOf(app(), buyer.id)).toBe(10_000 - 650);
  expect(await walletOf(app(), seller.id)).toBe(644);
  expect((await treasury()) - before).toBe(6);

  // The seller is told, and nothing further; what they could see is no longer theirs.
  await until('the end of the seller', () => sellers.ended);
  expect(sellers.errors).toBeUndefined();
  expect(told(sellers)).toEqual(['StreamTransferred']);
  expect(sellers.events.at(-1)).toMatchObject({
    __typename: 'StreamTransferred',
    stream: null,
    from: { id: seller.id },
    to: { id: buyer.id },
  });
  const { errors } = await app().send(readStream, { id: streamId }, seller);
  expect(errors).toMatchObject([{ extensions: forbidden }]);

  // The buyer is the recipient, of what had vested before the sale too.
  const buyers = await watchingStream(streamId, buyer);
  clock.advance(10_000);
  await ask(withdrawFromStream, { streamId, amountSats: 150, idempotencyKey: key() }, buyer);
  expect(await walletOf(app(), buyer.id)).toBe(10_000 - 650 + 150);
  await buyers.event('StreamWithdrawn');
  await senders.event('StreamWithdrawn');
  expect(told(buyers)).toEqual(['StreamWithdrawn']);
  expect(told(senders)).toEqual(['StreamTransferred', 'StreamWithdrawn']);
  expect(told(sellers)).toEqual(['StreamTransferred']);

  await stranger.event('ListingSold');
  expect(stranger.events()).toMatchObject([
    { __typename: 'ListingCreated', priceSats: 500 },
    { __typename: 'ListingUpdated', newPriceSats: 650 },
    { __typename: 'ListingSold', buyer: { id: buyer.id }, seller: { id: seller.id }, priceSats: 650 },
  ]);
  expect(typesOf(await activityOf(seller))).toEqual([
    'StreamCreated',
    'ListingCreated',
    'ListingUpdated',
    'WalletCredited',
    'StreamTransferred',
    'ListingSold',
  ]);
  const bought = await activityOf(buyer);
  expect(typesOf(bought)).toEqual([
    'WalletCredited',
    'WalletDebited',
    'WalletDebited',
    'StreamTransferred',
    'ListingSold',
    'WalletCredited',
    'StreamWithdrawn',
  ]);
  // Price and fee leave the wallet one behind the other.
  expect(bought.slice(1, 3).map(({ event }) => event.facts.balanceAfter)).toEqual([
    10_000 - 644,
    10_000 - 650,
  ]);
  await expectMoneyAddsUp(app().services.db);
});

it('sells on what was bought, and back to who has sold it', async () => {
  const { seller, buyer, streamId, listingId } = await listed();
  const first = await watchingStream(streamId, seller);
  await ask(buyListing, purchase(listingId, 500), buyer);
  await until('the end of the seller', () => first.ended);
  const again = await list(app(), buyer, streamId, 400);
  const buyers = await watchingStream(streamId, buyer);
  await ask(buyListing, purchase(again, 400), seller);
  await until('the end of the buyer', () => buyers.ended);
  expect(told(buyers)).toEqual(['StreamTransferred']);
  const second = await watchingStream(streamId, seller);
  await ask(withdrawFromStream, { streamId, amountSats: 10, idempotencyKey: key() }, seller);
  await second.event('StreamWithdrawn');
  expect(await walletOf(app(), seller.id)).toBe(495 - 400 + 10);
  expect(await walletOf(app(), buyer.id)).toBe(10_000 - 500 + 396);
});

it('can be withdrawn by its seller, and listed again', async () => {
  let listingId = '';
  const stranger = await watchListing(() => listingId);
  const { seller, buyer, streamId, ...made } = await listed();
  listingId = made.listingId;
  const { cancelListing: cancelled } = await ask(cancelListing, { listingId, idempotencyKey: key() }, seller);
  expect(cancelled.listing).toMatchObject({ state: 'CANCELLED', stream: { id: streamId } });
  expect(await stranger.event('ListingCancelled')).toMatchObject({ reason: null });
  const invalid = conflict('INVALID_STATE');
  expect(await refusal(buyListing, purchase(listingId, 500), buyer)).toMatchObject(invalid);
  expect(await refusal(cancelListing, { listingId, idempotencyKey: key() }, seller)).toMatchObject(invalid);
  const update = { listingId, priceSats: 1, idempotencyKey: key() };
  expect(await refusal(updateListing, update, seller)).toMatchObject(invalid);
  // Now it pays out again, and less is sold.
  await ask(withdrawFromStream, { streamId, amountSats: 40, idempotencyKey: key() }, seller);
  const next = await list(app(), seller, streamId, 7);
  expect(await listingOf(next, buyer)).toMatchObject({ remainingSats: 960, amountSats: 1_000 });
  await ask(buyListing, purchase(next, 7, 960), buyer);
});

describe('listing', () => {
  const input = (streamId: string, priceSats = 100) => ({ streamId, priceSats, idempotencyKey: key() });

  it('is for the recipient alone', async () => {
    const { sender, seller, buyer, streamId, listingId } = await listed();
    await ask(cancelListing, { listingId, idempotencyKey: key() }, seller);
    const service = await newPerson(app(), 0, ['SERVICE']);
    for (const who of [sender, buyer, service])
      expect(await refusal(createListing, input(streamId), who)).toEqual(forbidden);
    expect(await refusal(createListing, input(streamId), {})).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('of ids that are guessed or malformed is refused as of what is another’s', async () => {
    const { buyer } = await listed();
    for (const id of ['str_00000000000000000000000000', 'lst_1', '', '\u0000', '1'])
      expect(await refusal(createListing, input(id), buyer)).toEqual(forbidden);
  });

  it('is refused twice, at once too', async () => {
    const { seller, streamId, listingId } = await listed();
    expect(await refusal(createListing, input(streamId), seller)).toMatchObject(conflict('LISTED'));
    await ask(cancelListing, { listingId, idempotencyKey: key() }, seller);
    const all = await Promise.all(
      Array.from({ length: 5 }, (_, n) => refusal(createListing, input(streamId, n + 1), seller)),
    );
    expect(all.filter((refused) => refused === undefined)).toHaveLength(1);
    for (const refused of all) if (refused) expect(refused).toMatchObject(conflict('LISTED'));
  });

  it('has a price', async () => {
    const { seller, streamId, listingId } = await listed();
    const bad = { code: 'BAD_USER_INPUT', argument: 'priceSats' };
    expect(await refusal(createListing, input(streamId, 0), seller)).toMatchObject(bad);
    const update = { listingId, priceSats: 0, idempotencyKey: key() };
    expect(await refusal(updateListing, update, seller)).toMatchObject(bad);
    const short = { ...update, priceSats: 1, idempotencyKey: 'short' };
    expect(await refusal(updateListing, short, seller)).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  it('is refused once the stream has ended', async () => {
    const { sender, seller, streamId, listingId } = await listed();
    await ask(cancelStream, { streamId, idempotencyKey: key() }, sender);
    expect(await refusal(createListing, input(streamId), seller)).toMatchObject(conflict('INVALID_STATE'));
    expect(await listingOf(listingId, seller)).toMatchObject({ state: 'ENDED', remainingSats: 0 });
  });

  it('is open to streams that have not begun, and to paused ones', async () => {
    const { sender, seller, buyer, streamId, listingId } = await listed();
    await ask(pauseStream, { streamId, idempotencyKey: key() }, sender);
    await ask(buyListing, purchase(listingId, 500), buyer);
    expect((await app().ask(readStream, { id: streamId }, buyer)).stream.state).toBe('PAUSED');
    await list(app(), buyer, streamId, 1);
    const other = await newPerson(app(), 50);
    const coming = await startStream(app(), other, seller.id, {
      amountSats: 50,
      startsAt: new Date(clock.now() + 50_000),
      endsAt: new Date(clock.now() + 60_000),
    });
    const early = await list(app(), seller, coming, 9);
    await ask(buyListing, purchase(early, 9, 50), buyer);
    expect((await app().ask(readStream, { id: coming }, buyer)).stream).toMatchObject({
      state: 'SCHEDULED',
      recipient: { id: buyer.id },
    });
  });
});

it('is changed and withdrawn by its seller alone', async () => {
  const { sender, buyer, listingId } = await listed();
  const service = await newPerson(app(), 0, ['SERVICE', 'ADMIN']);
  for (const who of [sender, buyer, service]) {
    expect(await refusal(cancelListing, { listingId, idempotencyKey: key() }, who)).toEqual(forbidden);
    const update = { listingId, priceSats: 1, idempotencyKey: key() };
    expect(await refusal(updateListing, update, who)).toEqual(forbidden);
  }
  for (const document of [cancelListing, updateListing, buyListing])
    for (const id of ['lst_00000000000000000000000000', 'lst_1', '', '\u0000', 'str_1']) {
      const price = document === updateListing && { priceSats: 1 };
      const input =
        document === buyListing ? purchase(id, 1) : { listingId: id, ...price, idempotencyKey: key() };
      expect(await refusal(document, input, buyer)).toEqual(forbidden);
      expect(await refusal(document, input, {})).toMatchObject({ code: 'UNAUTHENTICATED' });
    }
});

describe('buying', () => {
  /** Refuses a purchase, and shows that nothing of it was done. */
  async function expectRefused(
    {
      streamId,
      listingId,
      seller,
    }: Pick<Awaited<ReturnType<typeof listed>>, 'streamId' | 'listingId' | 'seller'>,
    input: object,
    who: Person,
    expected: object,
  ) {
    const { db, feeds } = app().services;
    const sold = async () => [
      ...(await Promise.all(
        [`stream:${streamId}`, `user:${who.id}`, `user:${seller.id}`].map(
          async (topic) => (await feeds.log.readPage(topic, 0, 10_000)).length,
        ),
      )),
      await walletOf(app(), who.id),
      await walletOf(app(), seller.id),
      await treasury(),
    ];
    const before = await sold();
    const state = await listingOf(listingId, seller);
    expect(await refusal(buyListing, input, who)).toMatchObject(expected);
    expect(await sold()).toEqual(before);
    expect(await listingOf(listingId, seller)).toEqual(state);
    await expectMoneyAddsUp(db);
  }

  it('at another price is refused', async () => {
    const sale = await listed();
    for (const price of [499, 501, 0])
      await expectRefused(sale, purchase(sale.listingId, price), sale.buyer, conflict('PRICE_CHANGED'));
    await ask(
      updateListing,
      { listingId: sale.listingId, priceSats: 400, idempotencyKey: key() },
      sale.seller,
    );
    await expectRefused(sale, purchase(sale.listingId, 500), sale.buyer, conflict('PRICE_CHANGED'));
    await ask(buyListing, purchase(sale.listingId, 400), sale.buyer);
  });

  it('is refused when less remains than is wanted', async () => {
    const sale = await listed();
    const { listingId, buyer } = sale;
    await expectRefused(sale, purchase(listingId, 500, 1_001), buyer, conflict('INVALID_STATE'));
    await ask(buyListing, purchase(listingId, 500, 1_000), buyer);
  });

  it('without the funds does nothing', async () => {
    const sale = await listed({ sats: 499 });
    await expectRefused(sale, purchase(sale.listingId, 500), sale.buyer, { code: 'INSUFFICIENT_FUNDS' });
    const nothing = await newPerson(app());
    await expectRefused(sale, purchase(sale.listingId, 500), nothing, { code: 'INSUFFICIENT_FUNDS' });
  });

  it('that lacks but the fee does nothing', async () => {
    const sale = await listed({ sats: 497 });
    await expectRefused(sale, purchase(sale.listingId, 500), sale.buyer, { code: 'INSUFFICIENT_FUNDS' });
  });

  it('that was refused can be sent again with its key', async () => {
    const { seller, buyer, listingId } = await listed({ sats: 450 });
    const input = purchase(listingId, 450);
    expect(await refusal(buyListing, input, buyer)).toMatchObject(conflict('PRICE_CHANGED'));
    await ask(updateListing, { listingId, priceSats: 450, idempotencyKey: key() }, seller);
    expect((await ask(buyListing, input, buyer)).buyListing.listing.state).toBe('SOLD');
  });

  it('is not for the sender or the seller', async () => {
    const { sender, seller, ...sale } = await listed({ priceSats: 1 });
    for (const who of [sender, seller])
      await expectRefused({ ...sale, seller }, purchase(sale.listingId, 1), who, conflict('INVALID_STATE'));
  });

  it('of what was sold is refused', async () => {
    const sale = await listed();
    const second = await newPerson(app(), 10_000);
    await ask(buyListing, purchase(sale.listingId, 500), sale.buyer);
    for (const who of [second, sale.buyer, sale.seller, sale.sender])
      await expectRefused(sale, purchase(sale.listingId, 500), who, conflict('TAKEN'));
    const update = { listingId: sale.listingId, priceSats: 1, idempotencyKey: key() };
    expect(await refusal(updateListing, update, sale.seller)).toMatchObject(conflict('TAKEN'));
    const cancel = { listingId: sale.listingId, idempotencyKey: key() };
    expect(await refusal(cancelListing, cancel, sale.seller)).toMatchObject(conflict('TAKEN'));
  });

  it.each([
    [1, 0],
    [99, 0],
    [100, 1],
    [199, 1],
  ])('for %i sats costs the seller %i', async (priceSats, fee) => {
    const { seller, buyer, listingId } = await listed({ priceSats, sats: priceSats });
    const before = await treasury();
    await ask(buyListing, purchase(listingId, priceSats), buyer);
    expect(await walletOf(app(), buyer.id)).toBe(0);
    expect(await walletOf(app(), seller.id)).toBe(priceSats - fee);
    expect((await treasury()) - before).toBe(fee);
  });
});

describe('a listed stream', () => {
  it('pays nothing out, whoever asks', async () => {
    const { sender, seller, streamId, listingId } = await listed();
    const service = await newPerson(app(), 0, ['SERVICE']);
    const withdrawal = { streamId, amountSats: 1, idempotencyKey: key() };
    expect(await refusal(withdrawFromStream, withdrawal, seller)).toMatchObject(conflict('LISTED'));
    const settlement = { streamId, idempotencyKey: key() };
    for (const who of [seller, sender, service])
      expect(await refusal(settleStream, settlement, who)).toMatchObject(conflict('LISTED'));
    await ask(cancelListing, { listingId, idempotencyKey: key() }, seller);
    await ask(withdrawFromStream, withdrawal, seller);
    await ask(settleStream, settlement, service);
    expect(await walletOf(app(), seller.id)).toBe(100);
  });

  it('answers a withdrawal that was made before as it did', async () => {
    const { seller, streamId, listingId } = await listed();
    await ask(cancelListing, { listingId, idempotencyKey: key() }, seller);
    const withdrawal = { streamId, amountSats: 5, idempotencyKey: key() };
    await ask(withdrawFromStream, withdrawal, seller);
    await list(app(), seller, streamId, 5);
    await ask(withdrawFromStream, withdrawal, seller);
    expect(await walletOf(app(), seller.id)).toBe(5);
  });

  it('is no longer for sale once its sender has cancelled it', async () => {
    let listingId = '';
    const stranger = await watchListing(() => listingId);
    const { sender, seller, buyer, streamId, ...made } = await listed();
    listingId = made.listingId;
    await ask(cancelStream, { streamId, idempotencyKey: key() }, sender);
    expect(await stranger.event('ListingCancelled')).toMatchObject({
      reason: 'STREAM_CANCELLED',
      listing: { state: 'ENDED', stream: null },
    });
    expect(await refusal(buyListing, purchase(listingId, 500), buyer)).toMatchObject(
      conflict('INVALID_STATE'),
    );
    // What had vested is the seller's, who has sold nothing.
    expect(await walletOf(app(), seller.id)).toBe(100);
    expect(typesOf(await activityOf(seller))).toEqual([
      'StreamCreated',
      'ListingCreated',
      'ListingCancelled',
      'WalletCredited',
      'StreamCancelled',
    ]);
  });

  it('is no longer for sale once it has vested to its end, and is settled then', async () => {
    let listingId = '';
    const stranger = await watchListing(() => listingId);
    const { seller, buyer, streamId, ...made } = await listed();
    listingId = made.listingId;
    const sellers = await watchingStream(streamId, seller);
    clock.advance(90_000);
    // Nobody can buy it in the moment until the server notices either.
    expect(await refusal(buyListing, purchase(listingId, 500), buyer)).toMatchObject(
      conflict('INVALID_STATE'),
    );
    expect(await stranger.event('ListingCancelled')).toMatchObject({
      reason: 'STREAM_VESTED',
      listing: { state: 'ENDED' },
    });
    expect(await sellers.event('StreamSettled')).toMatchObject({
      settledSats: 1_000,
      stream: { state: 'DEPLETED' },
    });
    expect(await walletOf(app(), seller.id)).toBe(1_000);
    expect(typesOf(await activityOf(seller))).toEqual([
      'StreamCreated',
      'ListingCreated',
      'ListingCancelled',
      'WalletCredited',
      'StreamSettled',
    ]);
    await expectMoneyAddsUp(app().services.db);
  });

  it('that was bought is settled to the buyer at its end', async () => {
    const { seller, buyer, streamId, listingId } = await listed();
    await ask(buyListing, purchase(listingId, 500), buyer);
    const buyers = await watchingStream(streamId, buyer);
    clock.advance(90_000);
    await buyers.event('StreamSettled');
    expect(await walletOf(app(), buyer.id)).toBe(10_000 - 500 + 1_000);
    expect(await walletOf(app(), seller.id)).toBe(495);
  });
});
