import type { WaitingTx } from './source.ts';

/** A range of feerates, and what waits in it. */
export interface FeeBucket {
  /** From here, up to the next; sat/vB. */
  readonly from: number;
  readonly count: number;
  /** vB */
  readonly virtualSize: number;
}

/** What waits to be confirmed, in short. */
export interface MempoolSummary {
  readonly txCount: number;
  /** vB */
  readonly virtualSize: number;
  /** A half of all that waits, by size, pays at least that; sat/vB. Null when nothing waits. */
  readonly medianFeeRate: number | null;
  readonly histogram: readonly FeeBucket[];
  /** Those that came last, the newest first. */
  readonly recent: readonly WaitingTx[];
}

/** Where each range begins; sat/vB. */
export const bucketStarts = [0, 1, 5, 10, 20, 50] as const;

/** How many of the newest are shown. */
const newest = 10;

/** Feerates are told apart to a tenth up to 100 sat/vB and to one above that: fine enough for a median. */
const steps = 2_000;
const stepOf = (feeRate: number) =>
  feeRate < 100 ? Math.floor(feeRate * 10) : Math.min(steps - 1, 900 + Math.floor(feeRate));
const rateOf = (step: number) => (step < 1_000 ? step / 10 : step - 900);

/** sat/vB */
export const feeRateOf = ({ feeSats, virtualSize }: Pick<WaitingTx, 'feeSats' | 'virtualSize'>) =>
  feeSats / virtualSize;

/** All that waits, by its id. What comes or goes costs the same however much there is; so does the summary. */
export function createMempoolIndex() {
  const known = new Map<string, WaitingTx>();
  const sizes = new Float64Array(steps);
  const counts = new Float64Array(bucketStarts.length);
  const bucketSizes = new Float64Array(bucketStarts.length);
  let virtualSize = 0;
  let recent: WaitingTx[] = [];

  function count(tx: WaitingTx, sign: 1 | -1): void {
    const feeRate = feeRateOf(tx);
    const size = sign * tx.virtualSize;
    const bucket = bucketStarts.findLastIndex((start) => start <= feeRate);
    virtualSize += size;
    sizes[stepOf(feeRate)] = (sizes[stepOf(feeRate)] as number) + size;
    counts[bucket] = (counts[bucket] as number) + sign;
    bucketSizes[bucket] = (bucketSizes[bucket] as number) + size;
  }

  function median(): number | null {
    if (known.size === 0) return null;
    let above = 0;
    for (let step = steps - 1; step >= 0; step -= 1) {
      above += sizes[step] as number;
      if (above * 2 >= virtualSize) return rateOf(step);
    }
    return 0;
  }

  return {
    get size() {
      return known.size;
    },

    has: (txid: string) => known.has(txid),

    ids: () => known.keys(),

    add(tx: WaitingTx): void {
      if (known.has(tx.txid)) return;
      known.set(tx.txid, tx);
      count(tx, 1);
      const place = recent.findIndex(({ enteredAt }) => enteredAt <= tx.enteredAt);
      if (place >= 0) recent.splice(place, 0, tx);
      else recent.push(tx);
      recent.length = Math.min(recent.length, newest);
    },

    remove(txid: string): void {
      const tx = known.get(txid);
      if (!tx) return;
      known.delete(txid);
      count(tx, -1);
      // Until others come, fewer are shown: those before them are not looked for.
      recent = recent.filter((each) => each !== tx);
    },

    summary(): MempoolSummary {
      return {
        txCount: known.size,
        virtualSize,
        medianFeeRate: median(),
        histogram: bucketStarts.map((from, index) => ({
          from,
          count: counts[index] as number,
          virtualSize: bucketSizes[index] as number,
        })),
        recent: [...recent],
      };
    },
  };
}
