import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import {
  buyListing,
  cancelListing,
  cancelStream,
  createListing,
  list,
  newPerson,
  type Person,
  purchase,
  startStream,
  updateListing,
} from '../support/marketplace.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import { onPostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { walletOf } from '../support/wallets.ts';

const clock = standingClock(Math.floor(Date.now() / 1_000) * 1_000);
const app = useTestApp({ AGENT: 'external' }, { clock });

const ask = async (document: string, input: object, as: As): Promise<Json> =>
  Object.values(await app().ask(document, { input }, as))[0];

async function refusal(document: string, input: object, as: As): Promise<object | undefined> {
  return (await app().send(document, { input }, as)).errors?.[0]?.extensions;
}

const reused = { code: 'CONFLICT', reason: 'IDEMPOTENCY_KEY_REUSED' };

async function stream() {
  const [sender, seller, buyer] = await Promise.all([
    newPerson(app(), 1_000),
    newPerson(app()),
    newPerson(app(), 10_000),
  ]);
  const endsAt = new Date(clock.now() + 100_000);
  const streamId = await startStream(app(), sender, seller.id, { amountSats: 1_000, endsAt });
  return { sender, seller, buyer, streamId };
}

/** How many events of a listing the marketplace was told. */
async function eventsOf(listingId: string): Promise<string[]> {
  const rows = await app().services.feeds.log.readPage('marketplace', 0, 10_000);
  return rows.filter(({ event }) => event.facts.listingId === listingId).map(({ event }) => event.type);
}

/** Sends a request again, alone and three at once: each is answered as the first was. */
async function expectSame(document: string, input: object, who: Person, id: string): Promise<void> {
  const again = await Promise.all([1, 2, 3].map(() => ask(document, input, who)));
  for (const { listing } of [...again, await ask(document, input, who)]) expect(listing.id).toBe(id);
}

it('makes a listing once, also when it is asked for again after the sale', async () => {
  const { seller, buyer, streamId } = await stream();
  const input = { streamId, priceSats: 500, idempotencyKey: key() };
  const all = await Promise.all([1, 2, 3].map(() => ask(createListing, input, seller)));
  const { id } = all[0].listing;
  expect(all.map(({ listing }) => listing.id)).toEqual([id, id, id]);
  expect(await refusal(createListing, { ...input, priceSats: 501 }, seller)).toMatchObject(reused);
  await ask(buyListing, purchase(id, 500), buyer);
  await expectSame(createListing, input, seller, id);
  expect((await ask(createListing, input, seller)).listing).toMatchObject({ state: 'SOLD', stream: null });
  expect(await eventsOf(id)).toEqual(['ListingCreated', 'ListingSold']);
  // The same key of another is another key.
  expect((await ask(createListing, input, buyer)).listing.id).not.toBe(id);
});

it('changes the price once, and not back', async () => {
  const { seller, buyer, streamId } = await stream();
  const id = await list(app(), seller, streamId, 500);
  const input = { listingId: id, priceSats: 400, idempotencyKey: key() };
  await expectSame(updateListing, input, seller, id);
  expect(await refusal(updateListing, { ...input, priceSats: 401 }, seller)).toMatchObject(reused);
  await ask(updateListing, { listingId: id, priceSats: 300, idempotencyKey: key() }, seller);
  await expectSame(updateListing, input, seller, id);
  expect((await ask(updateListing, input, seller)).listing.priceSats).toBe(300);
  await ask(buyListing, purchase(id, 300), buyer);
  await expectSame(updateListing, input, seller, id);
  expect(await eventsOf(id)).toEqual(['ListingCreated', 'ListingUpdated', 'ListingUpdated', 'ListingSold']);
});

