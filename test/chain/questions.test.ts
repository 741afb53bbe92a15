import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestApp, useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { startCore } from '../support/core.ts';
import { until } from '../support/until.ts';

const readTx = `
  query ($txid: ID!) {
    transaction(txid: $txid) {
      txid virtualSize weight feeSats feeRate isCoinbase confirmations block { height }
      inputs { address sats } outputs { address sats }
    }
  }`;
const readBlock = `
  query ($hash: ID, $height: Int) { block(hash: $hash, height: $height) { hash height txCount isCanonical } }`;

describe.each([24, 31] as const)('a Core %i', (version) => {
  async function begin() {
    const core = await startCore({ version });
    onTestFinished(() => core.stop());
    core.mine(30);
    const app = await startTestApp(core.env);
    await until('the tip', async () => (await app.send('{ chainTip { hash } }')).data);
    const transaction = async (txid = ''): Promise<Json> => (await app.ask(readTx, { txid })).transaction;
    const block = async (by: Record<string, unknown>): Promise<Json> => (await app.ask(readBlock, by)).block;
    return { core, app, transaction, block };
  }

  it('is asked for a transaction that waits', async () => {
    const { core, transaction } = await begin();
    const [txid] = core.enter([{ vsize: 150, fee: 900 }]);
    expect(await transaction(txid)).toMatchObject({
      ...{ txid, virtualSize: 150, weight: 600, feeSats: 900, feeRate: 6 },
      ...{ isCoinbase: false, confirmations: 0, block: null },
      inputs: [{ address: 'bcrt1qbefore', sats: 50_000_000 }],
      outputs: [
        { address: 'bcrt1qafter', sats: 50_000_000 },
        { address: null, sats: 0 },
      ],
    });
  });

  it('is asked for one that is confirmed, and for one that makes what a miner earns', async () => {
    const { core, transaction } = await begin();
    const [coinbase, paying] = core.chain()[25]?.txids ?? [];
    expect(await transaction(paying)).toMatchObject({
      ...{ confirmations: 6, block: { height: 25 }, isCoinbase: false },
      feeSats: version === 24 ? null : 1_000,
      inputs: [{ address: 'bcrt1qbefore', sats: 50_000_000 }],
    });
    expect(await transaction(coinbase)).toMatchObject({
      isCoinbase: true,
      feeSats: null,
      feeRate: null,
    });
  });

  it('is asked for blocks that were never told of', async () => {
    const { core, transaction, block } = await begin();
    const old = core.chain()[7];
    const shown = { hash: old?.hash, height: 7, txCount: 3, isCanonical: true };
    expect(await block({ height: 7 })).toEqual(shown);
    expect(await block({ hash: old?.hash })).toEqual(shown);
    expect(await block({ height: 30 })).toMatchObject({ hash: core.chain()[30]?.hash });
    expect(await block({ height: 31 })).toBeNull();
    expect(await block({ hash: 'a'.repeat(64) })).toBeNull();
    expect(await transaction('b'.repeat(64))).toBeNull();
  });

  it('is not asked what makes no sense', async () => {
    const { app } = await begin();
    for (const by of [
      {},
      { hash: 'x' },
      { height: -1 },
      { hash: 'a'.repeat(64), height: 1 },
      { hash: 'A'.repeat(64) },
    ])
      expect((await app.send(readBlock, by)).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect((await app.send(readTx, { txid: '../x' })).errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      argument: 'txid',
    });
  });

  it('is said to be away while it does not answer, and is asked for so much at a time', async () => {
    const { core, app, block } = await begin();
    core.fail('SILENT');
    const many = Array.from({ length: 33 }, (_, n) => app.send(readTx, { txid: `${n}`.padStart(64, '0') }));
    const refusal = await Promise.race(many);
    expect(refusal.errors).toMatchObject([
      {
        message: 'The chain is asked for too much.',
        extensions: { code: 'UNAVAILABLE', retryAfterMs: 1_000 },
      },
    ]);
    core.fail('DOWN');
    for (const { errors } of await Promise.all(many))
      expect(errors?.[0]?.extensions.code).toBe('UNAVAILABLE');
    core.fail(undefined);
    expect(await block({ height: 3 })).toMatchObject({ height: 3 });
  });
});

it('follows a Core that estimates no fees, and says that it has no blocks that it has pruned', async () => {
  const core = await startCore({ isBlocksOnly: true, prunedBelow: 5 });
  onTestFinished(() => core.stop());
  core.mine(10);
  const app = await startTestApp(core.env);
  const { chainTip } = await until(
    'the tip',
    async () => (await app.send('{ chainTip { height feeEstimates { satPerVbyte } } }')).data,
  );
  expect(chainTip).toEqual({ height: 10, feeEstimates: Array(3).fill({ satPerVbyte: null }) });
  expect((await app.send(readBlock, { height: 3 })).errors?.[0]?.extensions.code).toBe('UNAVAILABLE');
});

describe('the chain that is made up', () => {
  const app = useTestApp({ CHAIN: 'demo' });

  it('has a tip, blocks below it, and something that waits', async () => {
    const { chainTip, mempool } = await until(
      'the chain',
      async () =>
        (await app().send('{ chainTip { height hash chain } mempool { txCount recent { txid } } }')).data,
    );
    expect(chainTip).toMatchObject({ chain: 'demo', height: expect.any(Number) });
    const { block } = await app().ask(readBlock, { height: chainTip.height - 5 });
    expect(block).toMatchObject({ height: chainTip.height - 5, isCanonical: true });
    const first = await app().ask(readBlock, { height: 0 });
    expect(first.block.height).toBe(0);
    expect((await app().ask(readBlock, { height: chainTip.height + 1_000 })).block).toBeNull();
    expect((await app().ask(readBlock, { hash: 'f'.repeat(64) })).block).toBeNull();
    expect(mempool.txCount).toBeGreaterThanOrEqual(0);
    expect((await app().ask(readTx, { txid: 'c'.repeat(64) })).transaction).toBeNull();
  });
});
