import { builder } from '../../graphql/builder.ts';
import { listConnection } from '../../graphql/connections.ts';
import type { Context } from '../../graphql/context.ts';
import { EventRef, fact } from '../../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription, textBetween } from '../../graphql/input.ts';
import { load } from '../../graphql/loaders.ts';
import { NodeRef, registerNode } from '../../graphql/node.ts';
import { ViewerRef } from '../../graphql/viewer.ts';
import { viewOf } from '../../platform/auth/viewer.ts';
import { forbidden } from '../../platform/errors.ts';
import type { Delivery } from '../../platform/feed/rendering.ts';
import { WalletEventRef } from '../graphql-wallet.ts';
import { type PayoutState, payoutStates } from './machine.ts';
import { listPayouts, type Payout, payoutsByIds } from './queries.ts';

/** The longest invoice that is read, in characters. */
const longestBolt11 = 4_096;

const stateDescriptions: Record<PayoutState, string> = {
  PENDING: 'It is not certain yet whether it is paid; what it takes is held.',
  PAID: 'It was paid.',
  FAILED: 'It is certain that it was not paid and never will be: all of it has come back.',
};

const PayoutStateEnum = builder.enumType('PayoutState', {
  description: 'Where a payout stands.',
  values: Object.fromEntries(
    payoutStates.map((state) => [state, { description: stateDescriptions[state] }]),
  ) as Record<PayoutState, { description: string }>,
});

const PayoutRef = builder.objectRef<Payout>('Payout').implement({
  description: 'Sats that leave by a Lightning invoice. Shown to whose they are, to SERVICE and to ADMIN.',
  interfaces: [NodeRef],
  fields: (t) => ({
    paymentHash: t.exposeID('paymentHash', {
      description: 'The payment hash of the invoice, 64 hexadecimal digits.',
    }),
    amountSats: t.expose('amountSats', {
      type: 'Sats',
      description: 'What the invoice asks for; sats, a part of a sat rounded up.',
    }),
    feeSats: t.expose('feeSats', {
      type: 'Sats',
      description: 'While it is PENDING, what is held for the fee of routing; then what the fee was; sats.',
    }),
    state: t.expose('state', {
      type: PayoutStateEnum,
      description: 'Where it stands.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    settledAt: t.expose('settledAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was paid, or found to have failed.',
    }),
    failureReason: t.exposeString('failureReason', {
      nullable: true,
      description:
        'Why it failed, in a word: `PAYMENT_FAILED`, `NEVER_PAID`, `NOT_SENT`, `INVOICE_NOT_OPEN`. Expect words that you do not know.',
    }),
  }),
});

const loadPayout = (context: Context, id: string) => load(context, payoutsByIds, (payout) => payout.id, id);

registerNode('pay', 'Payout', async (context, id) => {
  const payout = await loadPayout(context, id);
  const isShown = payout && viewOf(context.viewer, { userId: payout.ownerUser, objectId: payout.objectId });
  if (!isShown) throw forbidden();
  return payout;
});

builder.objectField(ViewerRef, 'payouts', (t) =>
  t.connection(
    {
      type: PayoutRef,
      description: 'What was paid out of your wallet, or was to be, newest first.',
      resolve: ({ user }, args, { services }) =>
        listConnection<Payout>(
          args,
          (payout) => payout.id,
          (page) => listPayouts(services.db, user.id, page),
        ),
    },
    { name: 'PayoutConnection', description: 'A page of payouts.' },
    { name: 'PayoutEdge', description: 'A payout in a list.' },
  ),
);

for (const [name, description] of [
  ['PayoutSettled', 'A payout was paid.'],
  ['PayoutFailed', 'A payout has failed, and all of it has come back.'],
] as const)
  builder.objectRef<Delivery>(name).implement({
    description,
    interfaces: [WalletEventRef, EventRef],
    fields: (t) => ({
      payout: t.field({
        type: PayoutRef,
        description: 'The payout as it is now.',
        resolve: async (delivery, _args, context) =>
          (await loadPayout(context, fact<string>(delivery, 'payoutId'))) as Payout,
      }),
    }),
  });

const bolt11 = {
  required: true,
  description: 'The invoice: it says its amount, has not expired, and was not given before.',
} as const;
const key = { required: true, description: idempotencyKeyDescription } as const;

const requestOf = (input: { readonly bolt11: string; readonly idempotencyKey: string }) => ({
  bolt11: textBetween('bolt11', input.bolt11, 1, longestBolt11),
  idempotencyKey: idempotencyKey(input.idempotencyKey),
});

const PayoutInput = builder.inputType('PayoutInput', {
  description: 'What is paid out of your wallet.',
  fields: (t) => ({ bolt11: t.string(bolt11), idempotencyKey: t.string(key) }),
});

const asPayload = { description: 'The payout as it is now.' } as const;

const resolvePayout = async ({ payoutId }: { readonly payoutId: string }, _args: object, context: Context) =>
  (await loadPayout(context, payoutId)) as Payout;

const PayoutPayload = builder.objectRef<{ readonly payoutId: string }>('PayoutPayload').implement({
  description: 'The payout that was asked for.',
  fields: (t) => ({ payout: t.field({ type: PayoutRef, ...asPayload, resolve: resolvePayout }) }),
});

builder.mutationField('payout', (t) =>
  t.field({
    type: PayoutPayload,
    authScopes: { user: true },
    description:
      'Pays a Lightning invoice out of your wallet, which its amount and a reserve for the fee leave at once. Errors: UNAUTHENTICATED, FORBIDDEN (without a token of a user), BAD_USER_INPUT, INSUFFICIENT_FUNDS, CONFLICT (INVALID_STATE: the invoice was given before), UNAVAILABLE.',
    args: { input: t.arg({ type: PayoutInput, required: true, description: 'The invoice.' }) },
    resolve: (_root, { input }, { services, viewer }) => services.payouts.request(viewer, requestOf(input)),
  }),
);

const ClaimRefundInput = builder.inputType('ClaimRefundInput', {
  description: 'What is paid out of the refundable balance of an anonymous owner.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The id of the job or session.' }),
    bolt11: t.string(bolt11),
    idempotencyKey: t.string(key),
  }),
});

const ClaimRefundPayload = builder.objectRef<{ readonly payoutId: string }>('ClaimRefundPayload').implement({
  description: 'The payout that was asked for.',
  fields: (t) => ({ payout: t.field({ type: PayoutRef, ...asPayload, resolve: resolvePayout }) }),
});

builder.mutationField('claimRefund', (t) =>
  t.field({
    type: ClaimRefundPayload,
    authScopes: { credentials: true },
    description:
      'Pays a Lightning invoice out of the refundableSats of a job or session, which its amount and a reserve for the fee leave at once. By its access token. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, INSUFFICIENT_FUNDS, CONFLICT (INVALID_STATE: the invoice was given before), UNAVAILABLE.',
    args: {
      input: t.arg({ type: ClaimRefundInput, required: true, description: 'Which, and the invoice.' }),
    },
    resolve: (_root, { input }, { services, viewer }) =>
      services.payouts.claimRefund(viewer, { objectId: input.id, ...requestOf(input) }),
  }),
);
