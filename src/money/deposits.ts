import { requesterOf } from '../platform/auth/requester.ts';
import { requireUser, type Viewer } from '../platform/auth/viewer.ts';
import type { Database } from '../platform/database/database.ts';
import { badInput } from '../platform/errors.ts';
import type { Idempotency } from '../platform/idempotency.ts';
import type { Invoices } from './invoices.ts';
import type { Ledger } from './ledger.ts';
import { bookReceipt } from './receipts.ts';
import type { Sats } from './sats.ts';

export type Deposits = ReturnType<typeof createDeposits>;

interface Dependencies {
  readonly db: Database;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
  readonly idempotency: Idempotency;
  readonly maximumSats: Sats;
}

/** Deposits: invoices whose payment goes to a user's wallet, to the last sat and however late. */
export function createDeposits({ db, ledger, invoices, idempotency, maximumSats }: Dependencies) {
  invoices.handle('wallet.deposit', {
    async paid(tx, invoice, receivedSats) {
      const account = `wallet:${invoice.ownerUser as string}` as const;
      await bookReceipt(ledger, tx, invoice, receivedSats, { account, reason: 'DEPOSIT' });
    },
    // One that nobody pays changes nothing.
    expired: async () => {},
  });

  return {
    /**
     * Makes an invoice that adds to the caller's wallet once it is paid.
     * @throws PublicError BAD_USER_INPUT (amountSats), UNAVAILABLE, RATE_LIMITED, CONFLICT.
     */
    async request(
      viewer: Viewer,
      input: {
        readonly amountSats: Sats;
        readonly idempotencyKey: string;
        readonly address: string | undefined;
      },
    ): Promise<{ paymentHash: string }> {
      const { id: userId } = requireUser(viewer);
      const { amountSats, idempotencyKey, address } = input;
      if (amountSats < 1n || amountSats > maximumSats)
        throw badInput('amountSats', `A deposit is 1 to ${maximumSats} sats.`);
      const request = { caller: userId, mutation: 'deposit', key: idempotencyKey, input: { amountSats } };
      const known = await idempotency.find<{ paymentHash: string }>(db, request);
      if (known) return known;
      const draft = await invoices.draft(amountSats, 'Deposit', requesterOf(viewer, address));
      const { paymentHash } = draft;
      return db.transaction(async (tx) => {
        const earlier = await idempotency.claim(tx, request, { paymentHash });
        if (earlier) return earlier;
        await invoices.insert(tx, draft, 'wallet.deposit', { userId, objectId: userId });
        return { paymentHash };
      });
    },
  };
}
