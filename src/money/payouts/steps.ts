import type { Clock } from '../../platform/clock.ts';
import type { Database, Transaction } from '../../platform/database/database.ts';
import type { Log } from '../../platform/log/log.ts';
import type { Invoices } from '../invoices.ts';
import { type Ledger, ownerAccount, type Transfer } from '../ledger.ts';
import type { Sats } from '../sats.ts';
import { payoutEvent } from './events.ts';
import { type FailureReason, satsOfMsats } from './machine.ts';
import { lockPayout, type Payout } from './queries.ts';

export type PayoutSteps = ReturnType<typeof createPayoutSteps>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
}

/** Sends payouts and looks them up until they have ended; the key is the payout's id. */
export const payoutWork = 'payout';

/** What is held for a payout until it has ended. */
export const payoutAccount = (payoutId: string) => `payout:${payoutId}` as const;

/** What becomes of a payout, each in a transaction of its own; what has ended stays as it is. */
export function createPayoutSteps({ db, clock, log, ledger, invoices }: Dependencies) {
  function whilePending<Result>(
    payoutId: string,
    step: (tx: Transaction, payout: Payout) => Promise<Result>,
  ): Promise<Result | undefined> {
    return db.transaction(async (tx) => {
      const payout = await lockPayout(tx, payoutId);
      return payout?.state === 'PENDING' ? step(tx, payout) : undefined;
    });
  }

  /** Books what was paid; what is left of the reserve goes back, and what it lacks is the platform's loss. */
  async function settle(tx: Transaction, payout: Payout, fee: Sats, paidAt: Date): Promise<void> {
    const { id, amountSats, feeSats: reserved } = payout;
    const held = payoutAccount(id);
    const charged = fee < reserved ? fee : reserved;
    const transfers: readonly Transfer[] = [
      { key: `paidOut:${id}`, from: held, to: 'lightning', amount: amountSats, reason: 'PAYOUT' },
      { key: `paidOutFee:${id}`, from: held, to: 'lightning', amount: charged, reason: 'PAYOUT_FEE' },
      {
        key: `paidOutLoss:${id}`,
        from: 'revenue',
        to: 'lightning',
        amount: fee - charged,
        reason: 'PAYOUT_FEE_ABOVE_RESERVE',
      },
      {
        key: `paidOutRest:${id}`,
        from: held,
        to: sourceOf(payout),
        amount: reserved - charged,
        reason: 'PAYOUT_FEE_UNUSED',
      },
    ];
    await ledger.transfer(tx, ...transfers.filter(({ amount }) => amount > 0n));
    await end(tx, payout, { state: 'PAID', feeSats: charged, failureReason: null, settledAt: paidAt });
  }

  async function fail(tx: Transaction, payout: Payout, failureReason: FailureReason): Promise<void> {
    const { id, amountSats, feeSats } = payout;
    await ledger.transfer(tx, {
      key: `notPaidOut:${id}`,
      from: payoutAccount(id),
      to: sourceOf(payout),
      amount: amountSats + feeSats,
      reason: 'PAYOUT_FAILED',
    });
    await end(tx, payout, { state: 'FAILED', feeSats: 0n, failureReason, settledAt: new Date(clock.now()) });
  }

  async function end(
    tx: Transaction,
    payout: Payout,
    ending: Pick<Payout, 'state' | 'feeSats' | 'failureReason' | 'settledAt'>,
  ): Promise<void> {
    const { state, feeSats, failureReason, settledAt } = ending;
    await tx.query(
      'UPDATE payouts SET state = $2, fee_sats = $3, failure_reason = $4, settled_at = $5 WHERE id = $1',
      [payout.id, state, feeSats, failureReason, settledAt],
    );
    const { ownerUser } = payout;
    if (ownerUser === null) return;
    const balance = await ledger.balance(tx, `wallet:${ownerUser}`);
    log.append(
      tx,
      payoutEvent(payout, ownerUser, state === 'PAID' ? 'PayoutSettled' : 'PayoutFailed', balance),
    );
  }

  return {
    /** Books a payment that the Lightning node says it has made; its fee in msats. */
    async paid(payoutId: string, feeMsats: bigint, paidAt: Date): Promise<void> {
      await whilePending(payoutId, (tx, payout) => settle(tx, payout, satsOfMsats(feeMsats), paidAt));
    },

    /** Gives everything back, as it is certain that nothing was paid. */
    async failed(payoutId: string, reason: FailureReason): Promise<void> {
      await whilePending(payoutId, (tx, payout) => fail(tx, payout, reason));
    },

    /** Pays an invoice of our own in the ledger. */
    async paidInside(payoutId: string): Promise<void> {
      await whilePending(payoutId, async (tx, payout) => {
        if (!(await invoices.payInside(tx, payout.paymentHash))) return fail(tx, payout, 'INVOICE_NOT_OPEN');
        return settle(tx, payout, 0n, new Date(clock.now()));
      });
    },

    /**
     * Notes that it is about to be sent, by whoever is answered true: once for good. One whose invoice has expired
     * is not sent any more: it fails.
     */
    async claimSending(payoutId: string): Promise<boolean> {
      const claimed = await whilePending(payoutId, async (tx, payout) => {
        if (payout.sentAt !== null) return false;
        const now = clock.now();
        if (payout.expiresAt.getTime() <= now) {
          await fail(tx, payout, 'NOT_SENT');
          return false;
        }
        await tx.query('UPDATE payouts SET sent_at = $2 WHERE id = $1', [payoutId, new Date(now)]);
        return true;
      });
      return claimed === true;
    },
  };
}

/** Where the sats of a payout came from, and go back to. */
const sourceOf = ({ ownerUser, objectId }: Payout) => ownerAccount({ userId: ownerUser, objectId });
