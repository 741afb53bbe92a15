import { accessToShared } from '../graphql/access.ts';
import { builder } from '../graphql/builder.ts';
import type { Context } from '../graphql/context.ts';
import { EventConnection, EventRef, eventConnection } from '../graphql/events.ts';
import { load } from '../graphql/loaders.ts';
import { NodeRef, registerNode } from '../graphql/node.ts';
import { OriginEnum } from '../graphql/origin.ts';
import { loadUser, UserRef } from '../graphql/users.ts';
import type { View } from '../platform/auth/viewer.ts';
import { forbidden } from '../platform/errors.ts';
import { isId } from '../platform/ids.ts';
import { encodeCursor } from '../platform/log/cursor.ts';
import { streamTopic } from './events.ts';
import {
  durationOf,
  percentComplete,
  type StreamState,
  stateAt,
  streamStates,
  vestedAt,
  withdrawableAt,
} from './machine.ts';
import { type StreamView, streamsByIds } from './queries.ts';

const stateDescriptions: Record<StreamState, string> = {
  SCHEDULED: 'It has not begun to vest.',
  ACTIVE: 'It vests.',
  PAUSED: 'It vests no further for now; what has vested can be paid out.',
  CANCELLED: 'Its sender has ended it: what had vested went to the recipient, the rest back less a fee.',
  VESTED: 'All has vested, and not all was paid out.',
  DEPLETED: 'All was paid out.',
};

export const StreamStateEnum = builder.enumType('StreamState', {
  description: 'Where a stream stands.',
  values: Object.fromEntries(
    streamStates.map((state) => [state, { description: stateDescriptions[state] }]),
  ) as Record<StreamState, { description: string }>,
});

export const StreamClockEnum = builder.enumType('StreamClock', {
  description: 'What a stream vests by.',
  values: {
    TIME: { description: 'By the millisecond.' },
    BLOCK: {
      description:
        'By the block: of Bitcoin, or of Stacks when mirrored. The highest height counts that was ever seen.',
    },
  } as const,
});

/** How whoever asks stands to a stream; undefined when it is not theirs to see, as it is nobody's in public. */
export function accessToStream(context: Context, { sender, recipient }: StreamView): View | undefined {
  const access = accessToShared(context, [sender, recipient]);
  return access === 'PUBLIC' ? undefined : access;
}

/** A stream by its id, if the viewer may see it; undefined else. */
export async function seenStream(context: Context, id: string): Promise<StreamView | undefined> {
  const stream = isId('str', id) ? await load(context, streamsByIds, (row) => row.id, id) : undefined;
  return stream && accessToStream(context, stream) ? stream : undefined;
}

/** A stream by its id, if the viewer may see it. */
export async function findStream(context: Context, id: string): Promise<StreamView> {
  const stream = await seenStream(context, id);
  if (!stream) throw forbidden();
  return stream;
}

registerNode('str', 'Stream', findStream);

/** Where a stream's clock stands now. */
function positionOf({ clock, height }: StreamView, { services }: Context): number {
  return clock === 'TIME' ? services.feeds.clock.now() : (height ?? 0);
}

const dateOf = (stream: StreamView, position: number) =>
  stream.clock === 'TIME' ? new Date(position) : null;
const blockOf = (stream: StreamView, position: number) => (stream.clock === 'BLOCK' ? position : null);

/** How much vests per unit of its clock; null on the other clock, 0 while nothing does. */
function rate(stream: StreamView, clock: StreamView['clock'], unit: number, context: Context): number | null {
  if (stream.clock !== clock) return null;
  if (stateAt(stream, positionOf(stream, context)) !== 'ACTIVE') return 0;
  return (Number(stream.amountSats) * unit) / durationOf(stream);
}

