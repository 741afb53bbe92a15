import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import type { Log } from '../platform/log/log.ts';
import type { Logger } from '../platform/telemetry/logger.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import { createWaiter } from '../platform/work/waiter.ts';
import { chainEvents } from './events.ts';
import type { MempoolFollower } from './mempool.ts';
import {
  blocksByHashes,
  connectBlocks,
  disconnectAbove,
  knownRange,
  lockTip,
  readTip,
  saveChain,
} from './queries.ts';
import {
  type ChainBlock,
  type ChainSource,
  ChainUnavailableError,
  type Fees,
  type SourceTip,
} from './source.ts';
import type { Tracker } from './tracking/tracker.ts';
import { ChainMovedError, type Path, walkDown } from './walk.ts';

export interface FollowerDependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly source: ChainSource;
  /** Hears of each new height, in the transaction that takes it in. */
  readonly onHeight: (tx: Transaction, height: number) => Promise<void>;
  readonly mempool: MempoolFollower;
  readonly tracker: Tracker;
  readonly logger: Pick<Logger, 'warn'>;
}

/** The one node that holds this work follows the chain. */
export const followWork = 'chain.follow';

/** So many blocks are taken in at once. */
const batch = 100;
/** After a question that failed; ms. */
const awayPauseMs = 1_000;
/** What fails again within that time is not said again; ms. */
const sameFailureMs = 30_000;

/**
 * Follows the chain: each block between the tip that is known and the one that there is is told once, in order, and each
 * that a reorganisation took off before that. Whoever else follows it at the same moment finds the tip moved, and looks
 * again.
 */
export function createFollower({
  db,
  clock,
  log,
  source,
  onHeight,
  mempool,
  tracker,
  logger,
}: FollowerDependencies): WorkHandler {
  async function isOnChain(hash: string): Promise<boolean> {
    const [block] = await blocksByHashes(db, [hash]);
    return block?.isCanonical === true;
  }

  /** Takes in a part of the way to a tip; answers whether the known one was still where the way begins. */
  function advance(
    from: string | undefined,
    forkHeight: number,
    blocks: readonly ChainBlock[],
    { chain }: SourceTip,
    fees: Fees,
  ): Promise<boolean> {
    return db.transaction(async (tx) => {
      if ((await lockTip(tx)) !== from) return false;
      const gone = await disconnectAbove(tx, forkHeight);
      await connectBlocks(tx, blocks);
      await saveChain(tx, chain, fees);
      const tip = await readTip(tx);
      log.append(tx, ...gone.map(chainEvents.blockDisconnected), ...blocks.map(chainEvents.blockMined));
      if (!tip) return true;
      log.append(tx, chainEvents.tipUpdated(tip));
      await onHeight(tx, tip.height);
      return true;
    });
  }

  async function read({ hash }: { readonly hash: string }): Promise<ChainBlock> {
    const block = await source.block(hash);
    if (!block) throw new ChainMovedError(`The chain no longer has the block ${hash}.`);
    return block;
  }

  /** Takes in what the chain has grown by, or has lost. */
  async function catchUp(signal: AbortSignal): Promise<void> {
    const tip = await source.tip();
    const known = await readTip(db);
    if (known?.hash === tip.hash) return;
    const { forkHeight, connected }: Path = await walkDown(source, tip.hash, await knownRange(db), isOnChain);
    const fees = await source.fees();
    let from = known?.hash;
    let fork = forkHeight;
    for (let start = 0; start === 0 || start < connected.length; start += batch) {
      if (signal.aborted) return;
      const blocks: ChainBlock[] = [];
      for (const header of connected.slice(start, start + batch)) blocks.push(await read(header));
      if (!(await advance(from, fork, blocks, tip, fees))) return;
      const last = blocks.at(-1);
      if (!last) return;
      from = last.hash;
      fork = last.height;
    }
  }

  return {
    concurrency: 1,
    async run(_work, signal) {
      const ending = new AbortController();
      const both = AbortSignal.any([signal, ending.signal]);
      const waiter = createWaiter(both);
      let isStale = true;
      const tip = () => {
        isStale = true;
        waiter.wake();
      };
      const missed = () => {
        mempool.missed();
        tip();
      };
      const stop = source.watch({ tip: missed, missed, entered: mempool.entered, left: mempool.left });
      /** Does something over and over, also when the chain does not answer for a while. */
      async function persist(what: string, step: () => Promise<void>): Promise<void> {
        let failedAt = Number.NEGATIVE_INFINITY;
        while (!both.aborted)
          try {
            await step();
          } catch (error) {
            if (!(error instanceof ChainUnavailableError || error instanceof ChainMovedError)) throw error;
            if (performance.now() - failedAt > sameFailureMs)
              logger.warn({ err: error }, `${what} cannot be followed`);
            failedAt = performance.now();
            await createWaiter(both).wait(awayPauseMs);
          }
      }
      const followTip = () =>
        persist('the chain', async () => {
          isStale = false;
          await catchUp(both);
          if (!isStale) await waiter.wait(source.silenceMs.tip);
        });
      try {
        const following = [
          followTip(),
          persist('the mempool', () => mempool.follow(both)),
          persist('what is watched', () => tracker.follow(both)),
        ];
        await Promise.all(following).finally(() => ending.abort());
        await Promise.allSettled(following);
      } finally {
        stop();
      }
      return new Date(clock.now());
    },
  };
}

/** Makes sure that somebody follows the chain: once, for however many nodes. */
export async function scheduleFollower(db: Database, queue: WorkQueue, clock: Clock): Promise<void> {
  await db.transaction((tx) => queue.scheduleOnce(tx, followWork, 'bitcoin', new Date(clock.now())));
}
