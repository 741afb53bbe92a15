import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import { EventRef, fact } from '../graphql/events.ts';
import { ViewerRef } from '../graphql/viewer.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import { readStatement, type StatementEntry } from './transfer-queries.ts';

const WalletRef = builder.objectRef<{ readonly balanceSats: bigint }>('Wallet').implement({
  description: "A user's balance: deposits, and sats that came back or were earned.",
  fields: (t) => ({
    balanceSats: t.expose('balanceSats', { type: 'Sats', description: 'What is in it; sats.' }),
  }),
});

builder.objectField(ViewerRef, 'wallet', (t) =>
  t.field({
    type: WalletRef,
    description: 'Your balance.',
    resolve: async ({ user }, _args, { services }) => ({
      balanceSats: await services.ledger.balance(services.db, `wallet:${user.id}`),
    }),
  }),
);

const reasonDescription =
  'Why, in a word: `DEPOSIT`, `SURPLUS`, `SESSION_ENDED`. Expect words that you do not know.';

const TransferRef = builder.objectRef<StatementEntry>('Transfer').implement({
  description: 'Sats that came into a wallet or left it.',
  fields: (t) => ({
    amountSats: t.expose('amountSats', {
      type: 'Sats',
      description: 'How much; sats, negative when they left.',
    }),
    balanceAfter: t.expose('balanceAfter', {
      type: 'Sats',
      description: 'What it has left in the wallet; sats.',
    }),
    reason: t.exposeString('reason', { description: reasonDescription }),
    occurredAt: t.expose('occurredAt', { type: 'DateTime', description: 'When it happened.' }),
  }),
});

builder.objectField(ViewerRef, 'transfers', (t) =>
  t.connection(
    {
      type: TransferRef,
      description: 'The statement of your wallet: every sat that came or went, newest first.',
      resolve: ({ user }, args, { services }) =>
        listConnection<StatementEntry>(
          args,
          ({ key }) => key,
          (page) => readStatement(services.db, `wallet:${user.id}`, page),
        ),
    },
    { name: 'TransferConnection', description: 'A page of a statement.' },
    { name: 'TransferEdge', description: 'A transfer in a statement.' },
  ),
);

export const WalletEventRef = builder.interfaceRef<Delivery>('WalletEvent').implement({
  description: "Something that happened to a user's wallet. In the owner's `activity` alone.",
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    balanceAfter: t.field({
      type: 'Sats',
      description: 'What it has left in the wallet; sats.',
      resolve: (delivery) => fact<number>(delivery, 'balanceAfter'),
    }),
  }),
});

const movements = {
  WalletCredited: ['Sats came into the wallet.', 'How much came; sats.'],
  WalletDebited: ['Sats left the wallet.', 'How much left; sats.'],
} as const;

for (const [name, [description, amountDescription]] of Object.entries(movements))
  builder.objectRef<Delivery>(name).implement({
    description,
    interfaces: [WalletEventRef, EventRef],
    fields: (t) => ({
      amountSats: t.field({
        type: 'Sats',
        description: amountDescription,
        resolve: (delivery) => fact<number>(delivery, 'amountSats'),
      }),
      reason: t.string({
        description: reasonDescription,
        resolve: (delivery) => fact<string>(delivery, 'reason'),
      }),
    }),
  });
