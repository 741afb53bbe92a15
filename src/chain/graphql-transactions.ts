import { builder } from '../graphql/builder.ts';
import { badInput } from '../platform/errors.ts';
import { BlockRef } from './graphql.ts';
import type { ChainTx, TxPart } from './source.ts';

const TxPartRef = builder.objectRef<TxPart>('TransactionPart').implement({
  description: 'What a transaction spends, or makes.',
  fields: (t) => ({
    address: t.exposeString('address', {
      nullable: true,
      description: 'Whose it is. Null where that is no address, or the node does not say.',
    }),
    sats: t.field({
      type: 'Sats',
      nullable: true,
      description: 'How much; sats. Null where the node does not say.',
      resolve: ({ sats }) => sats,
    }),
  }),
});

const TransactionRef = builder.objectRef<ChainTx>('Transaction').implement({
  description: 'A transaction of the chain. Shown to everybody.',
  fields: (t) => ({
    txid: t.exposeID('txid', { description: 'Its id.' }),
    virtualSize: t.exposeInt('virtualSize', { description: 'Its size; vB.' }),
    weight: t.exposeInt('weight', { description: 'Its weight.' }),
    feeSats: t.field({
      type: 'Sats',
      nullable: true,
      description: 'What it pays; sats. Null of a coinbase, and where the node does not say.',
      resolve: ({ feeSats }) => feeSats,
    }),
    feeRate: t.float({
      nullable: true,
      description: 'What it pays; sat/vB. Null with feeSats.',
      resolve: ({ feeSats, virtualSize }) => (feeSats === null ? null : Number(feeSats) / virtualSize),
    }),
    isCoinbase: t.exposeBoolean('isCoinbase', { description: 'Whether it makes what a miner earns.' }),
    inputs: t.field({
      type: [TxPartRef],
      description: 'What it spends.',
      resolve: ({ inputs }) => [...inputs],
    }),
    outputs: t.field({
      type: [TxPartRef],
      description: 'What it makes.',
      resolve: ({ outputs }) => [...outputs],
    }),
    block: t.field({
      type: BlockRef,
      nullable: true,
      description: 'The block that has it. Null while it waits.',
      resolve: async ({ blockHash }, _args, { services }) =>
        blockHash === null ? null : services.chain.byHash(blockHash),
    }),
    confirmations: t.int({
      description: 'How many blocks have it, or are above the one that has; 0 while it waits.',
      resolve: async ({ blockHash }, _args, { services }) => {
        const block = blockHash === null ? undefined : await services.chain.byHash(blockHash);
        return block?.isCanonical ? Math.max(0, (await services.chain.tip()).height - block.height + 1) : 0;
      },
    }),
  }),
});

export const txidPattern = /^[0-9a-f]{64}$/;

builder.queryField('transaction', (t) =>
  t.field({
    type: TransactionRef,
    nullable: true,
    authScopes: { anyone: true },
    description:
      'A transaction, also one that waits; null where the node knows none. Confirmed ones need its index (txindex). Errors: BAD_USER_INPUT, UNAVAILABLE.',
    args: { txid: t.arg.id({ required: true, description: 'Its id; 64 digits, lower case.' }) },
    resolve: (_root, { txid }, { services }) => {
      if (!txidPattern.test(txid)) throw badInput('txid', 'A txid has 64 hexadecimal digits.');
      return services.chain.transaction(txid);
    },
  }),
);
