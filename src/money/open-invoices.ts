import { lockRequester, type Requester } from '../platform/auth/requester.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Queryable, Transaction } from '../platform/database/database.ts';
import { rateLimited } from '../platform/errors.ts';

export type OpenInvoices = ReturnType<typeof createOpenInvoices>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  /** How many open invoices a caller, and an address, may have; 0 for any number. */
  readonly maximum: number;
}

/**
 * How soon an open invoice is asked for again: after a part of the time that it is open, or that it was last
 * hinted at; at least the shortest pause, at most the longest.
 */
const shortestPauseSeconds = 0.4;
const longestPauseSeconds = 60;
const partOfAge = 1 / 120;

/** What matters of an invoice only while it can be paid: when to ask the node for it, whom it counts against. */
export function createOpenInvoices({ db, clock, maximum }: Dependencies) {
  const inMs = (ms: number) => new Date(clock.now() + ms);

  async function requireRoom(tx: Queryable, { caller, address }: Requester): Promise<void> {
    for (const [column, value] of Object.entries({ caller, address })) {
      if (value === null || maximum === 0) continue;
      const [open] = await tx.query<{ count: bigint; firstEnd: Date }>(
        `SELECT count(*) AS count, min(expires_at) AS "firstEnd"
         FROM open_invoices WHERE ${column} = $1 AND expires_at > $2`,
        [value, inMs(0)],
      );
      if (open && open.count >= BigInt(maximum))
        throw rateLimited(
          `At most ${maximum} invoices may be open at a time: pay one, or wait until one expires.`,
          open.firstEnd.getTime() - clock.now(),
        );
    }
  }

  return {
    /**
     * Fails early where `add` would.
     * @throws PublicError RATE_LIMITED when the requester has as many open invoices as may be.
     */
    requireRoom: (requester: Requester) => requireRoom(db, requester),

    /**
     * Notes an invoice that was made; without a requester it counts against nobody.
     * @throws PublicError RATE_LIMITED when the requester has as many open invoices as may be.
     */
    async add(tx: Transaction, paymentHash: string, expiresAt: Date, requester?: Requester): Promise<void> {
      if (requester) {
        await lockRequester(tx, requester);
        await requireRoom(tx, requester);
      }
      await tx.query(
        `INSERT INTO open_invoices (payment_hash, caller, address, created_at, expires_at, next_poll_at)
         VALUES ($1, $2, $3, $4, $5, $4)`,
        [paymentHash, requester?.caller ?? null, requester?.address ?? null, inMs(0), expiresAt],
      );
    },

    /** Forgets invoices that are paid, expired or withdrawn. */
    async remove(tx: Transaction, paymentHashes: readonly string[]): Promise<void> {
      await tx.query('DELETE FROM open_invoices WHERE payment_hash = ANY($1::text[])', [paymentHashes]);
    },

    /** Puts an invoice in front, as it may have been paid. */
    async hint(paymentHash: string): Promise<void> {
      await db.query('UPDATE open_invoices SET hinted_at = $2, next_poll_at = $2 WHERE payment_hash = $1', [
        paymentHash,
        inMs(0),
      ]);
    },

    /**
     * Takes invoices that are due to be asked for: hinted ones first, then the youngest; or those that have
     * waited longest. They are due again after their pause.
     */
    async take(limit: number, first: 'LIKELIEST' | 'LONGEST_WAITING'): Promise<string[]> {
      const order = first === 'LIKELIEST' ? 'hinted_at IS NULL, created_at DESC' : 'next_poll_at';
      const rows = await db.query<{ paymentHash: string }>(
        `UPDATE open_invoices o SET next_poll_at = $1::timestamptz + make_interval(secs => least(
           $5::float8, greatest($4::float8, $3::float8 * extract(epoch FROM $1 - coalesce(o.hinted_at, o.created_at)))))
         FROM (
           SELECT payment_hash FROM open_invoices WHERE next_poll_at <= $1 ORDER BY ${order} LIMIT $2
         ) due WHERE o.payment_hash = due.payment_hash
         RETURNING o.payment_hash AS "paymentHash"`,
        [inMs(0), limit, partOfAge, shortestPauseSeconds, longestPauseSeconds],
      );
      return rows.map((row) => row.paymentHash);
    },

    /** Has an invoice asked for again at a time, not before. */
    async postpone(paymentHash: string, ms: number): Promise<void> {
      await db.query('UPDATE open_invoices SET next_poll_at = $2 WHERE payment_hash = $1', [
        paymentHash,
        inMs(ms),
      ]);
    },
  };
}
