import { z } from 'zod';
import {
  type ChainSource,
  ChainUnavailableError,
  type Fees,
  feeTargets,
  type TxPart,
  type TxTrace,
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
// What an output was that is spent is told since 25, of what is in blocks that were not pruned.
const input = z.object({
  coinbase: z.string().optional(),
  txid: z.string().optional(),
  vout: z.number().optional(),
  prevout: output.optional(),
});
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

/** What an input spends; nothing of a coinbase. */
const outpointOf = ({ txid, vout }: z.output<typeof input>): string[] =>
  txid === undefined ? [] : [`${txid}:${vout}`];

type Output = z.output<typeof output>;

function traceOf(
  { txid, vsize, fee, vin, vout }: z.output<typeof transaction>,
  blockHash: string | null,
  spent?: ReadonlyMap<string, Output | undefined>,
): TxTrace {
  const spentBy = vin.map((part) => part.prevout ?? spent?.get(outpointOf(part)[0] ?? ''));
  const addresses = [...spentBy, ...vout].map((each) => each?.scriptPubKey?.address);
  return {
    ...{ txid, virtualSize: vsize, feeSats: fee === undefined ? null : Number(satsOf(fee)) },
    addresses: [...new Set(addresses.filter((address) => address !== undefined))],
    ...{ spends: vin.flatMap(outpointOf), blockHash },
  };
}

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

  const rawTransactions = <Result>(txids: readonly string[], shape: z.ZodType<Result>) =>
    rpc.callMany(
      'getrawtransaction',
      txids.map((txid) => [txid, 1]),
      shape,
    );

  /** Outputs, as far as they are known: those of the chain, and of what waits. */
  async function outputsOf(outpoints: readonly string[]): Promise<ReadonlyMap<string, Output | undefined>> {
    const places = [...new Set(outpoints)].map((outpoint) => outpoint.split(':') as [string, string]);
    // Also what is spent by something that waits: to the chain it is still there.
    const onChain = await rpc.callMany(
      'gettxout',
      places.map(([txid, index]) => [txid, Number(index), false]),
      output.nullable(),
    );
    const others = [...new Set(places.filter((_, at) => !onChain[at]).map(([txid]) => txid))];
    const made = await rawTransactions(others, z.object({ vout: z.array(output) }));
    const waiting = new Map(others.map((txid, at) => [txid, made[at]?.vout]));
    return new Map(
      places.map(([txid, index], at) => [
        `${txid}:${index}`,
        onChain[at] ?? waiting.get(txid)?.[Number(index)],
      ]),
    );
  }

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
      // Of what waits, Core does not say what it spends.
      const untold = found.vin.filter(({ prevout }) => prevout === undefined);
      const spent = await outputsOf(untold.flatMap(outpointOf));
      const inputs = found.vin.map((part) => partOf(part.prevout ?? spent.get(outpointOf(part)[0] ?? '')));
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
      const params = txids.map((txid) => [txid]);
      const entries = await rpc.callMany('getmempoolentry', params, entry);
      return entries.flatMap((known, index): WaitingTx[] =>
        known
          ? [
              {
                txid: txids[index] as string,
                feeSats: Math.round(known.fees.base * 1e8),
                virtualSize: known.vsize,
                enteredAt: new Date(known.time * 1_000),
                isReplaceable: known['bip125-replaceable'] ?? true,
              },
            ]
          : [],
      );
    },

    async traces(txids) {
      const found = (await rawTransactions(txids, transaction)).filter((tx) => tx !== undefined);
      const spent = await outputsOf(found.flatMap(({ vin }) => vin.flatMap(outpointOf)));
      return found.map((tx) => traceOf(tx, tx.blockhash ?? null, spent));
    },

    async *tracesIn(hash) {
      try {
        for await (const tx of rpc.list('getblock', [hash, 3], 'tx', transaction)) yield traceOf(tx, hash);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
      }
    },

    watch: watch ?? (() => () => {}),
    silenceMs: watch ? told : asking,
  };
}
