import { expect } from 'vitest';
import { createLedger } from '../../src/money/ledger.ts';
import type { Database, Queryable } from '../../src/platform/database/database.ts';

/**
 * Fails unless every sat is where the transfers have put it: the accounts add up to zero, each balance is
 * what its transfers make it, and what each invoice received is booked once.
 */
export async function expectMoneyAddsUp(db: Database | Queryable): Promise<void> {
  if (!('transaction' in db)) return expectItAddsUp(db);
  // As it stood at one moment: timers may move sats meanwhile.
  return db.transaction(async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await expectItAddsUp(tx);
  });
}

async function expectItAddsUp(db: Queryable): Promise<void> {
  const all = await createLedger({ clock: { now: () => 0 }, onEntry: () => {} }).all(db);
  expect([...all.values()].reduce((sum, balance) => sum + balance, 0n)).toBe(0n);

  const moved = await db.query<{ account: string; balance: string }>(
    `SELECT account, sum(change)::text AS balance FROM (
       SELECT from_account AS account, -amount_sats::numeric AS change FROM transfers
       UNION ALL SELECT to_account, amount_sats FROM transfers
     ) changes GROUP BY account`,
  );
  expect(Object.fromEntries(all)).toEqual(
    Object.fromEntries(moved.map(({ account, balance }) => [account, BigInt(balance)])),
  );

  const wronglyBooked = await db.query(
    `SELECT i.payment_hash, i.state, i.received_sats, sum(t.amount_sats) AS booked
     FROM invoices i LEFT JOIN transfers t ON t.key IN ('paid:' || i.payment_hash, 'returned:' || i.payment_hash)
     GROUP BY i.payment_hash
     HAVING coalesce(sum(t.amount_sats), 0) <> coalesce(i.received_sats, 0)
       OR (i.state = 'PAID') <> (i.received_sats IS NOT NULL)`,
  );
  expect(wronglyBooked).toEqual([]);
}