export const StreamRef = builder.objectRef<StreamView>('Stream').implement({
  description:
    'An amount that vests over time or blocks, from a sender to a recipient. Shown to these two, SERVICE and ADMIN.',
  interfaces: [NodeRef],
  fields: (t) => ({
    state: t.field({
      type: StreamStateEnum,
      description: 'Where it stands.',
      resolve: (stream, _args, context) => stateAt(stream, positionOf(stream, context)),
    }),
    origin: t.expose('origin', { type: OriginEnum, description: 'Where it is decided.' }),
    clock: t.expose('clock', { type: StreamClockEnum, description: 'What it vests by.' }),
    sender: t.field({
      type: UserRef,
      description: 'Who pays.',
      resolve: ({ sender }, _args, context) => loadUser(context, sender),
    }),
    recipient: t.field({
      type: UserRef,
      description: 'Who is paid; a sale on the marketplace changes it.',
      resolve: ({ recipient }, _args, context) => loadUser(context, recipient),
    }),
    amountSats: t.expose('amountSats', { type: 'Sats', description: 'All that vests; sats.' }),
    vestedSats: t.field({
      type: 'Sats',
      description: 'What has vested: floor(amount × elapsed / duration); sats.',
      resolve: (stream, _args, context) => vestedAt(stream, positionOf(stream, context)),
    }),
    withdrawnSats: t.expose('withdrawnSats', {
      type: 'Sats',
      description: 'What was paid out to the recipients; sats.',
    }),
    refundedSats: t.expose('refundedSats', {
      type: 'Sats',
      description: 'What went back to the sender; sats.',
    }),
    feeSats: t.expose('feeSats', { type: 'Sats', description: 'What a cancel cost; sats.' }),
    withdrawableSats: t.field({
      type: 'Sats',
      description: 'What has vested and was not paid out; sats.',
      resolve: (stream, _args, context) => withdrawableAt(stream, positionOf(stream, context)),
    }),
    percentComplete: t.float({
      description: 'How much has vested, 0 to 100, in hundredths, rounded down; a cancel does not change it.',
      resolve: (stream, _args, context) => percentComplete(stream, positionOf(stream, context)),
    }),
    rateSatsPerSecond: t.float({
      nullable: true,
      description: 'How much vests per second now; sats. Null when it vests by blocks.',
      resolve: (stream, _args, context) => rate(stream, 'TIME', 1_000, context),
    }),
    rateSatsPerBlock: t.float({
      nullable: true,
      description: 'How much vests per block now; sats. Null when it vests by time.',
      resolve: (stream, _args, context) => rate(stream, 'BLOCK', 1, context),
    }),
    asOf: t.field({
      type: 'DateTime',
      description: 'The moment that the amounts are of.',
      resolve: (_stream, _args, { services }) => new Date(services.feeds.clock.now()),
    }),
    startsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it begins to vest. Null when it vests by blocks.',
      resolve: (stream) => dateOf(stream, stream.starts),
    }),
    endsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When all has vested; each pause moves it once it is over. Null when it vests by blocks.',
      resolve: (stream) => dateOf(stream, stream.ends),
    }),
    startBlock: t.int({
      nullable: true,
      description: 'The height at which it begins to vest. Null when it vests by time.',
      resolve: (stream) => blockOf(stream, stream.starts),
    }),
    endBlock: t.int({
      nullable: true,
      description:
        'The height at which all has vested; each pause moves it once it is over. Null when it vests by time.',
      resolve: (stream) => blockOf(stream, stream.ends),
    }),
    cursor: t.field({
      type: 'Cursor',
      description: "Where the stream's feed stood at this read: query, then subscribe after it.",
      resolve: ({ id, feedEpoch, feedHead }) =>
        encodeCursor({ topic: streamTopic(id), epoch: feedEpoch, seq: Number(feedHead) }),
    }),
    events: t.connection(
      {
        type: EventRef,
        description: 'Its history, oldest first, from the same log as its feed.',
        resolve: ({ id }, args, context) => eventConnection(context, streamTopic(id), args),
      },
      EventConnection,
    ),
  }),
});
