import { expect, it } from 'vitest';
import { createDemoChain } from '../../src/chain/demo.ts';
import { standingClock } from '../support/clock.ts';

it('has as many transactions in a block as it says', async () => {
  const chain = createDemoChain(standingClock());
  const { hash } = await chain.tip();
  const txids = new Set<string>();
  for await (const { txid } of chain.tracesIn(hash)) txids.add(txid);
  expect(txids.size).toBe((await chain.block(hash))?.txCount);
});
