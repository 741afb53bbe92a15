import { builder } from '../graphql/builder.ts';
import { EventRef, watch } from '../graphql/events.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import { mempoolTopic } from './events.ts';
import { ChainEventRef } from './graphql.ts';
import { bucketStarts, type FeeBucket, feeRateOf } from './mempool-index.ts';
import type { Mempool } from './queries.ts';
import type { WaitingTx } from './source.ts';

const FeeBucketRef = builder.objectRef<FeeBucket>('FeeBucket').implement({
  description: 'What waits within a range of feerates.',
  fields: (t) => ({
    fromSatPerVbyte: t.exposeFloat('from', { description: 'Where the range begins; sat/vB.' }),
    toSatPerVbyte: t.float({
      nullable: true,
      description: 'Where it ends, itself left out; sat/vB. Null of the last.',
      resolve: ({ from }) => bucketStarts.find((start) => start > from),
    }),
    count: t.exposeInt('count', { description: 'How many transactions.' }),
    virtualSize: t.exposeFloat('virtualSize', { description: 'Their size together; vB.' }),
  }),
});

const MempoolTxRef = builder.objectRef<WaitingTx>('MempoolTx').implement({
  description: 'A transaction that waits to be confirmed.',
  fields: (t) => ({
    txid: t.exposeID('txid', { description: 'Its id.' }),
    feeSats: t.field({ type: 'Sats', description: 'What it pays; sats.', resolve: ({ feeSats }) => feeSats }),
    feeRate: t.float({ description: 'What it pays; sat/vB.', resolve: feeRateOf }),
    virtualSize: t.exposeInt('virtualSize', { description: 'Its size; vB.' }),
    enteredAt: t.field({
      type: 'DateTime',
      description: 'When the node heard of it.',
      resolve: ({ enteredAt }) => enteredAt,
    }),
    isReplaceable: t.exposeBoolean('isReplaceable', {
      description: 'Whether it says that it may be replaced (BIP 125).',
    }),
  }),
});

const MempoolSummaryRef = builder.objectRef<Mempool>('MempoolSummary').implement({
  description: 'What waits to be confirmed, in short. Shown to everybody.',
  fields: (t) => ({
    txCount: t.exposeInt('txCount', { description: 'How many transactions.' }),
    virtualSize: t.exposeFloat('virtualSize', { description: 'Their size together; vB.' }),
    medianFeeRate: t.exposeFloat('medianFeeRate', {
      nullable: true,
      description: 'A half of all that waits, by size, pays at least that; sat/vB. Null when nothing waits.',
    }),
    histogram: t.field({
      type: [FeeBucketRef],
      description: 'By feerate, the lowest first.',
      resolve: ({ histogram }) => [...histogram],
    }),
    recent: t.field({
      type: [MempoolTxRef],
      description: 'At most ten of those that came last, the newest first.',
      resolve: ({ recent }) => [...recent],
    }),
    updatedAt: t.field({
      type: 'DateTime',
      description: 'When it was summed up.',
      resolve: ({ updatedAt }) => updatedAt,
    }),
  }),
});

builder.queryField('mempool', (t) =>
  t.field({
    type: MempoolSummaryRef,
    authScopes: { anyone: true },
    description: 'What waits to be confirmed. Errors: UNAVAILABLE.',
    resolve: (_root, _args, { services }) => services.chain.mempool(),
  }),
);

const MempoolUpdatedRef = builder.objectRef<Delivery>('MempoolUpdated').implement({
  description: 'Other transactions wait than before. Ephemeral: not kept, at most once a second.',
  interfaces: [ChainEventRef, EventRef],
  fields: (t) => ({
    mempool: t.field({
      type: MempoolSummaryRef,
      description: 'What waits now.',
      resolve: (_delivery, _args, { services }) => services.chain.mempool(),
    }),
  }),
});

builder.subscriptionField('mempoolUpdated', (t) =>
  t.field({
    type: MempoolUpdatedRef,
    authScopes: { anyone: true },
    description:
      'What waits to be confirmed: the present state first, then what changes, at most once a second. Nothing of it is kept. Errors: UNAVAILABLE.',
    subscribe: async (_root, _args, context) => {
      // Refused while nothing is known, as the present state comes first.
      await context.services.chain.mempool();
      return watch(context, {
        topic: mempoolTopic,
        after: undefined,
        snapshot: { type: 'MempoolUpdated', facts: {} },
        view: { access: 'PUBLIC' },
      });
    },
    resolve: (delivery) => delivery,
  }),
);
