import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { createUser, fund, walletOf } from '../support/wallets.ts';

const app = useTestApp();

const statement = `query ($first: Int, $after: String, $last: Int, $before: String) {
  viewer {
    wallet { balanceSats }
    transfers(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { amountSats balanceAfter reason occurredAt } }
      pageInfo { hasNextPage hasPreviousPage endCursor startCursor }
    }
  }
}`;

/** Takes sats back out of a wallet. */
async function spend(userId: string, sats: number): Promise<void> {
  const { db, ledger } = app().services;
  await db.transaction((tx) =>
    ledger.transfer(tx, {
      key: `spent:${userId}:${sats}`,
      from: `wallet:${userId}`,
      to: 'revenue',
      amount: BigInt(sats),
      reason: 'SPENT',
    }),
  );
}

it('tells every sat that came or went, newest first, with what each has left', async () => {
  const user = await createUser(app(), 'alice', 1_000);
  await spend(user.id, 300);
  await fund(app(), user.id, 50);
  const { viewer } = await app().ask(statement, {}, user);
  expect(viewer.wallet.balanceSats).toBe(750);
  expect(viewer.transfers.edges.map(({ node }: { node: object }) => node)).toEqual(
    [
      { amountSats: 50, balanceAfter: 750, reason: 'DEPOSIT' },
      { amountSats: -300, balanceAfter: 700, reason: 'SPENT' },
      { amountSats: 1_000, balanceAfter: 1_000, reason: 'DEPOSIT' },
    ].map((entry) => ({ ...entry, occurredAt: expect.stringMatching(/Z$/) })),
  );
});

it('is read a page at a time, from either end, whatever else is booked', async () => {
  const [user, other] = [await createUser(app(), 'bob'), await createUser(app(), 'carol')];
  for (let n = 1; n <= 7; n += 1) {
    await fund(app(), user.id, n * 100);
    await fund(app(), other.id, 1);
    if (n % 2 === 0) await spend(user.id, n);
  }
  const all = (await app().ask(statement, {}, user)).viewer.transfers.edges;
  expect(all).toHaveLength(10);
  expect(all[0].node.balanceAfter).toBe(await walletOf(app(), user.id));
  const forwards = [];
  for (let after: string | null = null, more = true; more; ) {
    const { edges, pageInfo }: Json = (await app().ask(statement, { first: 3, after }, user)).viewer
      .transfers;
    forwards.push(...edges);
    [after, more] = [pageInfo.endCursor, pageInfo.hasNextPage];
  }
  expect(forwards).toEqual(all);
  const backwards = [];
  for (let before: string | null = null, more = true; more; ) {
    const { edges, pageInfo }: Json = (await app().ask(statement, { last: 3, before }, user)).viewer
      .transfers;
    backwards.unshift(...edges);
    [before, more] = [pageInfo.startCursor, pageInfo.hasPreviousPage];
  }
  expect(backwards).toEqual(all);
});

it('ends where a place is none of its own', async () => {
  const user = await createUser(app(), 'dave', 5);
  const { viewer } = await app().ask(statement, { after: 'nowhere' }, user);
  expect(viewer.transfers.edges).toEqual([]);
});
