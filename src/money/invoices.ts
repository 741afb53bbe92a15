import { createHash, randomBytes } from 'node:crypto';
import type { Requester } from '../platform/auth/requester.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import { unavailable } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import { byHash, type Invoice, type InvoiceKind, lockInvoice } from './invoice-queries.ts';
import type { Ledger, Owner } from './ledger.ts';
import {
  type CreatedInvoice,
  type LightningBackend,
  LightningUnavailableError,
  type LookUp,
} from './lightning/backend.ts';
import type { OpenInvoices } from './open-invoices.ts';
import { bookReceipt } from './receipts.ts';
import type { Sats } from './sats.ts';

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
  readonly webhookHash: string | null;
  readonly requester: Requester | undefined;
}

export type Invoices = ReturnType<typeof createInvoices>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly lightning: LightningBackend;
  readonly queue: WorkQueue;
  readonly openInvoices: OpenInvoices;
  readonly expirySeconds: number;
  /** Under which URL the Lightning node reaches this server's webhooks; without one it is given none. */
  readonly webhooksUrl: URL | undefined;
  readonly onError: (error: unknown) => void;
}

/** Looks an invoice up when its time is up, and ever more rarely after that. */
export const checkWork = 'invoice.check';

const retryAfterMs = 5_000;
const soonestLateCheckMs = 10_000;
const latestLateCheckMs = 3_600_000;
const lateChecksEndMs = 24 * 3_600_000;

/** How soon another hint at the same invoice is worth another look-up; ms. */
const hintPauseMs = 5_000;
/** Hints beyond these are left to the reconciler. */
const mostHintsAtOnce = 50;

