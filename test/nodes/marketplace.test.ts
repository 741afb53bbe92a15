import { describe, expect, it } from 'vitest';
import type { Received } from '../support/clients.ts';
import {
  buyListing,
  list,
  newPerson,
  type Person,
  purchase,
  settleStream,
  startStream,
  watchMarketplace,
  watchStream,
  withdrawFromStream,
} from '../support/marketplace.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { type Node, type Nodes, useNodes, userMaker } from '../support/nodes.ts';
import { key } from '../support/operations.ts';
import { until } from '../support/until.ts';

const hourMs = 3_600_000;
const settlements = `subscription ($streamId: ID!) {
  settleFinished(streamId: $streamId, after: "START") { __typename id }
}`;

const told = (received: Received): string[] =>
  received.events
    .map(({ __typename }) => __typename)
    .filter((type) => type !== 'StreamSnapshot' && type !== 'StreamUpdated');

async function watching(node: Node, id: string, who: Person): Promise<Received> {
  const received = node.watch(watchStream, { id }, who);
  await received.event('StreamSnapshot');
  return received;
}

/** Sells a stream on one node, and shows what its parties are told on the other. */
async function expectSale(nodes: Nodes, sold: Node, watched: Node): Promise<void> {
  const person = (sats = 0) => newPerson(userMaker(nodes), sats);
  const [sender, seller, buyer, stranger] = await Promise.all([
    person(hourMs),
    person(),
    person(1_000),
    person(),
  ]);
  const endsAt = new Date(Date.now() + hourMs);
  const streamId = await startStream(sold, sender, seller.id, { amountSats: hourMs, endsAt });
  await sold.ask(settleStream, { input: { streamId, idempotencyKey: key() } }, seller);
  const sellers = [await watching(watched, streamId, seller), await watching(sold, streamId, seller)];
  const senders = await watching(watched, streamId, sender);
  const settled = watched.watch(settlements, { streamId }, seller);
  await settled.event('StreamSettled');
  const market = watched.watch(watchMarketplace, { after: 'START' }, stranger);

  const listingId = await list(sold, seller, streamId, 500);
  await sold.ask(buyListing, { input: purchase(listingId, 500) }, buyer);
  const buyers = await watching(watched, streamId, buyer);
  await sold.ask(withdrawFromStream, { input: { streamId, amountSats: 1, idempotencyKey: key() } }, buyer);

  for (const each of sellers) {
    await until('the end of the seller', () => each.ended);
    expect(each.errors).toBeUndefined();
    expect(told(each)).toEqual(['StreamTransferred']);
    expect(each.events.at(-1)).toMatchObject({
      __typename: 'StreamTransferred',
      stream: null,
      from: { id: seller.id },
      to: { id: buyer.id },
    });
  }
  await until('the end of the settlements', () => settled.ended);
  expect(settled.errors).toBeUndefined();
  expect(settled.events).toHaveLength(1);
  await buyers.event('StreamWithdrawn');
  await senders.event('StreamWithdrawn');
  // A snapshot may be newer than where it stands: the sale may come behind it.
  expect(told(buyers).filter((type) => type !== 'StreamTransferred')).toEqual(['StreamWithdrawn']);
  expect(told(senders)).toEqual(['StreamTransferred', 'StreamWithdrawn']);
  const events = () => market.events.filter(({ listing }) => listing.id === listingId);
  await until('the sale', () => events().length === 2);
  expect(events()).toMatchObject([
    { __typename: 'ListingCreated', listing: { stream: null } },
    { __typename: 'ListingSold', listing: { stream: null, state: 'SOLD' }, buyer: { id: buyer.id } },
  ]);
  // Whoever resumes behind what they saw is not let in again.
  const again = watched.watch(watchStream, { id: streamId, after: sellers[0]?.events[0].cursor }, seller);
  await until('a refusal', () => again.ended);
  expect(again.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
}

describe.each([
  ['with Redis', {}],
  ['without Redis', { REDIS_URL: '' }],
])('%s', (_how, env) => {
  const nodes = useNodes(env);

  it('a sale on one node is the last that the seller is told on the other', async () => {
    const { one, two } = nodes();
    await expectSale(nodes(), one, two);
    await expectSale(nodes(), two, one);
  });

  it('sells a listing to one of many who come through both nodes', async () => {
    const { one, two, db } = nodes();
    const person = (sats = 0) => newPerson(userMaker(nodes()), sats);
    const [sender, seller] = await Promise.all([person(100), person()]);
    const buyers = await Promise.all(Array.from({ length: 20 }, () => person(60)));
    const endsAt = new Date(Date.now() + hourMs);
    const streamId = await startStream(one, sender, seller.id, { amountSats: 100, endsAt });
    const listingId = await list(two, seller, streamId, 50);
    const answers = await Promise.all(
      buyers.map((who, n) => (n % 2 ? one : two).send(buyListing, { input: purchase(listingId, 50) }, who)),
    );
    const outcomes = answers.map(({ errors }) => errors?.[0]?.extensions.reason ?? 'DONE');
    expect([...outcomes].sort()).toEqual(['DONE', ...Array(19).fill('TAKEN')]);
    await expectMoneyAddsUp(db);
  });
});
