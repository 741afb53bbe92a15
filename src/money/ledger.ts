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
  | `refund:${string}`
  | `payout:${string}`
  | `stream:${string}`
  | 'treasury';

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

/** What a transfer has done to one of its accounts. */
export interface Entry {
  readonly account: Account;
  /** Positive into the account, negative out of it; sats. */
  readonly change: Sats;
  readonly balanceAfter: Sats;
  readonly reason: string;
}

export type Ledger = ReturnType<typeof createLedger>;

interface Dependencies {
  readonly clock: Clock;
  /** Hears what becomes of each account that has a balance, in the transaction that books it. */
  readonly onEntry: (tx: Transaction, entry: Entry) => void;
}

const foldStep = 1_000;

/** The double-entry ledger. The sum over all accounts is zero at all times. */
export function createLedger({ clock, onEntry }: Dependencies) {
  const isCollecting = (account: Account) => (collecting as readonly string[]).includes(account);

  /** Changes accounts in the order of their names; answers the balances of those that have one. */
  async function apply(tx: Transaction, changes: ReadonlyMap<Account, Sats>): Promise<Map<Account, Sats>> {
    const sorted = [...changes].sort(([a], [b]) => (a < b ? -1 : 1));
    const balances = new Map<Account, Sats>();
    const collected = sorted.filter(([account, change]) => isCollecting(account) && change !== 0n);
    for (const [account, change] of sorted)
      if (!isCollecting(account)) balances.set(account, await changeBalance(tx, account, change));
    if (collected.length > 0)
      await tx.query(
        'INSERT INTO collected_changes (account, change_sats) SELECT * FROM unnest($1::text[], $2::bigint[])',
        [collected.map(([account]) => account), collected.map(([, change]) => change)],
      );
    return balances;
  }

  async function changeBalance(tx: Transaction, account: Account, change: Sats): Promise<Sats> {
    const [row] = await tx.query<{ balance: Sats }>(
      change > 0n
        ? `INSERT INTO balances AS b (account, balance_sats) VALUES ($1, $2)
           ON CONFLICT (account) DO UPDATE SET balance_sats = b.balance_sats + excluded.balance_sats
           RETURNING balance_sats AS balance`
        : `UPDATE balances SET balance_sats = balance_sats + $2 WHERE account = $1 AND balance_sats + $2 >= 0
           RETURNING balance_sats AS balance`,
      [account, change],
    );
    if (row) return row.balance;
    if (change === 0n) return 0n;
    throw new PublicError('INSUFFICIENT_FUNDS', 'The balance is lower than the amount.');
  }

  return {
    /**
     * Books transfers, all or none; accounts are locked in the order of their names.
     * @throws PublicError INSUFFICIENT_FUNDS when an account that must not would go below zero.
     */
    async transfer(tx: Transaction, ...transfers: readonly Transfer[]): Promise<void> {
      if (transfers.length === 0) return;
      const changes = new Map<Account, Sats>();
      for (const { from, to, amount } of transfers) {
        if (amount < 1n) throw new RangeError('A transfer moves at least one sat.');
        changes.set(from, (changes.get(from) ?? 0n) - amount);
        changes.set(to, (changes.get(to) ?? 0n) + amount);
      }
      const booked = withBalances(transfers, await apply(tx, changes));
      // Behind the locks of its accounts, so that an account's transfers are numbered as they changed it.
      await tx.query(
        `INSERT INTO transfers (key, from_account, to_account, amount_sats, reason, from_balance, to_balance, occurred_at)
         SELECT *, $8 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])`,
        [
          booked.map(({ key }) => key),
          booked.map(({ from }) => from),
          booked.map(({ to }) => to),
          booked.map(({ amount }) => amount),
          booked.map(({ reason }) => reason),
          booked.map(({ fromBalance }) => fromBalance ?? null),
          booked.map(({ toBalance }) => toBalance ?? null),
          new Date(clock.now()),
        ],
      );
      for (const { from, to, amount, reason, fromBalance, toBalance } of booked) {
        if (fromBalance !== undefined)
          onEntry(tx, { account: from, change: -amount, balanceAfter: fromBalance, reason });
        if (toBalance !== undefined)
          onEntry(tx, { account: to, change: amount, balanceAfter: toBalance, reason });
      }
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

type BookedTransfer = Transfer & {
  readonly fromBalance: Sats | undefined;
  readonly toBalance: Sats | undefined;
};

/** What each transfer left on its two accounts, told from what all of them have left; undefined on collecting ones. */
function withBalances(
  transfers: readonly Transfer[],
  balances: Map<Account, Sats>,
): readonly BookedTransfer[] {
  const backwards = transfers.toReversed().map((transfer) => {
    const { from, to, amount } = transfer;
    const fromBalance = balances.get(from);
    const toBalance = balances.get(to);
    if (fromBalance !== undefined) balances.set(from, fromBalance + amount);
    if (toBalance !== undefined) balances.set(to, toBalance - amount);
    return { ...transfer, fromBalance, toBalance };
  });
  return backwards.toReversed();
}
