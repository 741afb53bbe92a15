import type { Clock } from '../platform/clock.ts';
import type { Queryable, Transaction } from '../platform/database/database.ts';
import { PublicError } from '../platform/errors.ts';
import type { Log } from '../platform/log/log.ts';
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

/** What is on the accounts of a transfer, whose rows are locked; sats. */
export interface HeldBalances {
  readonly from: Sats;
  readonly to: Sats;
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

const isCollecting = (account: Account) => (collecting as readonly string[]).includes(account);

/** The double-entry ledger. The sum over all accounts is zero at all times. */
export function createLedger({ clock, onEntry }: Dependencies) {
  return {
    /**
     * Books transfers, all or none, by one statement; accounts are locked in the order of their names.
     * @returns what is left on each account that has a balance; sats.
     * @throws PublicError INSUFFICIENT_FUNDS when an account that must not would go below zero.
     */
    async transfer(tx: Transaction, ...transfers: readonly Transfer[]): Promise<ReadonlyMap<Account, Sats>> {
      if (transfers.length === 0) return new Map();
      const { changes, laters } = changesOf(transfers);
      const held = [...changes.keys()].filter((account) => !isCollecting(account)).sort();
      const rows = await tx.query<{ account: Account; balance: Sats }>(
        ...transferStatement(transfers, changes, laters, held, new Date(clock.now())),
      );
      if (rows.length < held.length)
        throw new PublicError('INSUFFICIENT_FUNDS', 'The balance is lower than the amount.');
      const balances = new Map(rows.map(({ account, balance }) => [account, balance]));
      for (const [index, { from, to, amount, reason }] of transfers.entries()) {
        const later = laters[index] as Later;
        const entries = [
          { account: from, change: -amount, later: later.from },
          { account: to, change: amount, later: later.to },
        ];
        for (const { account, change, later } of entries) {
          const balance = balances.get(account);
          if (balance !== undefined) onEntry(tx, { account, change, balanceAfter: balance - later, reason });
        }
      }
      return balances;
    },

    /**
     * Books a transfer between accounts whose rows are locked and which have these balances, by the statement that writes
     * the events of the transaction. Nothing else of it may move what is on them.
     * @throws PublicError INSUFFICIENT_FUNDS when there is less than is to be moved.
     */
    transferHeld(
      tx: Transaction,
      log: Pick<Log, 'change'>,
      held: HeldBalances,
      { key, from, to, amount, reason }: Transfer,
    ): void {
      const left = held.from - amount;
      if (left < 0n) throw new PublicError('INSUFFICIENT_FUNDS', 'The balance is lower than the amount.');
      const added = held.to + amount;
      log.change(
        tx,
        `balances of ${from} and ${to}`,
        `UPDATE balances SET balance_sats = CASE account WHEN $1::text THEN $2::bigint ELSE $4::bigint END
         WHERE account IN ($1::text, $3::text)`,
        [from, left, to, added],
      );
      log.change(
        tx,
        `transfer ${key}`,
        `INSERT INTO transfers (key, from_account, to_account, amount_sats, reason, from_balance, to_balance, occurred_at)
         VALUES ($1::text, $2::text, $3::text, $4::bigint, $5::text, $6::bigint, $7::bigint, $8::timestamptz)`,
        [key, from, to, amount, reason, left, added, new Date(clock.now())],
      );
      onEntry(tx, { account: from, change: -amount, balanceAfter: left, reason });
      onEntry(tx, { account: to, change: amount, balanceAfter: added, reason });
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

/** What the transfers behind one still change of its two accounts; sats. */
interface Later {
  readonly from: Sats;
  readonly to: Sats;
}

/** What transfers change of each account, and what those behind each of them do. */
function changesOf(transfers: readonly Transfer[]) {
  const changes = new Map<Account, Sats>();
  const changeOf = (account: Account) => changes.get(account) ?? 0n;
  const laters = transfers.toReversed().map(({ from, to, amount }): Later => {
    if (amount < 1n) throw new RangeError('A transfer moves at least one sat.');
    const later = { from: changeOf(from), to: changeOf(to) };
    changes.set(from, later.from - amount);
    changes.set(to, later.to + amount);
    return later;
  });
  return { changes, laters: laters.toReversed() };
}

/**
 * One statement that changes accounts and books the transfers that do it. The accounts are changed one behind the
 * other; one that would go below zero, or that is to give without ever having had anything, answers no row.
 */
function transferStatement(
  transfers: readonly Transfer[],
  changes: ReadonlyMap<Account, Sats>,
  laters: readonly Later[],
  held: readonly Account[],
  occurredAt: Date,
): [string, unknown[]] {
  const parameters: unknown[] = [occurredAt];
  const place = (value: unknown, type: 'text' | 'bigint') => `$${parameters.push(value)}::${type}`;

  const changed = held.map((account, index) => {
    const change = changes.get(account) as Sats;
    const [name, by] = [place(account, 'text'), place(change, 'bigint')];
    const isNext = index === 0 ? 'true' : `EXISTS (SELECT 1 FROM changed${index - 1})`;
    return `changed${index} AS (${
      change < 0n
        ? `UPDATE balances SET balance_sats = balance_sats + ${by}
           WHERE account = ${name} AND balance_sats + ${by} >= 0 AND ${isNext}`
        : `INSERT INTO balances AS b (account, balance_sats) SELECT ${name}, ${by} WHERE ${isNext}
           ON CONFLICT (account) DO UPDATE SET balance_sats = b.balance_sats + excluded.balance_sats`
    } RETURNING account, balance_sats)`;
  });

  const balance = (account: Account, later: Sats) =>
    isCollecting(account)
      ? 'NULL::bigint'
      : `(SELECT balance_sats FROM changed${held.indexOf(account)}) - ${place(later, 'bigint')}`;
  // Behind the locks of its accounts, so that an account's transfers are numbered as they changed it.
  const booked = transfers.map(({ key, from, to, amount, reason }, index) => {
    const names = [key, from, to].map((name) => place(name, 'text'));
    const { from: fromLater, to: toLater } = laters[index] as Later;
    const balances = [balance(from, fromLater), balance(to, toLater)];
    return `(${[...names, place(amount, 'bigint'), place(reason, 'text'), ...balances, '$1'].join(', ')})`;
  });
  const parts = [
    ...changed,
    `booked AS (
       INSERT INTO transfers (key, from_account, to_account, amount_sats, reason, from_balance, to_balance, occurred_at)
       VALUES ${booked.join(', ')}
     )`,
  ];
  const collected = [...changes].filter(([account, change]) => isCollecting(account) && change !== 0n);
  if (collected.length > 0)
    parts.push(`collected AS (
       INSERT INTO collected_changes (account, change_sats)
       VALUES ${collected.map(([account, change]) => `(${place(account, 'text')}, ${place(change, 'bigint')})`).join(', ')}
     )`);
  // Last, so that there is an answer even when money moves between collecting accounts alone.
  const none = 'SELECT NULL::text, NULL::bigint WHERE false';
  const answers = held.map((_, index) => `SELECT account, balance_sats AS balance FROM changed${index}`);
  return [`WITH ${parts.join(', ')} ${[...answers, none].join(' UNION ALL ')}`, parameters];
}
