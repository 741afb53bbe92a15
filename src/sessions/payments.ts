import type { Invoice } from '../money/invoice-queries.ts';
import type { Invoices } from '../money/invoices.ts';
import type { Ledger } from '../money/ledger.ts';
import { bookReceipt } from '../money/receipts.ts';
import type { Sats } from '../money/sats.ts';
import type { Transaction } from '../platform/database/database.ts';
import type { Log } from '../platform/log/log.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import { sessionEvents } from './events.ts';
import { afterTopUp, nextState } from './machine.ts';
import { expiryWork, type SessionSteps } from './steps.ts';

interface Dependencies {
  readonly log: Log;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
  readonly queue: WorkQueue;
  /** Below this balance a session is paused. */
  readonly minimumSats: Sats;
}

/** Says what becomes of the invoices of sessions: deposits and top-ups. */
export function handleSessionInvoices(deps: Dependencies, steps: SessionSteps): void {
  const { log, ledger, invoices, queue, minimumSats } = deps;

  async function paidDeposit(tx: Transaction, invoice: Invoice, receivedSats: Sats): Promise<void> {
    const session = await steps.locked(tx, invoice.objectId);
    const state = nextState(session.state, 'DEPOSIT_PAID');
    const returned = await bookReceipt(
      ledger,
      tx,
      invoice,
      receivedSats,
      state && { account: `session:${session.id}`, reason: 'SESSION_DEPOSIT' },
    );
    if (state) {
      const expiresAt = steps.idleEnd();
      steps.save(tx, session, state, expiresAt);
      await queue.schedule(tx, expiryWork, session.id, expiresAt);
      log.append(tx, sessionEvents.activated(session, invoice.amountSats));
    }
    if (returned) log.append(tx, sessionEvents.paymentReturned(session, returned));
  }

  async function paidTopUp(tx: Transaction, invoice: Invoice, receivedSats: Sats): Promise<void> {
    const session = await steps.locked(tx, invoice.objectId);
    const account = `session:${session.id}` as const;
    const balanceAfter = (await ledger.balance(tx, account)) + invoice.amountSats;
    const state = afterTopUp(session.state, balanceAfter, minimumSats);
    const returned = await bookReceipt(
      ledger,
      tx,
      invoice,
      receivedSats,
      state && { account, reason: 'SESSION_TOP_UP' },
    );
    if (state) {
      steps.save(tx, session, state, steps.idleEnd());
      log.append(tx, sessionEvents.toppedUp(session, invoice.amountSats, balanceAfter));
    }
    if (returned) log.append(tx, sessionEvents.paymentReturned(session, returned));
  }

  async function unpaidDeposit(tx: Transaction, invoice: Invoice): Promise<void> {
    const session = await steps.locked(tx, invoice.objectId);
    log.append(tx, sessionEvents.expired(session, await steps.end(tx, session, 'EXPIRE')));
  }

  invoices.handle('session.deposit', { paid: paidDeposit, expired: unpaidDeposit });
  // A top-up that nobody pays changes nothing for its session.
  invoices.handle('session.topUp', { paid: paidTopUp, expired: async () => {} });
}
