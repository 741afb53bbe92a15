import type { Transaction } from '../platform/database/database.ts';
import type { Invoice } from './invoice-queries.ts';
import { type Account, type Ledger, ownerAccount } from './ledger.ts';
import type { Sats } from './sats.ts';

/** Why sats went back to the owner. */
export type ReturnReason = 'SURPLUS' | 'NOT_NEEDED' | 'WORK_FAILED';

/** What went back to the owner, and why; nothing when all was used. */
export interface Returned {
  readonly amount: Sats;
  readonly reason: ReturnReason;
}

/**
 * Books what an invoice received: its amount to the account that needs it, and the rest to the owner. With
 * no such account, everything goes back.
 */
export async function bookReceipt(
  ledger: Ledger,
  tx: Transaction,
  invoice: Invoice,
  receivedSats: Sats,
  needed: { readonly account: Account; readonly reason: string } | undefined,
): Promise<Returned | undefined> {
  const used = needed ? invoice.amountSats : 0n;
  const amount = receivedSats - used;
  const reason = needed ? 'SURPLUS' : 'NOT_NEEDED';
  const key = invoice.paymentHash;
  const back = ownerAccount({ userId: invoice.ownerUser, objectId: invoice.objectId });
  await ledger.transfer(
    tx,
    ...(needed
      ? [
          {
            key: `paid:${key}`,
            from: 'lightning',
            to: needed.account,
            amount: used,
            reason: needed.reason,
          } as const,
        ]
      : []),
    ...(amount > 0n
      ? [{ key: `returned:${key}`, from: 'lightning', to: back, amount, reason } as const]
      : []),
  );
  return amount > 0n ? { amount, reason } : undefined;
}
