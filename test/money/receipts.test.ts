import { expect, it } from 'vitest';
import type { Invoice } from '../../src/money/invoice-queries.ts';
import { createLedger } from '../../src/money/ledger.ts';
import { bookReceipt } from '../../src/money/receipts.ts';
import { newId } from '../../src/platform/ids.ts';
import { standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';

const db = useDatabase();
const ledger = createLedger({ clock: standingClock(), onEntry: () => {} });

function invoiceOf(ownerUser: string | null): Invoice {
  const objectId = newId('ses');
  return {
    id: newId('inv'),
    paymentHash: objectId,
    bolt11: '',
    amountSats: 100n,
    receivedSats: null,
    memo: '',
    state: 'OPEN',
    kind: 'session.deposit',
    objectId,
    ownerUser,
    createdAt: new Date(0),
    expiresAt: new Date(0),
    paidAt: null,
    paidInside: false,
  };
}

/** Books a receipt; answers what came back, and where the sats of this invoice are. */
async function book(invoice: Invoice, receivedSats: bigint, isNeeded: boolean) {
  const session = `session:${invoice.objectId}` as const;
  const returned = await db().transaction((tx) =>
    bookReceipt(
      ledger,
      tx,
      invoice,
      receivedSats,
      isNeeded ? { account: session, reason: 'TEST' } : undefined,
    ),
  );
  const transfers = await db().query<{
    key: string;
    from: string;
    to: string;
    amount: bigint;
    reason: string;
  }>(
    `SELECT key, from_account AS "from", to_account AS "to", amount_sats AS amount, reason
     FROM transfers WHERE key LIKE '%' || $1 ORDER BY id`,
    [invoice.paymentHash],
  );
  return { returned, transfers };
}

it('gives an invoice that is needed its amount, and nothing back', async () => {
  const invoice = invoiceOf('usr_a');
  expect(await book(invoice, 100n, true)).toEqual({
    returned: undefined,
    transfers: [
      {
        key: `paid:${invoice.paymentHash}`,
        from: 'lightning',
        to: `session:${invoice.objectId}`,
        amount: 100n,
        reason: 'TEST',
      },
    ],
  });
});

it('gives the surplus back to the wallet of its owner', async () => {
  const invoice = invoiceOf('usr_a');
  const { returned, transfers } = await book(invoice, 101n, true);
  expect(returned).toEqual({ amount: 1n, reason: 'SURPLUS' });
  expect(transfers).toMatchObject([
    { to: `session:${invoice.objectId}`, amount: 100n },
    { from: 'lightning', to: 'wallet:usr_a', amount: 1n, reason: 'SURPLUS' },
  ]);
});

it('gives all of it back when it is not needed: to an anonymous owner as refundable balance', async () => {
  const invoice = invoiceOf(null);
  expect(await book(invoice, 130n, false)).toEqual({
    returned: { amount: 130n, reason: 'NOT_NEEDED' },
    transfers: [
      {
        key: `returned:${invoice.paymentHash}`,
        from: 'lightning',
        to: `refund:${invoice.objectId}`,
        amount: 130n,
        reason: 'NOT_NEEDED',
      },
    ],
  });
});

it('books a receipt once and for all', async () => {
  const invoice = invoiceOf(null);
  await book(invoice, 100n, true);
  await expect(book(invoice, 100n, true)).rejects.toThrow(/transfers_key_key/);
  expect(await ledger.balance(db(), `session:${invoice.objectId}`)).toBe(100n);
});
