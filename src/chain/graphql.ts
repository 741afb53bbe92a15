import { builder } from '../graphql/builder.ts';
import type { Context } from '../graphql/context.ts';
import { EventRef, fact, watch } from '../graphql/events.ts';
import { load } from '../graphql/loaders.ts';
import { badInput, forbidden } from '../platform/errors.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import { type ChainEventType, chainTopic, type Tip, tipIn } from './events.ts';
import { blocksByHashes, type StoredBlock } from './queries.ts';
import { type FeeTarget, feeTargets } from './source.ts';

const FeeEstimateRef = builder
  .objectRef<{ readonly targetBlocks: FeeTarget; readonly satPerVbyte: number | null }>('FeeEstimate')
  .implement({
    description: 'What a transaction pays to be confirmed soon, as the node estimates.',
    fields: (t) => ({
      targetBlocks: t.exposeInt('targetBlocks', { description: 'Within so many blocks.' }),
      satPerVbyte: t.exposeFloat('satPerVbyte', {
        nullable: true,
        description: 'The feerate; sat/vB. Null while the node knows too little.',
      }),
    }),
  });

const ChainTipRef = builder.objectRef<Tip & { readonly cursor: string }>('ChainTip').implement({
  description: 'Where the Bitcoin chain ends. Shown to everybody.',
  fields: (t) => ({
    height: t.exposeInt('height', { description: 'The height of the newest block.' }),
    hash: t.exposeID('hash', { description: 'The hash of the newest block.' }),
    time: t.field({
      type: 'DateTime',
      description: 'The time that the newest block claims.',
      resolve: ({ minedAt }) => minedAt,
    }),
    chain: t.exposeString('chain', {
      description: 'Which chain: main, test, testnet4, signet, regtest; or demo, which is made up.',
    }),
    feeEstimates: t.field({
      type: [FeeEstimateRef],
      description: 'For 1, 3 and 6 blocks, as of the newest block.',
      resolve: ({ fees }) =>
        feeTargets.map((targetBlocks) => ({ targetBlocks, satPerVbyte: fees[targetBlocks] })),
    }),
    cursor: t.field({
      type: 'Cursor',
      description: 'Where tipUpdated and blockMined stood at this read: query, then subscribe after it.',
      resolve: ({ cursor }) => cursor,
    }),
  }),
});

export const BlockRef = builder.objectRef<StoredBlock>('Block').implement({
  description: 'A block. Shown to everybody.',
  fields: (t) => ({
    hash: t.exposeID('hash', { description: 'Its hash.' }),
    height: t.exposeInt('height', { description: 'How many blocks are below it.' }),
    previousHash: t.exposeID('parent', {
      nullable: true,
      description: 'The block below; null of the first.',
    }),
    time: t.field({
      type: 'DateTime',
      description: 'The time that it claims.',
      resolve: ({ minedAt }) => minedAt,
    }),
    txCount: t.exposeInt('txCount', { description: 'How many transactions are in it.' }),
    sizeBytes: t.exposeInt('sizeBytes', { description: 'Its size with witnesses; bytes.' }),
    weight: t.exposeInt('weight', { description: 'Its weight; at most 4,000,000.' }),
    isCanonical: t.exposeBoolean('isCanonical', {
      description: 'Whether it is on the chain: false once a reorganisation has taken it off.',
    }),
  }),
});

builder.queryField('chainTip', (t) =>
  t.field({
    type: ChainTipRef,
    authScopes: { anyone: true },
    description: 'Where the Bitcoin chain ends. Errors: UNAVAILABLE.',
    resolve: async (_root, _args, { services }) => {
      // Before the tip is read: what is shown may be newer than the cursor, never older.
      const cursor = await services.feeds.log.cursor(chainTopic);
      return { ...(await services.chain.tip()), cursor };
    },
  }),
);

const hashPattern = /^[0-9a-f]{64}$/;
const highest = 2 ** 31 - 1;

