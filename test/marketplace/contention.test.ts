import { beforeAll, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { Json, Result } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import {
  buyListing,
  cancelListing,
  cancelStream,
  list,
  newPerson,
  type Person,
  purchase,
  readListing,
  readStream,
  startStream,
  updateListing,
} from '../support/marketplace.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import { fund, walletOf } from '../support/wallets.ts';

const rounds = 25;
const clock = standingClock(Math.floor(Date.now() / 1_000) * 1_000);
const app = useTestApp({ AGENT: 'external' }, { clock });

let sender: Person;
let seller: Person;
let buyer: Person;
beforeAll(async () => {
  sender = await newPerson(app(), 1_000_000);
  seller = await newPerson(app());
  buyer = await newPerson(app(), 1_000_000);
});

/** A listing of a stream of 1,000 sats, a tenth of which has vested. */
async function offer(priceSats: number): Promise<{ streamId: string; listingId: string }> {
  const streamId = await startStream(app(), sender, seller.id, {
    amountSats: 1_000,
    startsAt: new Date(clock.now() - 10_000),
    endsAt: new Date(clock.now() + 90_000),
  });
  return { streamId, listingId: await list(app(), seller, streamId, priceSats) };
}

const send = (document: string, input: object, who: Person) =>
  app().send(document, { input: { idempotencyKey: key(), ...input } }, who);

const outcomeOf = ({ errors }: Result) =>
  errors ? (errors[0]?.extensions.reason ?? errors[0]?.extensions.code) : 'DONE';

/** The types of the events of a listing and of its stream's sale, in the order of each feed. */
async function eventsOf(listingId: string, streamId: string): Promise<string[]> {
  const { log } = app().services.feeds;
  const { id } = seller;
  const rows = await log.readPage(`user:${id}`, 0, 10_000);
  return rows
    .filter(({ event: { facts } }) => facts.listingId === listingId || facts.streamId === streamId)
    .map(({ event }) => event.type);
}

const stateOf = async (id: string): Promise<string> =>
  ((await app().ask(readListing, { id }, buyer)) as Json).node.state;

it('sells a listing to one of fifty who come at once', async () => {
  const buyers = await Promise.all(Array.from({ length: 50 }, () => newPerson(app(), 1_000)));
  const { streamId, listingId } = await offer(700);
  const before = await walletOf(app(), seller.id);
  const outcomes = await Promise.all(
    buyers.map(async (who) => outcomeOf(await send(buyListing, purchase(listingId, 700), who))),
  );
  expect([...outcomes].sort()).toEqual(['DONE', ...Array(49).fill('TAKEN')]);
  const winner = buyers[outcomes.indexOf('DONE')] as Person;
  expect((await app().ask(readStream, { id: streamId }, winner)).stream.recipient).toEqual({ id: winner.id });
  for (const who of buyers) expect(await walletOf(app(), who.id)).toBe(who === winner ? 300 : 1_000);
  expect((await walletOf(app(), seller.id)) - before).toBe(693);
  expect(await eventsOf(listingId, streamId)).toEqual([
    'StreamCreated',
    'ListingCreated',
    'StreamTransferred',
    'ListingSold',
  ]);
  await expectMoneyAddsUp(app().services.db);
});

/** Has a buyer come in the same moment as something else, many times; answers how each ended, the buyer's first. */
async function race(
  other: (offered: { streamId: string; listingId: string }) => Promise<Result>,
  check: (offered: { streamId: string; listingId: string }, outcome: string, paid: number) => Promise<void>,
): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let round = 0; round < rounds; round += 1) {
    const offered = await offer(500);
    const before = await walletOf(app(), buyer.id);
    const buy = () => send(buyListing, purchase(offered.listingId, 500), buyer);
    // Either of them is sent first.
    const results =
      round % 2 === 0
        ? await Promise.all([buy(), other(offered)])
        : (await Promise.all([other(offered), buy()])).reverse();
    const outcome = results.map(outcomeOf).join(', ');
    seen.add(outcome);
    await check(offered, outcome, before - (await walletOf(app(), buyer.id)));
  }
  await expectMoneyAddsUp(app().services.db);
  return seen;
}

it('either sells a listing or withdraws it', async () => {
  const seen = await race(
    ({ listingId }) => send(cancelListing, { listingId }, seller),
    async ({ listingId, streamId }, outcome, paid) => {
      const isSold = outcome.startsWith('DONE');
      expect(paid).toBe(isSold ? 500 : 0);
      expect(await stateOf(listingId)).toBe(isSold ? 'SOLD' : 'CANCELLED');
      const ends = isSold ? ['StreamTransferred', 'ListingSold'] : ['ListingCancelled'];
      expect(await eventsOf(listingId, streamId)).toEqual(['StreamCreated', 'ListingCreated', ...ends]);
    },
  );
  for (const outcome of seen) expect(outcome).toBeOneOf(['DONE, TAKEN', 'INVALID_STATE, DONE']);
});

it('sells a listing at the price that the buyer was shown, or not at all', async () => {
  const seen = await race(
    ({ listingId }) => send(updateListing, { listingId, priceSats: 600 }, seller),
    async ({ listingId, streamId }, outcome, paid) => {
      const isSold = outcome.startsWith('DONE');
      expect(paid).toBe(isSold ? 500 : 0);
      expect(await stateOf(listingId)).toBe(isSold ? 'SOLD' : 'ACTIVE');
      const then = isSold ? ['StreamTransferred', 'ListingSold'] : ['ListingUpdated'];
      expect(await eventsOf(listingId, streamId)).toEqual(['StreamCreated', 'ListingCreated', ...then]);
    },
  );
  for (const outcome of seen) expect(outcome).toBeOneOf(['DONE, TAKEN', 'PRICE_CHANGED, DONE']);
});

it('pays what has vested of a cancelled stream to who was its recipient by then', async () => {
  const seen = await race(
    ({ streamId }) => send(cancelStream, { streamId }, sender),
    async ({ listingId, streamId }, outcome, paid) => {
      const isSold = outcome.startsWith('DONE');
      expect(paid).toBe(isSold ? 500 - 100 : 0);
      expect(await stateOf(listingId)).toBe(isSold ? 'SOLD' : 'ENDED');
      expect((await eventsOf(listingId, streamId)).slice(2)).toEqual(
        isSold ? ['StreamTransferred', 'ListingSold'] : ['ListingCancelled', 'StreamCancelled'],
      );
    },
  );
  for (const outcome of seen) expect(outcome).toBeOneOf(['DONE, DONE', 'INVALID_STATE, DONE']);
});

it('sells one listing to a buyer who has the money for one of many', async () => {
  const offers = await Promise.all(Array.from({ length: 8 }, () => offer(400)));
  const poor = await newPerson(app());
  await fund(app(), poor.id, 450);
  const outcomes = await Promise.all(
    offers.map(async ({ listingId }) => outcomeOf(await send(buyListing, purchase(listingId, 400), poor))),
  );
  expect([...outcomes].sort()).toEqual(['DONE', ...Array(7).fill('INSUFFICIENT_FUNDS')]);
  expect(await walletOf(app(), poor.id)).toBe(50);
  await expectMoneyAddsUp(app().services.db);
});