it('withdraws a listing once', async () => {
  const { seller, streamId } = await stream();
  const id = await list(app(), seller, streamId, 500);
  const input = { listingId: id, idempotencyKey: key() };
  await expectSame(cancelListing, input, seller, id);
  expect(await eventsOf(id)).toEqual(['ListingCreated', 'ListingCancelled']);
  const next = await list(app(), seller, streamId, 500);
  expect(await refusal(cancelListing, { ...input, listingId: next }, seller)).toMatchObject(reused);
  await expectSame(cancelListing, input, seller, id);
  expect(await eventsOf(next)).toEqual(['ListingCreated']);
});

it('buys once, also when it is asked again after the stream was sold on, or has ended', async () => {
  const { sender, seller, buyer, streamId } = await stream();
  const id = await list(app(), seller, streamId, 500);
  const input = purchase(id, 500);
  await expectSame(buyListing, input, buyer, id);
  expect(await walletOf(app(), buyer.id)).toBe(9_500);
  for (const other of [{ minimumRemainingSats: 2 }, { expectedPriceSats: 501 }])
    expect(await refusal(buyListing, { ...input, ...other }, buyer)).toMatchObject(reused);

  const next = await list(app(), buyer, streamId, 700);
  const second = await newPerson(app(), 700);
  await ask(buyListing, purchase(next, 700), second);
  await expectSame(buyListing, input, buyer, id);
  // What is answered is theirs to see: the stream is not any more.
  expect((await ask(buyListing, input, buyer)).listing).toMatchObject({ state: 'SOLD', stream: null });
  await ask(cancelStream, { streamId, idempotencyKey: key() }, sender);
  await expectSame(buyListing, input, buyer, id);
  expect(await walletOf(app(), buyer.id)).toBe(9_500 + 693);
  expect(await walletOf(app(), seller.id)).toBe(495);
  expect(await eventsOf(id)).toEqual(['ListingCreated', 'ListingSold']);
  await expectMoneyAddsUp(app().services.db);
});

/** Holds a stream while others come to change it, one after another: they do it in that order. */
async function inOrder(
  streamId: string,
  commands: ReadonlyArray<() => Promise<unknown>>,
): Promise<unknown[]> {
  const { db } = app().services;
  const running: Array<Promise<unknown>> = [];
  await db.transaction(async (tx) => {
    await tx.query('SELECT 1 FROM streams WHERE id = $1 FOR UPDATE', [streamId]);
    for (const command of commands) {
      running.push(command());
      await until('it to wait', async () => {
        const waiting = await db.query(
          `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
        );
        return waiting.length === running.length;
      });
    }
  });
  return Promise.all(running);
}

// The embedded database has one connection: nobody waits there.
it.runIf(onPostgres)('answers twins the same, whatever happened to the stream between them', async () => {
  const { sender, seller, buyer, streamId } = await stream();
  const id = await list(app(), seller, streamId, 500);
  const cancel = () => app().send(cancelStream, { input: { streamId, idempotencyKey: key() } }, sender);
  const input = purchase(id, 500);
  const buy = () => app().send(buyListing, { input }, buyer);
  for (const { errors } of (await inOrder(streamId, [buy, cancel, buy])) as Json[])
    expect(errors).toBeUndefined();

  const other = await stream();
  const offer = { streamId: other.streamId, priceSats: 5, idempotencyKey: key() };
  const create = () => app().send(createListing, { input: offer }, other.seller);
  const end = () =>
    app().send(cancelStream, { input: { streamId: other.streamId, idempotencyKey: key() } }, other.sender);
  for (const { errors } of (await inOrder(other.streamId, [create, end, create])) as Json[])
    expect(errors).toBeUndefined();
});

it('answers a purchase that comes many times at once as one', async () => {
  for (let round = 0; round < 20; round += 1) {
    const { seller, buyer, streamId } = await stream();
    const id = await list(app(), seller, streamId, 500);
    const input = purchase(id, 500);
    await Promise.all(Array.from({ length: 6 }, () => ask(buyListing, input, buyer)));
    expect(await walletOf(app(), buyer.id)).toBe(9_500);
  }
});
