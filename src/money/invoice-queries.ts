import type { Queryable, Transaction } from '../platform/database/database.ts';
import { type Page, readPageOf } from '../platform/database/page.ts';
import type { Sats } from './sats.ts';

export type InvoiceState = 'OPEN' | 'PAID' | 'EXPIRED' | 'CANCELLED';

/** What an invoice is for; the domain in front of the dot decides what its payment does. */
export type InvoiceKind = 'job.eval' | 'job.work' | 'session.deposit' | 'session.topUp' | 'wallet.deposit';

export interface Invoice {
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly paymentHash: string;
  readonly bolt11: string;
  readonly amountSats: Sats;
  readonly receivedSats: Sats | null;
  readonly memo: string;
  readonly state: InvoiceState;
  readonly kind: InvoiceKind;
  readonly objectId: string;
  readonly ownerUser: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly paidAt: Date | null;
  /** Paid by a payout, while the Lightning node may still take another payment of it. */
  readonly paidInside: boolean;
}

const columns = `payment_hash AS "paymentHash", id, bolt11, amount_sats AS "amountSats",
  received_sats AS "receivedSats", memo, state, kind, object_id AS "objectId", owner_user AS "ownerUser",
  created_at AS "createdAt", expires_at AS "expiresAt", paid_at AS "paidAt",
  paid_inside AS "paidInside"`;

/** An invoice by its payment hash, locked until the transaction ends. */
export async function lockInvoice(tx: Transaction, paymentHash: string): Promise<Invoice | undefined> {
  const rows = await tx.query<Invoice>(`SELECT ${columns} FROM invoices WHERE payment_hash = $1 FOR UPDATE`, [
    paymentHash,
  ]);
  return rows[0];
}

/** Invoices by payment hash; unknown ones are left out. */
export function byHashes(db: Queryable, paymentHashes: readonly string[]): Promise<Invoice[]> {
  return db.query<Invoice>(`SELECT ${columns} FROM invoices WHERE payment_hash = ANY($1::text[])`, [
    paymentHashes,
  ]);
}

/** An invoice by its payment hash. */
export async function byHash(db: Queryable, paymentHash: string): Promise<Invoice | undefined> {
  return (await byHashes(db, [paymentHash]))[0];
}

/** Invoices by id; unknown ones are left out. */
export function byIds(db: Queryable, ids: readonly string[]): Promise<Invoice[]> {
  return db.query<Invoice>(`SELECT ${columns} FROM invoices WHERE id = ANY($1::text[])`, [ids]);
}

/** Invoices of one kind that belong to an object, newest first. */
export function listInvoices(
  db: Queryable,
  objectId: string,
  kind: InvoiceKind,
  page: Page,
): Promise<Invoice[]> {
  return readPageOf<Invoice>(db, 'invoices', columns, { object_id: objectId, kind }, page);
}
