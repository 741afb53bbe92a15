import { createHash } from 'node:crypto';
import type { Clock } from '../platform/clock.ts';
import type { ChainBlock, ChainSource, TxTrace } from './source.ts';

/** A block comes each so many milliseconds, counted from 1 January 2026; nobody keeps what it is made of. */
const blockMs = 30_000;
const begin = Date.UTC(2026, 0, 1);

const txsPerSecond = 20;
/** What has come to wait since the block before is in the next one. */
const txsPerBlock = (blockMs / 1_000) * txsPerSecond;

const digest = (text: string) => createHash('sha256').update(text).digest('hex');

/** The hash of a height: it ends in it, so that a hash tells where it belongs. */
const hashOf = (height: number) =>
  `${'0'.repeat(16)}${digest(`block ${height}`).slice(0, 40)}${height.toString(16).padStart(8, '0')}`;

/** A number from 0 to 1 that a text leads to. */
const share = (text: string) => Number.parseInt(digest(text).slice(0, 8), 16) / 0xffff_ffff;

/** What comes to wait behind a block, the first so many. */
const txidsOf = (height: number, count: number) =>
  Array.from({ length: count }, (_, n) => digest(`tx ${height} ${n}`));

const virtualSizeOf = (txid: string) => 140 + Math.floor(share(`${txid} size`) * 400);
const feeOf = (txid: string) => Math.ceil(virtualSizeOf(txid) * (1 + share(`${txid} fee`) ** 4 * 80));

/** It pays to nobody. */
const traceOf = (txid: string, blockHash: string | null): TxTrace => ({
  ...{ txid, virtualSize: virtualSizeOf(txid), feeSats: feeOf(txid), addresses: [], spends: [], blockHash },
});

/** A chain that is made up, for trying things out: the same for all who ask, at any time. */
export function createDemoChain(clock: Clock): ChainSource {
  const tipHeight = () => Math.floor((clock.now() - begin) / blockMs);

  function block(hash: string): ChainBlock | undefined {
    const height = Number.parseInt(hash.slice(-8), 16);
    if (!(height >= 0 && height <= tipHeight()) || hash !== hashOf(height)) return undefined;
    const txCount = 1 + txsPerBlock;
    const weight = 1_000 + txCount * Math.round(700 + share(`weight ${height}`) * 200);
    return {
      hash,
      height,
      parent: height === 0 ? null : hashOf(height - 1),
      minedAt: new Date(begin + height * blockMs),
      txCount,
      sizeBytes: Math.floor(weight / 2.6),
      weight,
    };
  }

  return {
    tip: async () => ({ chain: 'demo', hash: hashOf(tipHeight()) }),
    header: async (hash) => block(hash),
    block: async (hash) => block(hash),
    hashAt: async (height) => (height >= 0 && height <= tipHeight() ? hashOf(height) : undefined),
    async fees() {
      const base = 1 + Math.round(share(`fees ${tipHeight()}`) * 200) / 10;
      return { 1: base * 2, 3: base * 1.5, 6: base };
    },
    // Nobody keeps what a block is made of; what waits pays to nobody.
    async transaction(txid) {
      const [tx] = (await this.waiting()).includes(txid) ? await this.waitingTxs([txid]) : [];
      return (
        tx && {
          ...{ txid, virtualSize: tx.virtualSize, weight: tx.virtualSize * 4, feeSats: BigInt(tx.feeSats) },
          ...{ isCoinbase: false, inputs: [], outputs: [], blockHash: null },
        }
      );
    },

    async waiting() {
      // Since the last block, so many each second.
      const since = clock.now() - (begin + tipHeight() * blockMs);
      const count = Math.floor((since * txsPerSecond) / 1_000);
      return txidsOf(tipHeight(), count);
    },
    waitingTxs: async (txids) =>
      txids.map((txid) => ({
        ...{ txid, virtualSize: virtualSizeOf(txid), feeSats: feeOf(txid) },
        ...{ enteredAt: new Date(clock.now()), isReplaceable: true },
      })),
    async traces(txids) {
      const waiting = new Set(await this.waiting());
      return txids.filter((txid) => waiting.has(txid)).map((txid) => traceOf(txid, null));
    },
    async *tracesIn(hash) {
      const { height = 0 } = block(hash) ?? {};
      yield traceOf(digest(`coinbase ${height}`), hash);
      for (const txid of txidsOf(height - 1, txsPerBlock)) yield traceOf(txid, hash);
    },
    watch: () => () => {},
    silenceMs: { tip: 1_000, mempool: 1_000 },
  };
}
