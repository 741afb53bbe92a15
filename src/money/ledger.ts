import type { Clock } from '../platform/clock.ts';
import type { Queryable, Transaction } from '../platform/database/database.ts';
import { PublicError } from '../platform/errors.ts';
import type { Sats } from './sats.ts';

/** Accounts that only collect, or may be negative; they have no balance row that each payment would update. */
const collecting = ['lightning', 'revenue'] as const;

/** An account's name: a collecting one, or one that must not go below zero and belongs to something. */
export type Account =
  | (typeof collecting)[number]
  | `wallet:${string}`
  | `session:${string}`
  | `job:${string}`
  | `refund:${string}`;

/** One movement of sats. `key` is unique for good: the same movement can never be booked twice. */
export interface Transfer {
  readonly key: string;
  readonly from: Account;
  readonly to: Account;
  readonly amount: Sats;
  readonly reason: string;
}

/** Who owns money: a user, or whoever holds the access token of one object. */
export interface Owner {
  readonly userId: string | null;
  readonly objectId: string;
}

/** Where what is returned to an owner goes: the wallet, or the refundable balance of an anonymous owner. */
export function ownerAccount({ userId, objectId }: Owner): Account {
  return userId === null ? `refund:${objectId}` : `wallet:${userId}`;
}

/** A column with the balance of an account that must not go below zero; `account` is an SQL expression. */
export function balanceColumn(account: string, name: string): string {
  return `coalesce((SELECT balance_sats FROM balances WHERE account = ${account}), 0) AS "${name}"`;
}

export type Ledger = ReturnType<typeof createLedger>;

const foldStep = 1_000;

/** The double-entry ledger. The sum over all accounts is zero at all times. */
export function createLedger({ clock }: { readonly clock: Clock }) {
  const isCollecting = (account: Account) => (collecting as readonly string[]).includes(account);

  async function apply(tx: Transaction, changes: ReadonlyMap<Account, Sats>): Promise<void> {
    const sorted = [...changes].filter(([, change]) => change !== 0n).sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [account, change] of sorted) {
      if (isCollecting(account)) {
        await tx.query('INSERT INTO collected_changes (account, change_sats) VALUES ($1, $2)', [
          account,
          change,
        ]);
      } else if (change > 0n) {
        await tx.query(
          `INSERT INTO balances AS b (account, balance_sats) VALUES ($1, $2)
           ON CONFLICT (account) DO UPDATE SET balance_sats = b.balance_sats + excluded.balance_sats`,
          [account, change],
        );
      } else {
        const reduced = await tx.query(
          'UPDATE balances SET balance_sats = balance_sats + $2 WHERE account = $1 AND balance_sats + $2 >= 0 RETURNING 1',
          [account, change],
        );
        if (reduced.length === 0)
          throw new PublicError('INSUFFICIENT_FUNDS', 'The balance is lower than the amount.');
      }
    }
  }

  return {
    /**
     * Books transfers, all or none; accounts are locked in the order of their names.
     * @throws PublicError INSUFFICIENT_FUNDS when an account that must not would go below zero.
     */
    async transfer(tx: Transaction, ...transfers: readonly Transfer[]): Promise<void> {
      const changes = new Map<Account, Sats>();
      for (const { key, from, to, amount, reason } of transfers) {
        changes.set(from, (changes.get(from) ?? 0n) - amount);
        changes.set(to, (changes.get(to) ?? 0n) + amount);
        await tx.query(
          `INSERT INTO transfers (key, from_account, to_account, amount_sats, reason, occurred_at)
           VALUES ($1, $2, $3, $4, $5, $6)`,
          [key, from, to, amount, reason, new Date(clock.now())],
        );
      }
      await apply(tx, changes);
    },

    /** The balances of accounts that must not go below zero; sats. */
    async balances(db: Queryable, accounts: readonly Account[]): Promise<ReadonlyMap<string, Sats>> {
      const rows = await db.query<{ account: string; balance: Sats }>(
        'SELECT account, balance_sats AS balance FROM balances WHERE account = ANY($1::text[])',
        [accounts],
      );
      return new Map(rows.map((row) => [row.account, row.balance]));
    },

    /** The balance of one account that must not go below zero; sats. */
    async balance(db: Queryable, account: Account): Promise<Sats> {
      return (await this.balances(db, [account])).get(account) ?? 0n;
    },

    /** The balance of every account, collecting ones included; they add up to zero. */
    async all(db: Queryable): Promise<ReadonlyMap<string, Sats>> {
      const rows = await db.query<{ account: string; balance: string }>(
        `SELECT account, sum(part)::text AS balance FROM (
           SELECT account, balance_sats::numeric AS part FROM balances
           UNION ALL SELECT account, sum_sats FROM collected_sums
           UNION ALL SELECT account, change_sats FROM collected_changes
         ) parts GROUP BY account`,
      );
      return new Map(rows.map((row) => [row.account, BigInt(row.balance)]));
    },

    /**
     * Folds changes of collecting accounts into their sums, a bounded step at a time.
     * @returns whether there may be more.
     */
    async fold(tx: Transaction): Promise<boolean> {
      const rows = await tx.query<{ folded: bigint }>(
        `WITH taken AS (
           DELETE FROM collected_changes WHERE id IN (
             SELECT id FROM collected_changes ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
           ) RETURNING account, change_sats
         ), summed AS (
           INSERT INTO collected_sums AS s (account, sum_sats)
           SELECT account, sum(change_sats) FROM taken GROUP BY account ORDER BY account
           ON CONFLICT (account) DO UPDATE SET sum_sats = s.sum_sats + excluded.sum_sats
         )
         SELECT count(*) AS folded FROM taken`,
        [foldStep],
      );
      return rows[0]?.folded === BigInt(foldStep);
    },
  };
}
