import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import {
  applied,
  blockOn,
  chainhookEnv,
  contract,
  deliver,
  genesis,
  type Print,
  reorganised,
  transaction,
} from '../support/chainhook.ts';
import { attempt } from '../support/change.ts';
import { until } from '../support/until.ts';
import { createUser } from '../support/wallets.ts';

const app = useTestApp(chainhookEnv);

const [seller, buyer, sender] = ['1', '2', '3'].map((digit) => `SP${digit.repeat(28)}`) as [
  string,
  string,
  string,
];
const number = 7n;
const listed = (price: bigint): Print => ({ event: 'market-nft-listed', 'stream-id': number, seller, price });
const repriced = (price: bigint): Print => ({
  event: 'market-listing-price-updated',
  'stream-id': number,
  'new-price': price,
});
const cancelled: Print = { event: 'market-listing-cancelled', 'stream-id': number, seller };
const sold = (price: bigint | null = 600n): Print => ({
  event: 'market-direct-purchase-completed',
  'stream-id': number,
  seller,
  buyer,
  price,
});

const listingFields =
  'id state origin priceSats amountSats remainingSats endsAt endBlock stream { id } seller { address }';

it('follows listings on the chain: listed, repriced, sold, undone, and listed again', async () => {
  const stranger = await createUser(app(), 'stranger');
  const watched = app().watch(
    `subscription { marketplaceUpdated(after: "START") { __typename id listing { ${listingFields} }
       ... on ListingCreated { priceSats } ... on ListingUpdated { newPriceSats } ... on ListingCancelled { reason }
       ... on ListingSold { buyer { address } priceSats } ... on ListingReorganised { rolledBack } } }`,
    {},
    stranger,
  );
  const one = blockOn(genesis(), transaction(listed(500n)));
  await deliver(app(), 'marketplace', applied(one));
  const created = await watched.event('ListingCreated');
  expect(created).toMatchObject({
    priceSats: 500,
    listing: {
      state: 'ACTIVE',
      origin: 'STACKS',
      amountSats: 0,
      remainingSats: 0,
      endsAt: null,
      endBlock: null,
      stream: null,
      seller: { address: seller },
    },
  });
  const { id: listingId } = created.listing;
  await deliver(
    app(),
    'streams',
    applied(
      blockOn(
        genesis(),
        transaction({
          event: 'stream-created',
          'stream-id': number,
          sender,
          recipient: seller,
          amount: 900n,
          'start-block': 1n,
          'end-block': 9n,
        }),
      ),
    ),
  );
  expect(contract).toContain('.');
  const two = blockOn(
    one,
    transaction(repriced(600n), repriced(0n)),
    transaction(sold()),
    transaction(sold()),
  );
  await deliver(app(), 'marketplace', applied(two));
  expect(await watched.event('ListingUpdated')).toMatchObject({ newPriceSats: 600 });
  const sale = await watched.event('ListingSold');
  expect(sale).toMatchObject({ buyer: { address: buyer }, priceSats: 600, listing: { state: 'SOLD' } });
  await until('the stream', async () => {
    const { node } = await app().ask(
      `query ($id: ID!) { node(id: $id) { ... on Listing { ${listingFields} } } }`,
      { id: listingId },
      stranger,
    );
    return (
      node.amountSats === 900 && node.remainingSats === 900 && node.endBlock === 9 && node.stream === null
    );
  });
  for (const [name, input] of [
    ['cancelListing', { listingId }],
    ['buyListing', { listingId, expectedPriceSats: 600, minimumRemainingSats: 0 }],
  ] as const)
    expect(await attempt(app(), name, input, 'listing { id }', stranger)).toEqual({
      code: 'FORBIDDEN',
      reason: 'MIRRORED',
    });
  const other = blockOn(
    one,
    transaction(cancelled),
    transaction(listed(700n)),
    transaction(listed(800n)),
    transaction({ ...sold(null), buyer: null }),
    transaction(sold(null)),
  );
  await deliver(app(), 'marketplace', reorganised([two], [other]));
  const events = await watched.count(8);
  expect(events.slice(3).map(({ __typename }) => __typename)).toEqual([
    'ListingReorganised',
    'ListingReorganised',
    'ListingCancelled',
    'ListingCreated',
    'ListingSold',
  ]);
  expect(events[3].rolledBack).toBe(sale.id);
  expect(events[5]).toMatchObject({
    reason: null,
    listing: { id: listingId, state: 'CANCELLED', priceSats: 500 },
  });
  expect(events[7]).toMatchObject({ priceSats: 700, listing: { state: 'SOLD', priceSats: 700 } });
  await deliver(app(), 'marketplace', reorganised([other, one], [blockOn(genesis())]));
  await watched.count(12);
  const { listings } = await app().ask('{ listings { edges { node { state } } } }', {}, stranger);
  expect(listings.edges).toEqual([{ node: { state: 'CANCELLED' } }, { node: { state: 'CANCELLED' } }]);
});
