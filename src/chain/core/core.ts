import { z } from 'zod';
import {
  type ChainSource,
  ChainUnavailableError,
  type Fees,
  feeTargets,
  type TxPart,
  type WaitingTx,
} from '../source.ts';
import { createRpc, RpcError, type RpcOptions } from './rpc.ts';

/** Hears of what happens, if anything tells of it; see `createSignals`. */
export type Watch = ChainSource['watch'];

interface Options extends RpcOptions {
  /** Absent: Core is asked often instead. */
  readonly watch?: Watch | undefined;
}

/** Without anybody who tells, and with somebody who may have been cut off; ms. */
const asking = { tip: 500, mempool: 2_000 };
const told = { tip: 5_000, mempool: 60_000 };
/** So many transactions are asked for in one request. */
const batch = 500;

// No more is read than is used, and what newer versions add is passed over.
const chainInfo = z.object({
  chain: z.string(),
  bestblockhash: z.string(),
  initialblockdownload: z.boolean().optional(),
});
const header = z.object({
  hash: z.string(),
  height: z.number(),
  previousblockhash: z.string().optional(),
});
const block = header.extend({ time: z.number(), nTx: z.number(), size: z.number(), weight: z.number() });
// The fields of the fee outside of `fees` went in 24.
const entry = z.object({
  vsize: z.number(),
  time: z.number(),
  fees: z.object({ base: z.number() }),
  'bip125-replaceable': z.boolean().optional(),
});
const output = z.object({
  value: z.number().optional(),
  scriptPubKey: z.object({ address: z.string().optional() }).optional(),
});
// What an input spends is told since 25, of blocks that were not pruned.
const input = z.object({ coinbase: z.string().optional(), prevout: output.optional() });
const transaction = z.object({
  txid: z.string(),
  vsize: z.number(),
  weight: z.number(),
  fee: z.number().optional(),
  vin: z.array(input),
  vout: z.array(output),
  blockhash: z.string().optional(),
});
const estimate = z.object({ feerate: z.number().optional() });

/** No such block, and a height above the tip. */
const notFound = [-5, -8];

/** BTC/kvB, as Core gives it, in sat/vB, to a thousandth. */
const satPerVbyte = (btcPerKvb: number) => Math.round(btcPerKvb * 1e8) / 1_000;

/** BTC, as Core gives it, in sats. */
const satsOf = (btc: number) => BigInt(Math.round(btc * 1e8));

const partOf = (part: z.output<typeof output> | undefined): TxPart => ({
  address: part?.scriptPubKey?.address ?? null,
  sats: part?.value === undefined ? null : satsOf(part.value),
});

/** Bitcoin Core, 24 or newer. */
export function createCore({ watch, ...options }: Options): ChainSource {
  const rpc = createRpc(options);

  const unlessUnknown = async <Result>(asked: Promise<Result>): Promise<Result | undefined> => {
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      if (notFound.includes(error.code)) return undefined;
      // A block that was pruned, say.
      throw new ChainUnavailableError('Bitcoin Core cannot answer that.', { cause: error });
    }
  };

  return {
    async tip() {
      const {
        chain,
        bestblockhash: hash,
        initialblockdownload,
      } = await rpc.call('getblockchaininfo', [], chainInfo);
      if (initialblockdownload && chain !== 'regtest')
        throw new ChainUnavailableError('Bitcoin Core has not the whole chain yet.');
      return { chain, hash };
    },

    async header(hash) {
      const found = await unlessUnknown(rpc.call('getblockheader', [hash, true], header));
      return found && { hash, height: found.height, parent: found.previousblockhash ?? null };
    },

    async block(hash) {
      const found = await unlessUnknown(rpc.call('getblock', [hash, 1], block));
      return (
        found && {
          hash,
          height: found.height,
          parent: found.previousblockhash ?? null,
          minedAt: new Date(found.time * 1_000),
          txCount: found.nTx,
          sizeBytes: found.size,
          weight: found.weight,
        }
      );
    },

    hashAt: (height) => unlessUnknown(rpc.call('getblockhash', [height], z.string())),

    async fees() {
      const params = feeTargets.map((target) => [target]);
      // A node that takes no transactions knows none.
      const answers = await rpc.callMany('estimatesmartfee', params, estimate);
      const rateAt = (index: number) => {
        const feerate = answers[index]?.feerate;
        return feerate === undefined ? null : satPerVbyte(feerate);
      };
      return Object.fromEntries(feeTargets.map((target, index) => [target, rateAt(index)])) as Fees;
    },

    async transaction(txid) {
      const found = await unlessUnknown(rpc.call('getrawtransaction', [txid, 2], transaction));
      if (!found) return undefined;
      const inputs = found.vin.map(({ prevout }) => partOf(prevout));
      const outputs = found.vout.map(partOf);
      const isCoinbase = found.vin.some(({ coinbase }) => coinbase !== undefined);
      const waits = found.fee === undefined && found.blockhash === undefined;
      const [waiting] = waits ? await this.waitingTxs([txid]) : [];
      const fee = found.fee === undefined ? waiting?.feeSats : satsOf(found.fee);
      return {
        ...{ txid, virtualSize: found.vsize, weight: found.weight, isCoinbase, inputs, outputs },
        feeSats: fee === undefined ? null : BigInt(fee),
        blockHash: found.blockhash ?? null,
      };
    },

    waiting: () => rpc.call('getrawmempool', [], z.array(z.string())),

    async waitingTxs(txids) {
      const found: WaitingTx[] = [];
      for (let start = 0; start < txids.length; start += batch) {
        const asked = txids.slice(start, start + batch);
        const entries = await rpc.callMany(
          'getmempoolentry',
          asked.map((txid) => [txid]),
          entry,
        );
        for (const [index, known] of entries.entries())
          if (known)
            found.push({
              txid: asked[index] as string,
              feeSats: Math.round(known.fees.base * 1e8),
              virtualSize: known.vsize,
              enteredAt: new Date(known.time * 1_000),
              isReplaceable: known['bip125-replaceable'] ?? true,
            });
      }
      return found;
    },

    watch: watch ?? (() => () => {}),
    silenceMs: watch ? told : asking,
  };
}
