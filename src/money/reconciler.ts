import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database/database.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import { LightningUnavailableError } from './lightning/backend.ts';
import type { OpenInvoices } from './open-invoices.ts';

interface Dependencies {
  readonly openInvoices: OpenInvoices;
  /** Asks the Lightning node for an invoice, and books its payment. */
  readonly confirm: (paymentHash: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly requestsPerSecond: number;
  /** Hears of the first failure, until a look-up succeeds again; of bugs always. */
  readonly onError: (error: unknown) => void;
}

/** The one node that holds this work asks the Lightning node for the open invoices. */
export const reconcileWork = 'invoice.reconcile';

const roundMs = 250;
/** While the Lightning node does not answer it is asked this often, for one invoice at a time; ms. */
const awayRoundMs = 1_000;
/** An invoice whose look-up failed waits while others are tried; ms. */
const failedPauseMs = 5_000;
/** However slow the Lightning node is. */
const mostAtOnce = 10;
/** Every so many rounds those that have waited longest come first, so that none is passed over for good. */
const fairRound = 4;

/**
 * Asks the Lightning node for every open invoice, again and again within a budget of requests, as nothing else
 * that it says of payments can be relied on.
 */
export function createReconciler(deps: Dependencies): WorkHandler {
  const { openInvoices, confirm, clock, requestsPerSecond, onError } = deps;
  const perRound = (requestsPerSecond * roundMs) / 1_000;
  let isAway = false;

  async function lookUp(paymentHash: string): Promise<void> {
    try {
      await confirm(paymentHash);
      isAway = false;
    } catch (error) {
      const isUnavailable = error instanceof LightningUnavailableError;
      if (!isUnavailable || !isAway) onError(error);
      isAway ||= isUnavailable;
      await openInvoices.postpone(paymentHash, failedPauseMs).catch(onError);
    }
  }

  return {
    concurrency: 1,
    async run(_work, signal) {
      const underWay = new Set<Promise<void>>();
      let allowance = perRound;
      let rounds = 0;

      async function round(): Promise<void> {
        const room = Math.min(Math.floor(allowance), (isAway ? 1 : mostAtOnce) - underWay.size);
        if (room < 1) return;
        rounds += 1;
        const due = await openInvoices.take(room, rounds % fairRound === 0 ? 'LONGEST_WAITING' : 'LIKELIEST');
        allowance -= due.length;
        for (const paymentHash of due) {
          const task: Promise<void> = lookUp(paymentHash).finally(() => underWay.delete(task));
          underWay.add(task);
        }
      }

      while (!signal.aborted) {
        await round().catch(onError);
        const pauseMs = isAway ? awayRoundMs : roundMs;
        await pause(pauseMs, undefined, { signal }).catch(() => {});
        // What a quiet round leaves is kept for the next, and no longer.
        allowance = Math.min(allowance + (requestsPerSecond * pauseMs) / 1_000, Math.max(perRound * 2, 1));
      }
      await Promise.all(underWay);
      return new Date(clock.now());
    },
  };
}

/** Makes sure that somebody reconciles: once, for however many nodes. */
export async function scheduleReconciler(db: Database, queue: WorkQueue, clock: Clock): Promise<void> {
  await db.transaction((tx) => queue.scheduleOnce(tx, reconcileWork, 'all', new Date(clock.now())));
}
