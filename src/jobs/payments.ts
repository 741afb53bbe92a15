import type { Invoice } from '../money/invoice-queries.ts';
import type { Invoices } from '../money/invoices.ts';
import type { Ledger } from '../money/ledger.ts';
import { bookReceipt } from '../money/receipts.ts';
import type { Sats } from '../money/sats.ts';
import type { Transaction } from '../platform/database/database.ts';
import type { Log } from '../platform/log/log.ts';
import { jobEvents } from './events.ts';
import { nextState } from './machine.ts';
import type { JobSteps } from './steps.ts';

interface Dependencies {
  readonly log: Log;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
}

/** Says what becomes of the invoices of jobs: of their evaluation, and of the work. */
export function handleJobInvoices({ log, ledger, invoices }: Dependencies, steps: JobSteps): void {
  async function paidEval(tx: Transaction, invoice: Invoice, receivedSats: Sats): Promise<void> {
    const job = await steps.locked(tx, invoice.objectId);
    const needed = nextState(job.state, 'EVAL_PAID') !== undefined;
    const returned = await bookReceipt(
      ledger,
      tx,
      invoice,
      receivedSats,
      needed ? { account: 'revenue', reason: 'JOB_EVALUATION' } : undefined,
    );
    if (needed) log.append(tx, jobEvents.evalPaid(job, await steps.advance(tx, job, 'EVAL_PAID'), invoice));
    if (returned) log.append(tx, jobEvents.paymentReturned(job, returned));
  }

  async function paidWork(tx: Transaction, invoice: Invoice, receivedSats: Sats): Promise<void> {
    const job = await steps.locked(tx, invoice.objectId);
    const needed = nextState(job.state, 'WORK_PAID') !== undefined;
    const returned = await bookReceipt(
      ledger,
      tx,
      invoice,
      receivedSats,
      // Held until the work is done: the price of work that fails goes back.
      needed ? { account: `job:${job.id}`, reason: 'JOB_WORK' } : undefined,
    );
    if (needed) {
      const state = await steps.advance(tx, job, 'WORK_PAID');
      log.append(tx, jobEvents.workPaid(job, state, invoice), jobEvents.workStarted(job, state));
    }
    if (returned) log.append(tx, jobEvents.paymentReturned(job, returned));
  }

  async function expired(tx: Transaction, invoice: Invoice): Promise<void> {
    const job = await steps.locked(tx, invoice.objectId);
    const reason = 'The invoice was not paid in time.';
    await steps.advance(tx, job, 'EXPIRE', { reason });
    log.append(tx, jobEvents.expired(job, reason));
  }

  invoices.handle('job.eval', { paid: paidEval, expired });
  invoices.handle('job.work', { paid: paidWork, expired });
}
