import { setImmediate as othersTurn } from 'node:timers/promises';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import { isUnavailable, PublicError } from '../platform/errors.ts';
import type { Logger } from '../platform/telemetry/logger.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import { type Hook, hooks, readDelivery } from './chainhook.ts';
import { createDeliveries, type Delivery, type Source } from './deliveries.ts';
import { MalformedDelivery } from './errors.ts';
import { type IndexerEvent, indexerEvent, settledTypes } from './indexer.ts';
import { type Heights, type Mirror, mirrorDelivery } from './mirror.ts';

/** Somebody outside says that a stream is to be settled. */
export interface Settled {
  readonly streamId: string;
  /** The transaction on a chain that did it, where there is one. */
  readonly transaction: string | null;
  /** Unique for good: `indexer:<eventId>`, or `bullmq:<queue>:<event id>`. */
  readonly key: string;
  readonly by: 'INDEXER' | 'QUEUE';
}

/**
 * @throws PublicError when there is no such stream (FORBIDDEN), or it cannot be settled (CONFLICT): it is noted,
 * and not tried again.
 */
export type SettledHandler = (tx: Transaction, settled: Settled) => Promise<void>;

type HeightHearer = (tx: Transaction, heights: Heights) => Promise<void>;

export type Inbox = ReturnType<typeof createInbox>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly queue: WorkQueue;
  /** The principals of the contracts whose prints count. */
  readonly contracts: readonly string[];
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  /** Hears of each delivery that was set aside. */
  readonly onFailed: () => void;
  /** Hears of each gap in the heights of a hook. */
  readonly onGap: () => void;
}

/** Another one processes this source's deliveries; ms until it is looked at again. */
const heldPauseMs = 100;

/**
 * What other systems deliver: taken in at once, and processed one after another for each source, each in one
 * transaction, in the order of arrival. Domains register what they do with it.
 */
export function createInbox({ db, clock, queue, contracts, logger, onFailed, onGap }: Dependencies) {
  const deliveries = createDeliveries({ db, clock, queue });
  const trusted = new Set(contracts);
  const mirrors = new Map<Hook, Mirror>();
  const heightHearers: HeightHearer[] = [];
  const settledHandlers: SettledHandler[] = [];

  async function settle(tx: Transaction, settled: Settled): Promise<void> {
    for (const handle of settledHandlers) await handle(tx, settled);
  }

  async function consumeChain(tx: Transaction, hook: Hook, body: Buffer): Promise<void> {
    const delivery = readDelivery(hook, body, trusted);
    const { heights, gaps } = await mirrorDelivery(tx, hook, mirrors.get(hook), delivery);
    if (heights.stacks !== undefined) for (const hear of heightHearers) await hear(tx, heights);
    tx.afterCommit(() => {
      for (const { from, to } of gaps) {
        onGap();
        logger.warn({ hook, from, to }, 'nothing was delivered of these heights');
      }
    });
  }

  async function consumeIndexer(tx: Transaction, body: Buffer): Promise<void> {
    const { eventId, eventType, streamId, transactionHash } = indexerEvent.parse(JSON.parse(body.toString()));
    if (!settledTypes.includes(eventType)) return;
    await settle(tx, {
      streamId,
      transaction: transactionHash ?? null,
      key: `indexer:${eventId}`,
      by: 'INDEXER',
    });
  }

  async function process(source: Source): Promise<'DONE' | 'NOTHING' | 'HELD'> {
    let taken: Delivery | undefined;
    try {
      return await db.transaction(async (tx) => {
        if (!(await deliveries.hold(tx, source))) return 'HELD';
        const delivery = await deliveries.next(tx, source);
        taken = delivery;
        if (!delivery) return 'NOTHING';
        await (source === 'indexer'
          ? consumeIndexer(tx, delivery.body)
          : consumeChain(tx, source, delivery.body));
        await deliveries.finish(tx, delivery);
        return 'DONE';
      });
    } catch (error) {
      if (!taken || isUnavailable(error)) throw error;
      const isDefinite = error instanceof MalformedDelivery || error instanceof PublicError;
      if (!(await deliveries.fail(taken, describe(error), isDefinite))) throw error;
      onFailed();
      logger.error({ err: error, source, delivery: String(taken.id) }, 'a delivery was set aside');
      return 'DONE';
    }
  }

  const work: WorkHandler = {
    concurrency: hooks.length + 1,
    async run({ key }, signal) {
      while (!signal.aborted) {
        const outcome = await process(key as Source);
        if (outcome === 'NOTHING') return undefined;
        if (outcome === 'HELD') return new Date(clock.now() + heldPauseMs);
        // The embedded database answers without leaving the event loop a turn.
        await othersTurn();
      }
      return new Date(clock.now());
    },
  };

  return {
    /** Says which domain follows what a hook delivers. */
    mirror(hook: Hook, mirror: Mirror): void {
      mirrors.set(hook, mirror);
    },

    /** Has a domain hear of the highest block that a delivery has applied, in the delivery's transaction. */
    onHeight(hear: HeightHearer): void {
      heightHearers.push(hear);
    },

    /** Has a domain hear of settlements, in a transaction that remembers their key. */
    onSettled(handle: SettledHandler): void {
      settledHandlers.push(handle);
    },

    /** Takes in what Chainhook posts; when this resolves it survives whatever happens. */
    async acceptChain(hook: Hook, body: Buffer): Promise<void> {
      await deliveries.accept(hook, body, null);
    },

    /** Takes in an event of the indexer; false when it is there already. */
    acceptIndexer(event: IndexerEvent): Promise<boolean> {
      return deliveries.accept('indexer', Buffer.from(JSON.stringify(event)), event.eventId);
    },

    /** Runs what was registered for settlements. */
    settle,

    /** A step of the housekeeping. */
    forgetProcessed: deliveries.forgetProcessed,

    /** The handler of `inboxWork`. */
    work,
  };
}

const describe = (error: unknown) => (error as Error).message.slice(0, 500);
