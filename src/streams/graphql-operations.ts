import { builder } from '../graphql/builder.ts';
import { type ConnectionArguments, listConnection } from '../graphql/connections.ts';
import type { Context } from '../graphql/context.ts';
import { watch } from '../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription } from '../graphql/input.ts';
import { ViewerRef } from '../graphql/viewer.ts';
import type { Watch } from '../graphql/watch.ts';
import { requireUser, type View } from '../platform/auth/viewer.ts';
import { badInput, forbidden } from '../platform/errors.ts';
import { isId } from '../platform/ids.ts';
import { endsRightOf, streamTopic } from './events.ts';
import { accessToStream, findStream, StreamClockEnum, StreamRef, StreamStateEnum } from './graphql.ts';
import { StreamEventRef, StreamSettledRef } from './graphql-events.ts';
import { listStreams, type StreamView, streamsByIds } from './queries.ts';

/** A stream that a command has just changed: read anew. */
async function changedStream({ services }: Context, id: string): Promise<StreamView> {
  const [stream] = await streamsByIds(services.db, [id]);
  return stream as StreamView;
}

const StreamRoleEnum = builder.enumType('StreamRole', {
  description: 'Your part in a stream.',
  values: {
    SENDER: { description: 'You pay.' },
    RECIPIENT: { description: 'You are paid.' },
  } as const,
});

builder.queryField('stream', (t) =>
  t.field({
    type: StreamRef,
    nullable: true,
    authScopes: { credentials: true },
    description: 'A stream. Errors: UNAUTHENTICATED; FORBIDDEN when it is not yours or does not exist.',
    args: { id: t.arg.id({ required: true, description: 'The id of the stream.' }) },
    resolve: (_root, { id }, context) => findStream(context, id),
  }),
);

const StreamConnection = builder.connectionObject(
  { type: StreamRef, name: 'StreamConnection', description: 'A page of streams.' },
  { name: 'StreamEdge', description: 'A stream in a list.' },
);

/** A page of a user's streams. */
const pageOf = (
  { services }: Context,
  of: Omit<Parameters<typeof listStreams>[1], 'userId'>,
  userId: string,
  args: ConnectionArguments,
) =>
  listConnection<StreamView>(
    args,
    (stream) => stream.id,
    (page) => listStreams(services.db, { ...of, userId }, page),
  );

builder.queryField('streams', (t) =>
  t.connection(
    {
      type: StreamRef,
      authScopes: { user: true },
      description:
        'Your streams, newest first. One that time has just moved on may be found under its former state for a second. Errors: UNAUTHENTICATED, BAD_USER_INPUT.',
      args: {
        role: t.arg({ type: StreamRoleEnum, description: 'Only those in which this is your part.' }),
        state: t.arg({ type: StreamStateEnum, description: 'Only those in this state.' }),
      },
      resolve: (_root, { role, state, ...args }, context) =>
        pageOf(
          context,
          { role: role ?? undefined, state: state ?? undefined },
          requireUser(context.viewer).id,
          args,
        ),
    },
    StreamConnection,
  ),
);

builder.objectField(ViewerRef, 'streams', (t) =>
  t.connection(
    {
      type: StreamRef,
      description: 'Your streams, newest first: those that you pay and those that pay you.',
      resolve: ({ user }, args, context) => pageOf(context, {}, user.id, args),
    },
    StreamConnection,
  ),
);

const key = { required: true, description: idempotencyKeyDescription } as const;

const CreateStreamInput = builder.inputType('CreateStreamInput', {
  description: 'A new stream.',
  fields: (t) => ({
    recipientId: t.id({ required: true, description: 'The user who is paid.' }),
    amountSats: t.field({
      type: 'Sats',
      required: true,
      description: 'What vests; sats, at least 1. It leaves your wallet now.',
    }),
    clock: t.field({ type: StreamClockEnum, description: 'What it vests by; TIME unless given.' }),
    startsAt: t.field({ type: 'DateTime', description: 'When it begins to vest; now unless given. TIME.' }),
    endsAt: t.field({ type: 'DateTime', description: 'When all has vested. Needed with TIME.' }),
    startBlock: t.int({ description: 'The height at which it begins; the present one unless given. BLOCK.' }),
    endBlock: t.int({ description: 'The height at which all has vested. Needed with BLOCK.' }),
    idempotencyKey: t.string(key),
  }),
});

/** What the mutations of streams answer. */
const streamPayload = (name: string) =>
  builder.objectRef<{ readonly stream: StreamView }>(name).implement({
    description: 'The stream that was changed.',
    fields: (t) => ({
      stream: t.expose('stream', { type: StreamRef, description: 'The stream as it is now.' }),
    }),
  });

