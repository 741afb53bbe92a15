import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database/database.ts';
import type { LightningPayer } from './lightning/payer.ts';

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  /** Absent where the balance of the Lightning node is not known. */
  readonly payer: LightningPayer | undefined;
}

/** However often it is asked, the Lightning node is asked no more often; ms. */
const keptMs = 10_000;
/** Whoever asks waits no longer than this for it: what else is measured must be told, too; ms. */
const longestWaitMs = 1_000;

/** What the Lightning node holds, beside what is owed to everyone. */
export function createSolvency({ db, clock, payer }: Dependencies) {
  let asked: { readonly at: number; readonly balance: Promise<number> } | undefined;

  return {
    /** What the Lightning node holds; whole sats, NaN while that is not known. */
    async backendBalanceSats(): Promise<number> {
      if (!payer) return Number.NaN;
      const now = clock.now();
      if (!asked || now - asked.at >= keptMs)
        asked = {
          at: now,
          balance: payer.balanceMsats().then(
            (msats) => Number(msats / 1_000n),
            () => Number.NaN,
          ),
        };
      return Promise.race([asked.balance, delay(longestWaitMs, Number.NaN, { ref: false })]);
    },

    /**
     * What is owed: all accounts but the collecting ones, whose sum is that of these with the other sign; sats, NaN
     * while the database does not answer.
     */
    async liabilitiesSats(): Promise<number> {
      const rows = await db
        .query<{ owed: string }>(
          `SELECT (-(SELECT coalesce(sum(sum_sats), 0) FROM collected_sums)
                  -(SELECT coalesce(sum(change_sats), 0) FROM collected_changes))::text AS owed`,
        )
        .catch(() => []);
      return Number(rows[0]?.owed);
    },
  };
}