builder.queryField('block', (t) =>
  t.field({
    type: BlockRef,
    nullable: true,
    authScopes: { anyone: true },
    description:
      'A block, by either; null where there is none. By its hash also one that is off the chain. Errors: BAD_USER_INPUT, UNAVAILABLE.',
    args: {
      hash: t.arg.id({ description: 'The hash; 64 digits, lower case.' }),
      height: t.arg.int({ description: 'The height on the chain.' }),
    },
    resolve: async (_root, { hash, height }, { services }) => {
      if ((hash == null) === (height == null)) throw badInput('hash', 'Give either a hash or a height.');
      if (hash != null && !hashPattern.test(hash))
        throw badInput('hash', 'A hash has 64 hexadecimal digits.');
      if (height != null && (height < 0 || height > highest))
        throw badInput('height', 'A height is 0 or more.');
      return hash != null ? services.chain.byHash(hash) : services.chain.atHeight(height as number);
    },
  }),
);

export const ChainEventRef = builder.interfaceRef<Delivery>('ChainEvent').implement({
  description: 'Something that happened to the Bitcoin chain.',
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
});

/** An event type of the chain; its name is that of the log row. */
const chainEventRef = (name: ChainEventType) => builder.objectRef<Delivery>(name);

const interfaces = [ChainEventRef, EventRef];

/** A block that an event tells of: it was seen here, or is older than all that were. */
export async function toldBlock(context: Context, hash: string): Promise<StoredBlock> {
  const seen = await load(context, blocksByHashes, (row) => row.hash, hash);
  const block = seen ?? (await context.services.chain.byHash(hash));
  if (!block) throw forbidden();
  return block;
}

const TipUpdatedRef = chainEventRef('TipUpdated');
TipUpdatedRef.implement({
  description: 'The chain has another tip. Of several blocks at once, the last.',
  interfaces,
  fields: (t) => ({
    tip: t.field({
      type: ChainTipRef,
      description: 'The tip at that moment.',
      resolve: ({ event, cursor }) => ({ ...tipIn(event), cursor }),
    }),
  }),
});

chainEventRef('BlockMined').implement({
  description: 'A block has come onto the chain: a new one, or one that a reorganisation has put back.',
  interfaces,
  fields: (t) => ({
    block: t.field({
      type: BlockRef,
      description: 'The block.',
      resolve: (delivery, _args, context) => toldBlock(context, fact<string>(delivery, 'hash')),
    }),
  }),
});

chainEventRef('BlockDisconnected').implement({
  description: 'A reorganisation has taken a block off the chain, the highest first.',
  interfaces,
  fields: (t) => ({
    hash: t.id({ description: 'Its hash.', resolve: (delivery) => fact<string>(delivery, 'hash') }),
    height: t.int({
      description: 'Where it stood.',
      resolve: (delivery) => fact<number>(delivery, 'height'),
    }),
  }),
});

const after = { type: 'Cursor', description: 'Everything behind this cursor first.' } as const;

/** Watches some of what happens to the chain, where one is followed. */
async function watchChain(
  context: Context,
  types: readonly ChainEventType[],
  cursor: string | null | undefined,
) {
  context.services.chain.require();
  return watch(context, { topic: chainTopic, after: cursor, types, view: { access: 'PUBLIC' } });
}

builder.subscriptionField('tipUpdated', (t) =>
  t.field({
    type: TipUpdatedRef,
    authScopes: { anyone: true },
    description:
      'Each new tip of the Bitcoin chain. Live from now without `after`. Errors: BAD_USER_INPUT, CURSOR_EXPIRED, UNAVAILABLE.',
    args: { after: t.arg(after) },
    subscribe: (_root, args, context) => watchChain(context, ['TipUpdated'], args.after),
    resolve: (delivery) => delivery,
  }),
);

builder.subscriptionField('blockMined', (t) =>
  t.field({
    type: ChainEventRef,
    authScopes: { anyone: true },
    description:
      'Each block that comes onto the Bitcoin chain, once and in order, and each that a reorganisation takes off it. Live from now without `after`. Errors: BAD_USER_INPUT, CURSOR_EXPIRED, UNAVAILABLE.',
    args: { after: t.arg(after) },
    subscribe: (_root, args, context) => watchChain(context, ['BlockMined', 'BlockDisconnected'], args.after),
    resolve: (delivery) => delivery,
  }),
);
