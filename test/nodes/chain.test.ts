import { expect, it, onTestFinished } from 'vitest';
import type { Received } from '../support/clients.ts';
import { type Core, startCore } from '../support/core.ts';
import { type Node, startNodes } from '../support/nodes.ts';
import { until } from '../support/until.ts';

const watchBlocks = `
  subscription { blockMined(after: "START") { ... on BlockMined { block { hash } } ... on BlockDisconnected { hash } } }`;
const watchMempool = 'subscription { mempoolUpdated { mempool { txCount } } }';

const watchTx = `
  subscription ($txids: [ID!]) {
    txSeen(txids: $txids, after: "START") { __typename ... on TxConfirmed { confirmations } }
  }`;

const hashes = ({ events }: Received): string[] => events.map(({ block, hash }) => block?.hash ?? hash);

/** Waits until a node has the tip of the chain. */
const reaches = (node: Node, core: Core) =>
  until(
    'the tip',
    async () => (await node.send('{ chainTip { hash } }')).data?.chainTip.hash === core.tip().hash,
  );

it('is followed by one node, told by both, and taken over when that one is killed', async () => {
  const core = await startCore();
  onTestFinished(() => core.stop());
  core.mine(5);
  const { one, two, db } = await startNodes(core.env);
  await reaches(two, core);
  const watching = [one, two].map((node) => node.watch(watchBlocks, {}));
  const waiting = [one, two].map((node) => node.watch(watchMempool, {}));
  for (const each of waiting) await each.count(1);
  core.mine(3);
  for (const each of watching) await each.count(4);
  core.reorganise(2, 3);
  const txids = core.enter([{ vsize: 100, fee: 500 }]);
  const seen = [one, two].map((node) => node.watch(watchTx, { txids }));
  for (const each of seen) await each.count(1);
  for (const each of watching) await each.count(9);
  for (const each of waiting) await until('what waits', () => each.events.at(-1)?.mempool.txCount === 1);
  expect(hashes(watching[0] as Received)).toEqual(hashes(watching[1] as Received));
  expect(hashes(watching[0] as Received).slice(-3)).toEqual(
    core
      .chain()
      .slice(-3)
      .map(({ hash }) => hash),
  );

  await one.kill();
  const mined = core.mine(2, { has: txids });
  await reaches(two, core);
  await seen[1]?.count(3);
  expect(seen[1]?.events).toEqual([
    { __typename: 'TxSeen' },
    { __typename: 'TxConfirmed', confirmations: 1 },
    { __typename: 'TxConfirmed', confirmations: 2 },
  ]);
  await until('both blocks', () => hashes(watching[1] as Received).length === 11);
  expect(hashes(watching[1] as Received).slice(-2)).toEqual(mined.map(({ hash }) => hash));
  await one.start();
  await reaches(one, core);
  await two.kill();
  const more = core.mine(2);
  await reaches(one, core);
  const rows = await db.query<{ hash: string }>(
    `SELECT facts->>'hash' AS hash FROM events WHERE type = 'BlockMined' ORDER BY occurred_at, id`,
  );
  const told = rows.map(({ hash }) => hash);
  expect(new Set(told).size).toBe(told.length);
  expect(told).toEqual(expect.arrayContaining([...mined, ...more].map(({ hash }) => hash)));
}, 120_000);
