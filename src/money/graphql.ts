import { builder } from '../graphql/builder.ts';
import type { Context } from '../graphql/context.ts';
import { load } from '../graphql/loaders.ts';
import { NodeRef, registerNode } from '../graphql/node.ts';
import { viewOf } from '../platform/auth/viewer.ts';
import { forbidden } from '../platform/errors.ts';
import { byHashes, byIds, type Invoice } from './invoice-queries.ts';

const InvoiceStateEnum = builder.enumType('InvoiceState', {
  description: 'Where an invoice stands.',
  values: {
    OPEN: { description: 'It can be paid.' },
    PAID: { description: 'It was paid, and the payment is booked.' },
    EXPIRED: { description: 'Its time was up, and the Lightning node said after that that it was not paid.' },
    CANCELLED: {
      description: 'It is no longer wanted. What is paid on it all the same goes back to the owner.',
    },
  } as const,
});

export const ReturnReasonEnum = builder.enumType('PaymentReturnReason', {
  description: 'Why sats went back to the owner.',
  values: {
    SURPLUS: { description: 'More was paid than the invoice asked for.' },
    NOT_NEEDED: { description: 'It was paid when it was no longer of use: expired, closed, or done.' },
    WORK_FAILED: { description: 'The work that it was paid for failed.' },
  } as const,
});

export const InvoiceRef = builder.objectRef<Invoice>('Invoice').implement({
  description: 'A Lightning invoice, shown to the owner of what it is for, to SERVICE and to ADMIN.',
  interfaces: [NodeRef],
  fields: (t) => ({
    paymentHash: t.exposeID('paymentHash', { description: 'The payment hash, 64 hexadecimal digits.' }),
    bolt11: t.exposeString('bolt11', { description: 'The payment request, for a wallet or a QR code.' }),
    amountSats: t.expose('amountSats', { type: 'Sats', description: 'What it asks for; sats.' }),
    receivedSats: t.expose('receivedSats', {
      type: 'Sats',
      nullable: true,
      description: 'What was paid, once it is paid; may exceed amountSats.',
    }),
    memo: t.exposeString('memo', { nullable: true, description: 'The description in the payment request.' }),
    state: t.expose('state', { type: InvoiceStateEnum, description: 'Where it stands.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'Until when a wallet pays it.' }),
    paidAt: t.expose('paidAt', { type: 'DateTime', nullable: true, description: 'When it was paid.' }),
  }),
});

/** A text that can be a payment hash; what cannot is answered as what does not exist. */
function paymentHashIn(text: string): string {
  if (!/^[0-9a-f]{64}$/.test(text)) throw forbidden();
  return text;
}

/** An invoice by its payment hash, which must exist. */
export async function loadInvoice(context: Context, paymentHash: string): Promise<Invoice> {
  return (await load(context, byHashes, (invoice) => invoice.paymentHash, paymentHash)) as Invoice;
}

function shown({ viewer }: Context, invoice: Invoice | undefined): Invoice {
  if (!invoice || !viewOf(viewer, { userId: invoice.ownerUser, objectId: invoice.objectId }))
    throw forbidden();
  return invoice;
}

registerNode('inv', 'Invoice', async (context, id) =>
  shown(context, await load(context, byIds, (invoice) => invoice.id, id)),
);

builder.queryField('invoice', (t) =>
  t.field({
    type: InvoiceRef,
    nullable: true,
    authScopes: { credentials: true },
    description:
      'An invoice by its payment hash. Errors: UNAUTHENTICATED; FORBIDDEN when it is not yours or does not exist.',
    args: { paymentHash: t.arg.id({ required: true, description: '64 hexadecimal digits.' }) },
    resolve: async (_root, { paymentHash }, context) =>
      shown(
        context,
        await load(context, byHashes, (invoice) => invoice.paymentHash, paymentHashIn(paymentHash)),
      ),
  }),
);

builder.mutationField('stubPay', (t) =>
  t.field({
    type: InvoiceRef,
    authScopes: { anyone: true },
    description:
      'Stub mode: pays any open invoice, as a wallet would; a paid one is answered unchanged. Errors: FORBIDDEN with a real Lightning backend or for an unknown payment hash.',
    args: { paymentHash: t.arg.id({ required: true, description: '64 hexadecimal digits.' }) },
    resolve: async (_root, { paymentHash }, { services }) => {
      const { stubLightning, invoices, db } = services;
      const [invoice] = await byHashes(db, [paymentHashIn(paymentHash)]);
      if (!stubLightning || !invoice) throw forbidden();
      if (invoice.state === 'OPEN') {
        await stubLightning.pay(paymentHash, invoice.amountSats);
        await invoices.confirm(paymentHash);
      }
      const [paid] = await byHashes(db, [paymentHash]);
      return paid as Invoice;
    },
  }),
);