/** Invoices and their settlement: each is booked once, whenever and however often we hear of its payment. */
export function createInvoices(deps: Dependencies) {
  const { db, clock, ledger, lightning, queue, openInvoices, expirySeconds, webhooksUrl, onError } = deps;
  const handlers = new Map<InvoiceKind, InvoiceHandler>();
  let hintsUnderWay = 0;

  lightning.onHint((paymentHash) => {
    hint(paymentHash).catch(onError);
  });

  /** Asks the node, and books a payment that it confirms. */
  async function lookUp(paymentHash: string): Promise<LookUp> {
    const answer = await lightning.lookUp(paymentHash);
    if (answer.paid) await settle(paymentHash, answer.receivedSats, answer.paidAt);
    return answer;
  }

  const confirm = async (paymentHash: string) => (await lookUp(paymentHash)).paid;

  /** Somebody says that an invoice was paid: asks the node at once, on one of all the nodes that heard it. */
  async function hint(paymentHash: string): Promise<void> {
    const now = clock.now();
    const [invoice] = await db.query<Pick<Invoice, 'state'>>(
      `UPDATE invoices SET hinted_at = $2
       WHERE payment_hash = $1 AND state <> 'PAID' AND (hinted_at IS NULL OR hinted_at <= $3) RETURNING state`,
      [paymentHash, new Date(now), new Date(now - hintPauseMs)],
    );
    if (!invoice) return;
    // For when this look-up fails, or the node does not know yet what it has said itself.
    if (invoice.state === 'OPEN') await openInvoices.hint(paymentHash);
    else await db.transaction((tx) => queue.schedule(tx, checkWork, paymentHash, new Date(now)));
    if (hintsUnderWay >= mostHintsAtOnce) return;
    hintsUnderWay += 1;
    await confirm(paymentHash).finally(() => {
      hintsUnderWay -= 1;
    });
  }

  async function settle(paymentHash: string, receivedSats: Sats, paidAt: Date): Promise<void> {
    await db.transaction(async (tx) => {
      const invoice = await lockInvoice(tx, paymentHash);
      if (invoice?.paidInside) return returnSecond(tx, invoice, receivedSats);
      if (!invoice || invoice.state === 'PAID') return;
      if (receivedSats < invoice.amountSats)
        throw new Error(`The Lightning node took less than invoice ${invoice.id} asks for.`);
      await tx.query(
        `UPDATE invoices SET state = 'PAID', received_sats = $2, paid_at = $3 WHERE payment_hash = $1`,
        [paymentHash, receivedSats, paidAt],
      );
      await openInvoices.remove(tx, [paymentHash]);
      await queue.cancel(tx, checkWork, paymentHash);
      await handlerOf(invoice).paid(tx, invoice, receivedSats);
    });
  }

  /** Lightning has brought a payment too of what was paid inside: it goes to the owner. */
  async function returnSecond(tx: Transaction, invoice: Invoice, receivedSats: Sats): Promise<void> {
    await tx.query(
      'UPDATE invoices SET paid_inside = false, received_sats = received_sats + $2 WHERE payment_hash = $1',
      [invoice.paymentHash, receivedSats],
    );
    await queue.cancel(tx, checkWork, invoice.paymentHash);
    await bookReceipt(ledger, tx, invoice, receivedSats, undefined);
  }

  async function expire(paymentHash: string): Promise<void> {
    await db.transaction(async (tx) => {
      const invoice = await lockInvoice(tx, paymentHash);
      if (invoice?.state !== 'OPEN') return;
      await tx.query(`UPDATE invoices SET state = 'EXPIRED' WHERE payment_hash = $1`, [paymentHash]);
      await openInvoices.remove(tx, [paymentHash]);
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
      const answer = await lookUp(paymentHash);
      if (answer.paid) return undefined;
      const lateMs = askedAt - invoice.expiresAt.getTime();
      if (lateMs < 0) return invoice.expiresAt;
      // It made this invoice: another node may have its payment, and the right one may be back tomorrow.
      if (!answer.isKnown && lateMs < lateChecksEndMs)
        throw new Error(`The Lightning node does not know invoice ${invoice.id}: was its wallet changed?`);
      await expire(paymentHash);
      if (lateMs >= lateChecksEndMs) return undefined;
      const pauseMs = Math.min(Math.max(lateMs, soonestLateCheckMs), latestLateCheckMs);
      return new Date(askedAt + Math.min(pauseMs, lateChecksEndMs - lateMs));
    },
  };

  return {
    /** Says which domain answers for a kind of invoice. */
    handle(kind: InvoiceKind, handler: InvoiceHandler): void {
      handlers.set(kind, handler);
    },

    /**
     * Has the Lightning node make an invoice. Not for inside a transaction. Without a requester it counts
     * against nobody.
     * @throws PublicError UNAVAILABLE when the node does not answer; RATE_LIMITED when the requester has as
     * many open invoices as may be.
     */
    async draft(amountSats: Sats, memo: string, requester?: Requester): Promise<InvoiceDraft> {
      if (requester) await openInvoices.requireRoom(requester);
      const token = randomBytes(32).toString('base64url');
      const webhookUrl = webhooksUrl && new URL(token, webhooksUrl).href;
      const webhookHash = webhookUrl === undefined ? null : hashToken(token);
      const request = { amountSats, memo, expirySeconds, ...(webhookUrl !== undefined && { webhookUrl }) };
      try {
        return { ...(await lightning.createInvoice(request)), amountSats, memo, webhookHash, requester };
      } catch (error) {
        if (error instanceof LightningUnavailableError)
          throw unavailable('The Lightning node does not answer.', retryAfterMs, error);
        throw error;
      }
    },

    /**
     * Stores a draft as an open invoice of an object.
     * @throws PublicError RATE_LIMITED when its requester has meanwhile as many open invoices as may be.
     */
    async insert(tx: Transaction, draft: InvoiceDraft, kind: InvoiceKind, owner: Owner): Promise<void> {
      const { paymentHash, expiresAt } = draft;
      await openInvoices.add(tx, paymentHash, expiresAt, draft.requester);
      await tx.query(
        `INSERT INTO invoices (payment_hash, id, bolt11, amount_sats, memo, state, kind, object_id, owner_user,
                               created_at, expires_at, webhook_hash)
         VALUES ($1, $2, $3, $4, $5, 'OPEN', $6, $7, $8, $9, $10, $11)`,
        [
          paymentHash,
          newId('inv'),
          draft.bolt11,
          draft.amountSats,
          draft.memo,
          kind,
          owner.objectId,
          owner.userId,
          new Date(clock.now()),
          expiresAt,
          draft.webhookHash,
        ],
      );
      await queue.schedule(tx, checkWork, paymentHash, expiresAt);
    },

    /** Withdraws the open invoices of an object; what is still paid on them goes back to the owner. */
    async cancelOpen(tx: Transaction, objectId: string): Promise<void> {
      const cancelled = await tx.query<{ paymentHash: string }>(
        `UPDATE invoices SET state = 'CANCELLED' WHERE payment_hash IN (
           SELECT payment_hash FROM invoices WHERE object_id = $1 AND state = 'OPEN'
           ORDER BY payment_hash FOR UPDATE
         ) RETURNING payment_hash AS "paymentHash"`,
        [objectId],
      );
      await openInvoices.remove(
        tx,
        cancelled.map(({ paymentHash }) => paymentHash),
      );
    },

    /**
     * Books the payment of an open invoice that a payout of ours makes. The Lightning node does not hear of that,
     * so it is looked up as before: what it takes all the same goes to the owner.
     * @returns false when the invoice is not open any more.
     */
    async payInside(tx: Transaction, paymentHash: string): Promise<boolean> {
      const invoice = await lockInvoice(tx, paymentHash);
      if (invoice?.state !== 'OPEN') return false;
      await tx.query(
        `UPDATE invoices SET state = 'PAID', received_sats = amount_sats, paid_at = $2, paid_inside = true
         WHERE payment_hash = $1`,
        [paymentHash, new Date(clock.now())],
      );
      await openInvoices.remove(tx, [paymentHash]);
      await handlerOf(invoice).paid(tx, invoice, invoice.amountSats);
      return true;
    },

    confirm,

    /** A webhook says that an invoice was paid; which one, its token alone tells. False when it tells none. */
    async hearWebhook(token: string): Promise<boolean> {
      const [invoice] = await db.query<{ paymentHash: string }>(
        'SELECT payment_hash AS "paymentHash" FROM invoices WHERE webhook_hash = $1',
        [hashToken(token)],
      );
      if (!invoice) return false;
      hint(invoice.paymentHash).catch(onError);
      return true;
    },

    /** The handler of `checkWork`. */
    checks,
  };
}

const hashToken = (token: string) => createHash('sha256').update(token).digest('hex');
