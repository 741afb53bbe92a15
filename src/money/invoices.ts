import type { Clock } from '../platform/clock.ts';
import type { Database, Queryable, Transaction } from '../platform/database/database.ts';
import { type Page, readPageOf } from '../platform/database/page.ts';
import { unavailable } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import type { Owner } from './ledger.ts';
import {
  type CreatedInvoice,
  type LightningBackend,
  LightningUnavailableError,
} from './lightning/backend.ts';
import type { Sats } from './sats.ts';

export type InvoiceState = 'OPEN' | 'PAID' | 'EXPIRED' | 'CANCELLED';

/** What an invoice is for; the domain in front of the dot decides what its payment does. */
export type InvoiceKind = 'job.eval' | 'job.work' | 'session.deposit' | 'session.topUp';

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
}

/** What a domain does with its invoices, in the transaction that changes them. */
export interface InvoiceHandler {
  /** Books everything that was received, to the last sat. The invoice is as it was before the payment. */
  paid(tx: Transaction, invoice: Invoice, receivedSats: Sats): Promise<void>;
  /** Its time was up, and a look-up after that moment said that it was not paid. */
  expired(tx: Transaction, invoice: Invoice): Promise<void>;
}

/** An invoice that the Lightning node has made and that no transaction has stored yet. */
export interface InvoiceDraft extends CreatedInvoice {
  readonly amountSats: Sats;
  readonly memo: string;
}

export type Invoices = ReturnType<typeof createInvoices>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly lightning: LightningBackend;
  readonly queue: WorkQueue;
  readonly expirySeconds: number;
  readonly onError: (error: unknown) => void;
}

/** Looks an invoice up when its time is up, and rarely after that. */
export const checkWork = 'invoice.check';

const retryAfterMs = 5_000;
const lateCheckMs = 3_600_000;
const lateChecksEndMs = 24 * 3_600_000;
const startPage = 200;

/** Invoices and their settlement: each is booked once, whenever and however often we hear of its payment. */
export function createInvoices({ db, clock, lightning, queue, expirySeconds, onError }: Dependencies) {
  const handlers = new Map<InvoiceKind, InvoiceHandler>();
  lightning.onHint((paymentHash) => {
    confirm(paymentHash).catch(onError);
  });

  /** Asks the node, and books a payment that it confirms. */
  async function confirm(paymentHash: string): Promise<boolean> {
    const answer = await lightning.lookUp(paymentHash);
    if (answer.paid) await settle(paymentHash, answer.receivedSats, answer.paidAt);
    return answer.paid;
  }

  async function settle(paymentHash: string, receivedSats: Sats, paidAt: Date): Promise<void> {
    await db.transaction(async (tx) => {
      const invoice = await lock(tx, paymentHash);
      if (!invoice || invoice.state === 'PAID') return;
      if (receivedSats < invoice.amountSats)
        throw new Error(`The Lightning node took less than invoice ${invoice.id} asks for.`);
      await tx.query(
        `UPDATE invoices SET state = 'PAID', received_sats = $2, paid_at = $3 WHERE payment_hash = $1`,
        [paymentHash, receivedSats, paidAt],
      );
      await queue.cancel(tx, checkWork, paymentHash);
      await handlerOf(invoice).paid(tx, invoice, receivedSats);
    });
  }

  async function expire(paymentHash: string): Promise<void> {
    await db.transaction(async (tx) => {
      const invoice = await lock(tx, paymentHash);
      if (invoice?.state !== 'OPEN') return;
      await tx.query(`UPDATE invoices SET state = 'EXPIRED' WHERE payment_hash = $1`, [paymentHash]);
      await handlerOf(invoice).expired(tx, invoice);
    });
  }

  function handlerOf({ kind }: Invoice): InvoiceHandler {
    return handlers.get(kind) as InvoiceHandler;
  }

  const checks: WorkHandler = {
    concurrency: 4,
    async run({ key: paymentHash }) {
      const invoice = await byHash(db, paymentHash);
      if (!invoice) return undefined;
      const askedAt = clock.now();
      if (await confirm(paymentHash)) return undefined;
      const expiresAt = invoice.expiresAt.getTime();
      if (askedAt < expiresAt) return invoice.expiresAt;
      await expire(paymentHash);
      const end = expiresAt + lateChecksEndMs;
      return askedAt < end ? new Date(Math.min(askedAt + lateCheckMs, end)) : undefined;
    },
  };

  return {
    /** Says which domain answers for a kind of invoice. */
    handle(kind: InvoiceKind, handler: InvoiceHandler): void {
      handlers.set(kind, handler);
    },

    /**
     * Has the Lightning node make an invoice. Not for inside a transaction.
     * @throws PublicError UNAVAILABLE when the node does not answer.
     */
    async draft(amountSats: Sats, memo: string): Promise<InvoiceDraft> {
      try {
        return { ...(await lightning.createInvoice({ amountSats, memo, expirySeconds })), amountSats, memo };
      } catch (error) {
        if (error instanceof LightningUnavailableError)
          throw unavailable('The Lightning node does not answer.', retryAfterMs);
        throw error;
      }
    },

    /** Stores a draft as an open invoice of an object. */
    async insert(tx: Transaction, draft: InvoiceDraft, kind: InvoiceKind, owner: Owner): Promise<void> {
      await tx.query(
        `INSERT INTO invoices (payment_hash, id, bolt11, amount_sats, memo, state, kind, object_id, owner_user,
                               created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, 'OPEN', $6, $7, $8, $9, $10)`,
        [
          draft.paymentHash,
          newId('inv'),
          draft.bolt11,
          draft.amountSats,
          draft.memo,
          kind,
          owner.objectId,
          owner.userId,
          new Date(clock.now()),
          draft.expiresAt,
        ],
      );
      await queue.schedule(tx, checkWork, draft.paymentHash, draft.expiresAt);
    },

    /** Withdraws the open invoices of an object; what is still paid on them goes back to the owner. */
    async cancelOpen(tx: Transaction, objectId: string): Promise<void> {
      await tx.query(
        `UPDATE invoices SET state = 'CANCELLED' WHERE payment_hash IN (
           SELECT payment_hash FROM invoices WHERE object_id = $1 AND state = 'OPEN'
           ORDER BY payment_hash FOR UPDATE
         )`,
        [objectId],
      );
    },

    confirm,

    /** Asks the node for every open invoice: what was paid while we were away is booked before any expires. */
    async lookUpOpen(): Promise<void> {
      for (let last = ''; ; ) {
        const rows = await db.query<{ paymentHash: string }>(
          `SELECT payment_hash AS "paymentHash" FROM invoices
           WHERE state = 'OPEN' AND payment_hash > $1 ORDER BY payment_hash LIMIT $2`,
          [last, startPage],
        );
        for (const { paymentHash } of rows) await confirm(paymentHash).catch(onError);
        const end = rows[rows.length - 1];
        if (!end) return;
        last = end.paymentHash;
      }
    },

    /** The handler of `checkWork`. */
    checks,
  };
}

const columns = `payment_hash AS "paymentHash", id, bolt11, amount_sats AS "amountSats",
  received_sats AS "receivedSats", memo, state, kind, object_id AS "objectId", owner_user AS "ownerUser",
  created_at AS "createdAt", expires_at AS "expiresAt", paid_at AS "paidAt"`;

async function lock(tx: Transaction, paymentHash: string): Promise<Invoice | undefined> {
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

async function byHash(db: Queryable, paymentHash: string): Promise<Invoice | undefined> {
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
