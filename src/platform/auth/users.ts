import type { Queryable, Transaction } from '../database/database.ts';
import { newId } from '../ids.ts';

/** The feed of all that concerns a user. */
export const activityTopic = (userId: string) => `user:${userId}`;

/** A person or a program as others see it. */
export interface User {
  readonly id: string;
  readonly name: string | null;
  /** A principal on another chain: the first by name of those that are linked with the user. */
  readonly address: string | null;
}

/** Users by id; unknown ones are left out. */
export function usersByIds(db: Queryable, ids: readonly string[]): Promise<User[]> {
  return db.query<User>(
    `SELECT id, name, (SELECT min(address) FROM user_addresses WHERE user_id = users.id) AS address
     FROM users WHERE id = ANY($1::text[])`,
    [ids],
  );
}

/** Keeps what a user wants to be called. */
export async function rename(db: Queryable, userId: string, name: string): Promise<void> {
  await db.query('UPDATE users SET name = $2 WHERE id = $1', [userId, name]);
}

/**
 * Links principals with a user whose token names them. One that belongs to another subject stays with it: links are
 * for good.
 */
export async function linkAddresses(
  db: Queryable,
  userId: string,
  addresses: readonly string[],
): Promise<void> {
  await db.query(
    `INSERT INTO user_addresses (address, user_id) SELECT DISTINCT address, $1 FROM unnest($2::text[]) address ORDER BY address
     ON CONFLICT (address) DO UPDATE SET user_id = excluded.user_id
     WHERE (SELECT subject FROM users WHERE id = user_addresses.user_id) IS NULL`,
    [userId, addresses],
  );
}

/** The users behind principals; who is not known yet becomes a user with only this address. */
export async function usersAtAddresses(
  tx: Transaction,
  addresses: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, string>> {
  const sorted = [...new Set(addresses)].sort();
  const ids = sorted.map(() => newId('usr'));
  await tx.query(
    `WITH missing AS (
       SELECT * FROM unnest($1::text[], $2::text[]) AS wanted(address, id)
       WHERE NOT EXISTS (SELECT 1 FROM user_addresses a WHERE a.address = wanted.address)
     ), made AS (
       INSERT INTO users (id, created_at) SELECT id, $3 FROM missing
     )
     INSERT INTO user_addresses (address, user_id) SELECT address, id FROM missing ON CONFLICT DO NOTHING`,
    [sorted, ids, now],
  );
  const rows = await tx.query<{ address: string; userId: string }>(
    'SELECT address, user_id AS "userId" FROM user_addresses WHERE address = ANY($1::text[])',
    [sorted],
  );
  return new Map(rows.map((row) => [row.address, row.userId]));
}
