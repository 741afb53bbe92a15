import type { Database } from '../platform/database/database.ts';
import { unavailable } from '../platform/errors.ts';
import type { Tip } from './events.ts';
import { blockAt, blocksByHashes, type Mempool, readMempool, readTip, type StoredBlock } from './queries.ts';
import { type ChainSource, type ChainTx, ChainUnavailableError } from './source.ts';

export type Chain = ReturnType<typeof createChain>;

interface Dependencies {
  readonly db: Database;
  /** Absent: no chain is followed. */
  readonly source: ChainSource | undefined;
}

const retryAfterMs = 5_000;
/** So many questions are put to the chain at a time: anybody may ask. */
const mostAsked = 32;

/**
 * The Bitcoin chain, as it is asked for.
 * All of it throws PublicError UNAVAILABLE where no chain is followed, or while it does not answer.
 */
export function createChain({ db, source }: Dependencies) {
  let asked = 0;

  /** @throws PublicError UNAVAILABLE where no chain is followed. */
  function required(): ChainSource {
    if (!source) throw unavailable('No chain is followed here.', 60_000);
    return source;
  }

  /** Asks the chain itself, for what was not seen here. */
  async function ask<Result>(question: (chain: ChainSource) => Promise<Result>): Promise<Result> {
    const chain = required();
    if (asked >= mostAsked) throw unavailable('The chain is asked for too much.', 1_000);
    asked += 1;
    try {
      return await question(chain);
    } catch (error) {
      if (error instanceof ChainUnavailableError)
        throw unavailable('The chain does not answer.', retryAfterMs, error);
      throw error;
    } finally {
      asked -= 1;
    }
  }

  async function byHash(hash: string): Promise<StoredBlock | undefined> {
    required();
    const [seen] = await blocksByHashes(db, [hash]);
    if (seen) return seen;
    return ask(async (chain) => {
      const block = await chain.block(hash);
      return block && { ...block, isCanonical: (await chain.hashAt(block.height)) === hash };
    });
  }

  return {
    /** Refuses where no chain is followed. */
    require: () => void required(),

    /** Where the chain ends. */
    async tip(): Promise<Tip> {
      required();
      const tip = await readTip(db);
      if (!tip) throw unavailable('Nothing was heard of the chain yet.', retryAfterMs);
      return tip;
    },

    /** What waits to be confirmed. */
    async mempool(): Promise<Mempool> {
      required();
      const mempool = await readMempool(db);
      if (!mempool) throw unavailable('Nothing was heard of the mempool yet.', retryAfterMs);
      return mempool;
    },

    /** A block by its hash, also one that a reorganisation has taken off the chain. */
    byHash,

    /** A transaction, also one that waits. */
    transaction: (txid: string): Promise<ChainTx | undefined> => ask((chain) => chain.transaction(txid)),

    /** The block of the chain at a height. */
    async atHeight(height: number): Promise<StoredBlock | undefined> {
      required();
      const seen = await blockAt(db, height);
      if (seen) return seen;
      const hash = await ask((chain) => chain.hashAt(height));
      return hash === undefined ? undefined : byHash(hash);
    },
  };
}
