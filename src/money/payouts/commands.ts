import { callerOf, requireUser, type Viewer } from '../../platform/auth/viewer.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/database/database.ts';
import { forbidden } from '../../platform/errors.ts';
import type { Idempotency } from '../../platform/idempotency.ts';
import { newId } from '../../platform/ids.ts';
import type { WorkQueue } from '../../platform/work/queue.ts';
import { byHash } from '../invoice-queries.ts';
import { type Ledger, ownerAccount } from '../ledger.ts';
import { LightningUnavailableError } from '../lightning/backend.ts';
import { type Bolt11Reading, readBolt11 } from '../lightning/bolt11-read.ts';
import { type LightningPayer, WrongWalletError } from '../lightning/payer.ts';
import type { Sats } from '../sats.ts';
import { payoutErrors } from './errors.ts';
import { type FeeReserve, feeReserve, satsOfMsats } from './machine.ts';
import { payoutAccount, payoutWork } from './steps.ts';

export type Payouts = ReturnType<typeof createPayouts>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly queue: WorkQueue;
  readonly idempotency: Idempotency;
  /** Absent where nothing is paid out. */
  readonly payer: LightningPayer | undefined;
  readonly maximumSats: Sats;
  readonly reserve: FeeReserve;
}

/** What is asked for: an invoice to pay, and the key of the request. */
export interface PayoutRequest {
  readonly bolt11: string;
  readonly idempotencyKey: string;
}

/** Who asks, and whose the money is. */
interface Claim {
  readonly caller: string;
  readonly mutation: string;
  readonly userId: string | null;
  /** The object of an anonymous owner. */
  readonly objectId: string | undefined;
}

type PayableInvoice = Bolt11Reading & { readonly amountSats: Sats };

/** Payouts: sats that leave by a Lightning invoice, at most once for each payment hash. */
export function createPayouts(deps: Dependencies) {
  const { db, clock, ledger, queue, idempotency, payer, maximumSats, reserve } = deps;

  /** What an invoice asks for, if it can be paid. */
  async function payable(bolt11: string): Promise<PayableInvoice> {
    if (!payer) throw payoutErrors.noPayer();
    const invoice = readBolt11(bolt11);
    if (!invoice) throw payoutErrors.unreadable();
    if (!invoice.amountMsats) throw payoutErrors.noAmount();
    const network = await networkOf(payer);
    if (invoice.network !== network) throw payoutErrors.otherNetwork(network);
    if (invoice.expiresAt.getTime() <= clock.now()) throw payoutErrors.expired();
    const amountSats = satsOfMsats(invoice.amountMsats);
    if (amountSats > maximumSats) throw payoutErrors.aboveLimit(maximumSats);
    return { ...invoice, amountSats };
  }

  async function networkOf(node: LightningPayer): Promise<string> {
    try {
      return await node.network();
    } catch (error) {
      if (error instanceof LightningUnavailableError) throw payoutErrors.backendAway(error);
      if (error instanceof WrongWalletError) throw payoutErrors.noPayer();
      throw error;
    }
  }

  /** Holds the amount and the fee's reserve, and has them paid out. */
  async function request(
    { caller, mutation, userId, objectId }: Claim,
    { bolt11, idempotencyKey }: PayoutRequest,
  ): Promise<{ payoutId: string }> {
    const input = { ...(objectId !== undefined && { id: objectId }), bolt11 };
    const request = { caller, mutation, key: idempotencyKey, input };
    const known = await idempotency.find<{ payoutId: string }>(db, request);
    if (known) return known;
    const { paymentHash, amountSats, expiresAt, ...invoice } = await payable(bolt11);
    const own = await byHash(db, paymentHash);
    if (own && own.state !== 'OPEN') throw payoutErrors.notOpen();
    const feeSats = own ? 0n : feeReserve(amountSats, reserve);
    const payoutId = newId('pay');
    const owner = { userId, objectId: objectId ?? payoutId };
    return db.transaction(async (tx) => {
      const earlier = await idempotency.claim(tx, request, { payoutId }, 'FOR_GOOD');
      if (earlier) return earlier;
      const now = new Date(clock.now());
      const inserted = await tx.query(
        `INSERT INTO payouts (id, payment_hash, bolt11, owner_user, object_id, amount_sats, fee_sats, state,
           created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'PENDING', $8, $9) ON CONFLICT (payment_hash) DO NOTHING RETURNING 1`,
        [payoutId, paymentHash, invoice.bolt11, userId, owner.objectId, amountSats, feeSats, now, expiresAt],
      );
      if (inserted.length === 0) throw payoutErrors.repeated();
      await ledger.transfer(tx, {
        key: `payout:${payoutId}`,
        from: ownerAccount(owner),
        to: payoutAccount(payoutId),
        amount: amountSats + feeSats,
        reason: 'PAYOUT',
      });
      await queue.schedule(tx, payoutWork, payoutId, now);
      return { payoutId };
    });
  }

  return {
    /**
     * Pays an invoice out of the caller's wallet.
     * @throws PublicError BAD_USER_INPUT (bolt11), INSUFFICIENT_FUNDS, CONFLICT, UNAVAILABLE.
     */
    async request(viewer: Viewer, input: PayoutRequest): Promise<{ payoutId: string }> {
      const { id } = requireUser(viewer);
      return request({ caller: id, mutation: 'payout', userId: id, objectId: undefined }, input);
    },

    /**
     * Pays an invoice out of what went back to the anonymous owner of an object.
     * @throws PublicError FORBIDDEN, BAD_USER_INPUT (bolt11), INSUFFICIENT_FUNDS, CONFLICT, UNAVAILABLE.
     */
    async claimRefund(
      viewer: Viewer,
      { objectId, ...input }: PayoutRequest & { readonly objectId: string },
    ): Promise<{ payoutId: string }> {
      if (!viewer.objects.has(objectId)) throw forbidden();
      const caller = callerOf(viewer, objectId);
      return request({ caller, mutation: 'claimRefund', userId: null, objectId }, input);
    },
  };
}
