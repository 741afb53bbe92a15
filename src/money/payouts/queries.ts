import type { Queryable, Transaction } from '../../platform/database/database.ts';
import { type Page, readPageOf } from '../../platform/database/page.ts';
import type { Sats } from '../sats.ts';
import type { FailureReason, PayoutState } from './machine.ts';

export interface Payout {
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly paymentHash: string;
  readonly bolt11: string;
  readonly ownerUser: string | null;
  /** What the owner's money is of: the user, or the object that an anonymous owner has. */
  readonly objectId: string;
  readonly amountSats: Sats;
  /** What is held for the fee while it is pending, then what the fee was. */
  readonly feeSats: Sats;
  readonly state: PayoutState;
  readonly failureReason: FailureReason | null;
  readonly createdAt: Date;
  /** Of the invoice. */
  readonly expiresAt: Date;
  /** When it was about to be sent; from then on it is only looked up. */
  readonly sentAt: Date | null;
  readonly settledAt: Date | null;
}

const columns = `id, payment_hash AS "paymentHash", bolt11, owner_user AS "ownerUser", object_id AS "objectId",
  amount_sats AS "amountSats", fee_sats AS "feeSats", state, failure_reason AS "failureReason",
  created_at AS "createdAt", expires_at AS "expiresAt", sent_at AS "sentAt", settled_at AS "settledAt"`;

/** Payouts by id; unknown ones are left out. */
export function payoutsByIds(db: Queryable, ids: readonly string[]): Promise<Payout[]> {
  return db.query<Payout>(`SELECT ${columns} FROM payouts WHERE id = ANY($1::text[])`, [ids]);
}

/** A payout, locked until the transaction ends. */
export async function lockPayout(tx: Transaction, id: string): Promise<Payout | undefined> {
  const [row] = await tx.query<Payout>(`SELECT ${columns} FROM payouts WHERE id = $1 FOR UPDATE`, [id]);
  return row;
}

/** A user's payouts, newest first. */
export function listPayouts(db: Queryable, userId: string, page: Page): Promise<Payout[]> {
  return readPageOf<Payout>(db, 'payouts', columns, { owner_user: userId }, page);
}
