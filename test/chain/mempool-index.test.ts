import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bucketStarts, createMempoolIndex, feeRateOf } from '../../src/chain/mempool-index.ts';
import type { WaitingTx } from '../../src/chain/source.ts';

const tx = fc.record({
  txid: fc.integer({ min: 0, max: 30 }).map(String),
  feeSats: fc.integer({ min: 0, max: 60_000 }),
  virtualSize: fc.integer({ min: 60, max: 2_000 }),
  enteredAt: fc.integer({ min: 0, max: 50 }).map((second) => new Date(second * 1_000)),
  isReplaceable: fc.boolean(),
});
const step = fc.oneof(
  fc.record({ add: tx }),
  fc.record({ remove: fc.integer({ min: 0, max: 30 }).map(String) }),
);

const sizeOf = (txs: readonly WaitingTx[]) => txs.reduce((sum, { virtualSize }) => sum + virtualSize, 0);

it('sums up what waits as adding all of it up would, whatever has come and gone', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const index = createMempoolIndex();
      const waiting = new Map<string, WaitingTx>();
      for (const each of steps) {
        if ('add' in each) {
          index.add(each.add);
          if (!waiting.has(each.add.txid)) waiting.set(each.add.txid, each.add);
        } else {
          index.remove(each.remove);
          waiting.delete(each.remove);
        }
      }
      const all = [...waiting.values()];
      const { medianFeeRate, recent, ...summary } = index.summary();
      expect(summary).toEqual({
        txCount: all.length,
        virtualSize: sizeOf(all),
        histogram: bucketStarts.map((from, n) => {
          const inside = all.filter((each) => {
            const rate = feeRateOf(each);
            return rate >= from && rate < (bucketStarts[n + 1] ?? Number.POSITIVE_INFINITY);
          });
          return { from, count: inside.length, virtualSize: sizeOf(inside) };
        }),
      });
      // A half pays at least the median, which is exact to a tenth, or to one above 100 sat/vB.
      if (all.length === 0) expect(medianFeeRate).toBeNull();
      else {
        const median = medianFeeRate as number;
        const step = median < 100 ? 0.1 : 1;
        const payingAtLeast = (rate: number) => sizeOf(all.filter((each) => feeRateOf(each) >= rate));
        expect(payingAtLeast(median - 1e-9) * 2).toBeGreaterThanOrEqual(sizeOf(all));
        expect(payingAtLeast(median + step + 1e-9) * 2).toBeLessThan(sizeOf(all) + 1e-6);
      }
      expect(recent.length).toBeLessThanOrEqual(10);
      expect(recent.every((each) => waiting.get(each.txid) === each)).toBe(true);
      const times = recent.map(({ enteredAt }) => enteredAt.getTime());
      expect(times).toEqual([...times].sort((a, b) => b - a));
    }),
  );
});

it('shows the ten that came last, the newest first', () => {
  const index = createMempoolIndex();
  for (let n = 0; n < 25; n += 1)
    index.add({
      ...{ txid: `${n}`, feeSats: 200, virtualSize: 100, isReplaceable: true },
      enteredAt: new Date(((n * 7) % 25) * 1_000),
    });
  const shown = index.summary().recent.map(({ enteredAt }) => enteredAt.getTime() / 1_000);
  expect(shown).toEqual([24, 23, 22, 21, 20, 19, 18, 17, 16, 15]);
});