builder.mutationField('createStream', (t) =>
  t.field({
    type: streamPayload('CreateStreamPayload'),
    authScopes: { user: true },
    description:
      'Locks an amount of your wallet, which vests to somebody else. Errors: UNAUTHENTICATED, FORBIDDEN (no such recipient), BAD_USER_INPUT, INSUFFICIENT_FUNDS, CONFLICT, UNAVAILABLE (BLOCK before the first block).',
    args: { input: t.arg({ type: CreateStreamInput, required: true, description: 'The stream.' }) },
    resolve: async (_root, { input }, context) => {
      const { clock, startsAt, endsAt, startBlock, endBlock, recipientId, amountSats } = input;
      if (amountSats < 1n) throw badInput('amountSats', 'A stream is at least 1 sat.');
      const { streamId } = await context.services.streams.create(context.viewer, {
        recipientId: isId('usr', recipientId) ? recipientId : refuse(),
        amountSats,
        clock: clock ?? 'TIME',
        startsAt: startsAt ?? null,
        endsAt: endsAt ?? null,
        startBlock: startBlock ?? null,
        endBlock: endBlock ?? null,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { stream: await changedStream(context, streamId) };
    },
  }),
);

function refuse(): never {
  throw forbidden();
}

const WithdrawFromStreamInput = builder.inputType('WithdrawFromStreamInput', {
  description: 'How much is taken from which stream.',
  fields: (t) => ({
    streamId: t.id({ required: true, description: 'The id of the stream.' }),
    amountSats: t.field({
      type: 'Sats',
      required: true,
      description: 'How much; sats, from 1 to withdrawableSats.',
    }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('withdrawFromStream', (t) =>
  t.field({
    type: streamPayload('WithdrawFromStreamPayload'),
    authScopes: { user: true },
    description:
      'Takes a part of what has vested into your wallet. Its recipient. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, INSUFFICIENT_FUNDS, CONFLICT (INVALID_STATE, LISTED).',
    args: { input: t.arg({ type: WithdrawFromStreamInput, required: true, description: 'How much.' }) },
    resolve: async (_root, { input }, context) => {
      const { id } = await findStream(context, input.streamId);
      if (input.amountSats < 1n) throw badInput('amountSats', 'A withdrawal is at least 1 sat.');
      await context.services.streams.withdraw(context.viewer, {
        streamId: id,
        amountSats: input.amountSats,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { stream: await changedStream(context, id) };
    },
  }),
);

const changes = {
  settleStream: [
    'settle',
    'Pays out all that has vested to the recipient. The recipient, the sender, or SERVICE. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT (INVALID_STATE when there is nothing to pay out, LISTED).',
  ],
  pauseStream: [
    'pause',
    'Has a stream vest no further for now; what has vested can still be paid out. Its sender. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
  ],
  resumeStream: [
    'resume',
    'Has a paused stream vest on: its end moves by as long as the pause was. Its sender. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
  ],
  cancelStream: [
    'cancel',
    'Ends a stream: what has vested goes to the recipient, the rest back less the fee, 1 % unless configured otherwise. Its sender. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
  ],
} as const;

for (const [name, [command, description]] of Object.entries(changes)) {
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const Input = builder.inputType(`${title}Input`, {
    description: 'Which stream.',
    fields: (t) => ({
      streamId: t.id({ required: true, description: 'The id of the stream.' }),
      idempotencyKey: t.string(key),
    }),
  });
  const Payload = streamPayload(`${title}Payload`);
  builder.mutationField(name, (t) =>
    t.field({
      type: Payload,
      authScopes: { user: true },
      description,
      args: { input: t.arg({ type: Input, required: true, description: 'Which stream.' }) },
      resolve: async (_root, { input }, context) => {
        const { id } = await findStream(context, input.streamId);
        await context.services.streams[command](context.viewer, {
          streamId: id,
          idempotencyKey: idempotencyKey(input.idempotencyKey),
        });
        return { stream: await changedStream(context, id) };
      },
    }),
  );
}

/** Subscribes to a stream: a user as its party, until they are none any more. */
async function watchStream(
  context: Context,
  id: string,
  options: Pick<Watch, 'after' | 'types' | 'snapshot'>,
) {
  const stream = await findStream(context, id);
  const access = accessToStream(context, stream) as View;
  const topic = streamTopic(stream.id);
  const { user } = context.viewer;
  if (access !== 'PARTY' || !user) return watch(context, { topic, view: { access }, ...options });
  return watch(context, {
    topic,
    view: { access, userId: user.id },
    isLast: endsRightOf(user.id),
    confirm: async () => {
      const now = await changedStream(context, stream.id);
      if (!accessToStream(context, now)) throw forbidden();
      return Number(now.feedHead);
    },
    ...options,
  });
}

builder.subscriptionField('streamUpdated', (t) =>
  t.field({
    type: StreamEventRef,
    authScopes: { credentials: true },
    description:
      'All that happens to a stream, and how far it has vested. Without `after` the present state first. Who is no party any more is told so and nothing further. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the stream.' }),
      after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }),
    },
    subscribe: (_root, { id, after }, context) =>
      watchStream(context, id, { after, snapshot: { type: 'StreamSnapshot', facts: { streamId: id } } }),
    resolve: (delivery) => delivery,
  }),
);

builder.subscriptionField('settleFinished', (t) =>
  t.field({
    type: StreamSettledRef,
    authScopes: { credentials: true },
    description:
      'The settlements of a stream. Live from now without `after`. Its cursors are those of streamUpdated. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CURSOR_EXPIRED.',
    args: {
      streamId: t.arg.id({ required: true, description: 'The id of the stream.' }),
      after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }),
    },
    subscribe: (_root, { streamId, after }, context) =>
      watchStream(context, streamId, { after, types: ['StreamSettled'] }),
    resolve: (delivery) => delivery,
  }),
);
