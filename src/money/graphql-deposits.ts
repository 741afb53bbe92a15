import { builder } from '../graphql/builder.ts';
import { idempotencyKey, idempotencyKeyDescription } from '../graphql/input.ts';
import { InvoiceRef, loadInvoice } from './graphql.ts';

const DepositInput = builder.inputType('DepositInput', {
  description: 'Sats for your wallet.',
  fields: (t) => ({
    amountSats: t.field({
      type: 'Sats',
      required: true,
      description: 'How much; sats, 1 to 1,000,000 unless configured otherwise.',
    }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

const DepositPayload = builder.objectRef<{ readonly paymentHash: string }>('DepositPayload').implement({
  description: 'The invoice of a deposit.',
  fields: (t) => ({
    invoice: t.field({
      type: InvoiceRef,
      description: 'Adds to your wallet once it is paid, also when it is paid late or more than asked.',
      resolve: ({ paymentHash }, _args, context) => loadInvoice(context, paymentHash),
    }),
  }),
});

builder.mutationField('deposit', (t) =>
  t.field({
    type: DepositPayload,
    authScopes: { user: true },
    description:
      'An invoice that adds to your wallet. Errors: UNAUTHENTICATED, FORBIDDEN (without a token of a user), BAD_USER_INPUT, CONFLICT, RATE_LIMITED, UNAVAILABLE.',
    args: { input: t.arg({ type: DepositInput, required: true, description: 'How much.' }) },
    resolve: (_root, { input }, context) =>
      context.services.deposits.request(context.viewer, {
        amountSats: input.amountSats,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
        address: context.address,
      }),
  }),
);
