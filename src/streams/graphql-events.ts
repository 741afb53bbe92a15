import { builder } from '../graphql/builder.ts';
import { EventRef, fact, SnapshotReasonEnum } from '../graphql/events.ts';
import { loadUser, UserRef } from '../graphql/users.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import type { StreamEventType } from './events.ts';
import { StreamRef, seenStream } from './graphql.ts';

export const StreamEventRef = builder.interfaceRef<Delivery>('StreamEvent').implement({
  description: 'Something that happened to a stream.',
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    stream: t.field({
      type: StreamRef,
      nullable: true,
      description:
        'The stream when the event is executed: never older than the event, perhaps newer. Null when you may no longer see it.',
      resolve: (delivery, _args, context) => seenStream(context, fact<string>(delivery, 'streamId')),
    }),
  }),
});

/** An event type of streams; its name is that of the log row. */
const streamEventRef = (name: StreamEventType) => builder.objectRef<Delivery>(name);

const interfaces = [StreamEventRef, EventRef];

const sats = (name: string) => (delivery: Delivery) => fact<number>(delivery, name);

const user = (name: string) => (delivery: Delivery, _args: object, context: Parameters<typeof loadUser>[0]) =>
  loadUser(context, fact<string>(delivery, name));

streamEventRef('StreamSnapshot').implement({
  description: 'The present state: first when a subscription has no `after`, and after a gap. Not kept.',
  interfaces,
  fields: (t) => ({
    reason: t.field({
      type: SnapshotReasonEnum,
      description: 'Why it is sent.',
      resolve: (delivery) => fact<'SUBSCRIBED' | 'GAP'>(delivery, 'reason'),
    }),
  }),
});

streamEventRef('StreamCreated').implement({
  description: 'A sender has locked an amount, which vests to a recipient.',
  interfaces,
  fields: (t) => ({
    amountSats: t.field({ type: 'Sats', description: 'How much; sats.', resolve: sats('amountSats') }),
  }),
});

streamEventRef('StreamUpdated').implement({
  description:
    'How far it has vested: at most once a second, or with each block, while somebody watches. Ephemeral: not kept, the latest wins, and its cursor is that of the event before.',
  interfaces,
  fields: (t) => ({
    withdrawableSats: t.field({
      type: 'Sats',
      description: 'What has vested and was not paid out; sats.',
      resolve: sats('withdrawableSats'),
    }),
    percentComplete: t.float({
      description: 'How much has vested, 0 to 100, in hundredths, rounded down.',
      resolve: (delivery) => fact<number>(delivery, 'percentComplete'),
    }),
  }),
});

streamEventRef('StreamWithdrawn').implement({
  description: 'The recipient took a part of what has vested.',
  interfaces,
  fields: (t) => ({
    amountSats: t.field({ type: 'Sats', description: 'How much; sats.', resolve: sats('amountSats') }),
    totalWithdrawnSats: t.field({
      type: 'Sats',
      description: 'What was paid out until then, this included; sats.',
      resolve: sats('totalWithdrawnSats'),
    }),
    remainingSats: t.field({
      type: 'Sats',
      description: 'What was not paid out yet, vested or not; sats.',
      resolve: sats('remainingSats'),
    }),
  }),
});

streamEventRef('StreamPaused').implement({
  description: 'The sender has it vest no further for now.',
  interfaces,
  fields: (t) => ({
    vestedSats: t.field({ type: 'Sats', description: 'What had vested; sats.', resolve: sats('vestedSats') }),
  }),
});

streamEventRef('StreamResumed').implement({
  description: 'It vests on; its end has moved by as long as the pause was.',
  interfaces,
  fields: (t) => ({
    endsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When all will have vested. Null when it vests by blocks.',
      resolve: (delivery) => {
        const endsAt = fact<string | null>(delivery, 'endsAt');
        return endsAt === null ? null : new Date(endsAt);
      },
    }),
  }),
});

streamEventRef('StreamCancelled').implement({
  description: 'The sender has ended it.',
  interfaces,
  fields: (t) => ({
    vestedSats: t.field({
      type: 'Sats',
      description: 'What had vested, and is the recipient’s; sats.',
      resolve: sats('vestedSats'),
    }),
    unvestedSats: t.field({
      type: 'Sats',
      description: 'What had not vested, and went back less the fee; sats.',
      resolve: sats('unvestedSats'),
    }),
    feeSats: t.field({ type: 'Sats', description: 'What the cancel cost; sats.', resolve: sats('feeSats') }),
    cancelledBy: t.field({
      type: UserRef,
      description: 'Who has ended it.',
      resolve: user('cancelledBy'),
    }),
  }),
});

export const StreamSettledRef = streamEventRef('StreamSettled').implement({
  description: 'All that had vested was paid out.',
  interfaces,
  fields: (t) => ({
    settledSats: t.field({ type: 'Sats', description: 'How much; sats.', resolve: sats('settledSats') }),
    transaction: t.string({
      nullable: true,
      description: 'The transaction that it was reported with by another system, or mirrored from.',
      resolve: (delivery) => fact<string | null>(delivery, 'transaction'),
    }),
  }),
});

streamEventRef('StreamTransferred').implement({
  description:
    'A party was replaced: the recipient by a sale, or either on the chain. The last event that the former one is told in `streamUpdated` and `settleFinished`.',
  interfaces,
  fields: (t) => ({
    from: t.field({ type: UserRef, description: 'Who it was.', resolve: user('from') }),
    to: t.field({ type: UserRef, description: 'Who it is.', resolve: user('to') }),
  }),
});

streamEventRef('StreamReorganised').implement({
  description: 'A reorganisation of the chain undid an event. The stream is as if it had not happened.',
  interfaces,
  fields: (t) => ({
    rolledBack: t.id({
      description: 'The id of the event that was undone.',
      resolve: (delivery) => fact<string>(delivery, 'rolledBack'),
    }),
  }),
});
