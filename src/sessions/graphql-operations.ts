import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import type { Context } from '../graphql/context.ts';
import { watch } from '../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription, textBetween } from '../graphql/input.ts';
import { ViewerRef } from '../graphql/viewer.ts';
import type { Watch } from '../graphql/watch.ts';
import { InvoiceRef, loadInvoice } from '../money/graphql.ts';
import type { View } from '../platform/auth/viewer.ts';
import { badInput, forbidden } from '../platform/errors.ts';
import { sessionTopic } from './events.ts';
import { accessToSession, findSession, SessionDebitedRef, SessionEventRef, SessionRef } from './graphql.ts';
import { listSessions, type SessionView, sessionsByIds } from './queries.ts';

/** The longest memo, in UTF-16 code units. */
const longestMemo = 640;

/** A session that only its owner may change. */
async function ownSession(context: Context, id: string): Promise<SessionView> {
  const session = await findSession(context, id);
  if (accessToSession(context, session) !== 'OWNER') throw forbidden();
  return session;
}

/** A session that a command has just changed: read anew. */
async function changedSession({ services }: Context, id: string): Promise<SessionView> {
  const [session] = await sessionsByIds(services.db, [id]);
  return session as SessionView;
}

builder.queryField('session', (t) =>
  t.field({
    type: SessionRef,
    nullable: true,
    authScopes: { credentials: true },
    description: 'A session. Errors: UNAUTHENTICATED; FORBIDDEN when it is not yours or does not exist.',
    args: { id: t.arg.id({ required: true, description: 'The id of the session.' }) },
    resolve: (_root, { id }, context) => findSession(context, id),
  }),
);

builder.objectField(ViewerRef, 'sessions', (t) =>
  t.connection(
    {
      type: SessionRef,
      description: 'Your sessions, newest first.',
      resolve: ({ user }, args, { services }) =>
        listConnection<SessionView>(
          args,
          (session) => session.id,
          (page) => listSessions(services.db, user.id, page),
        ),
    },
    { name: 'SessionConnection', description: 'A page of sessions.' },
    { name: 'SessionEdge', description: 'A session in a list.' },
  ),
);

const key = { required: true, description: idempotencyKeyDescription } as const;
const sessionId = { required: true, description: 'The id of the session.' } as const;

const OpenSessionInput = builder.inputType('OpenSessionInput', {
  description: 'A new session.',
  fields: (t) => ({
    depositSats: t.field({
      type: 'Sats',
      required: true,
      description: 'The first deposit; sats, 100 to 10,000 unless configured otherwise.',
    }),
    idempotencyKey: t.string(key),
  }),
});

const OpenSessionPayload = builder
  .objectRef<{ readonly session: SessionView; readonly accessToken: string | null }>('OpenSessionPayload')
  .implement({
    description: 'The session that was opened.',
    fields: (t) => ({
      session: t.expose('session', {
        type: SessionRef,
        description: 'The session: pay its depositInvoice to activate it.',
      }),
      accessToken: t.exposeString('accessToken', {
        nullable: true,
        description:
          'To anonymous callers only: the bearer token that opens this session alone. It is not handed out again but to a repetition of this request.',
      }),
    }),
  });

builder.mutationField('openSession', (t) =>
  t.field({
    type: OpenSessionPayload,
    authScopes: { anyone: true },
    description: 'Opens a prepaid session. Errors: BAD_USER_INPUT, CONFLICT, RATE_LIMITED, UNAVAILABLE.',
    args: { input: t.arg({ type: OpenSessionInput, required: true, description: 'The session.' }) },
    resolve: async (_root, { input }, context) => {
      const opened = await context.services.sessions.open(context.viewer, {
        depositSats: input.depositSats,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
        address: context.address,
      });
      return { session: await changedSession(context, opened.sessionId), accessToken: opened.accessToken };
    },
  }),
);

const TopUpSessionInput = builder.inputType('TopUpSessionInput', {
  description: 'More for a session.',
  fields: (t) => ({
    sessionId: t.id(sessionId),
    amountSats: t.field({
      type: 'Sats',
      required: true,
      description: 'How much; sats, 1 to the largest deposit.',
    }),
    idempotencyKey: t.string(key),
  }),
});

const TopUpSessionPayload = builder
  .objectRef<{ readonly session: SessionView; readonly paymentHash: string }>('TopUpSessionPayload')
  .implement({
    description: 'The invoice of a top-up.',
    fields: (t) => ({
      session: t.expose('session', { type: SessionRef, description: 'The session as it is now.' }),
      invoice: t.field({
        type: InvoiceRef,
        description: 'Adds to the balance once it is paid.',
        resolve: ({ paymentHash }, _args, context) => loadInvoice(context, paymentHash),
      }),
    }),
  });

builder.mutationField('topUpSession', (t) =>
  t.field({
    type: TopUpSessionPayload,
    authScopes: { credentials: true },
    description:
      'An invoice that adds to a session. Its owner. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT, RATE_LIMITED, UNAVAILABLE.',
    args: {
      input: t.arg({ type: TopUpSessionInput, required: true, description: 'Which session, and how much.' }),
    },
    resolve: async (_root, { input }, context) => {
      const session = await ownSession(context, input.sessionId);
      const { paymentHash } = await context.services.sessions.topUp(context.viewer, {
        sessionId: session.id,
        amountSats: input.amountSats,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
        address: context.address,
      });
      return { session: await changedSession(context, session.id), paymentHash };
    },
  }),
);

const DebitSessionInput = builder.inputType('DebitSessionInput', {
  description: 'What is taken from a session.',
  fields: (t) => ({
    sessionId: t.id(sessionId),
    amountSats: t.field({ type: 'Sats', required: true, description: 'How much; sats, at least 1.' }),
    memo: t.string({ description: 'What it is for; up to 640 characters, shown to the owner.' }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('debitSession', (t) =>
  t.field({
    type: SessionRef,
    authScopes: { service: true },
    description:
      'Takes sats from the balance of a session. SERVICE. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, INSUFFICIENT_FUNDS, CONFLICT.',
    args: {
      input: t.arg({ type: DebitSessionInput, required: true, description: 'Which session, and how much.' }),
    },
    resolve: async (_root, { input }, context) => {
      const session = await findSession(context, input.sessionId);
      if (input.amountSats < 1n) throw badInput('amountSats', 'A debit is at least 1 sat.');
      await context.services.sessions.debit(context.viewer, {
        sessionId: session.id,
        amountSats: input.amountSats,
        memo: input.memo == null ? null : textBetween('memo', input.memo, 0, longestMemo),
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return changedSession(context, session.id);
    },
  }),
);

const CloseSessionInput = builder.inputType('CloseSessionInput', {
  description: 'Which session is closed.',
  fields: (t) => ({ sessionId: t.id(sessionId), idempotencyKey: t.string(key) }),
});

const CloseSessionPayload = builder
  .objectRef<{ readonly session: SessionView }>('CloseSessionPayload')
  .implement({
    description: 'The session that was closed.',
    fields: (t) => ({
      session: t.expose('session', { type: SessionRef, description: 'The session as it is now.' }),
    }),
  });

builder.mutationField('closeSession', (t) =>
  t.field({
    type: CloseSessionPayload,
    authScopes: { credentials: true },
    description:
      'Closes a session; what is left goes to its owner. Its owner. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
    args: { input: t.arg({ type: CloseSessionInput, required: true, description: 'Which session.' }) },
    resolve: async (_root, { input }, context) => {
      const session = await ownSession(context, input.sessionId);
      await context.services.sessions.close(context.viewer, {
        sessionId: session.id,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { session: await changedSession(context, session.id) };
    },
  }),
);

async function watchSession(
  context: Context,
  id: string,
  options: Pick<Watch, 'after' | 'types' | 'snapshot'>,
) {
  const session = await findSession(context, id);
  const view = { access: accessToSession(context, session) as View, objectId: session.id };
  return watch(context, { topic: sessionTopic(session.id), view, ...options });
}

builder.subscriptionField('sessionUpdated', (t) =>
  t.field({
    type: SessionEventRef,
    authScopes: { credentials: true },
    description:
      'All that happens to a session. Without `after` the present state first. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the session.' }),
      after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }),
    },
    subscribe: (_root, { id, after }, context) =>
      watchSession(context, id, { after, snapshot: { type: 'SessionSnapshot', facts: { sessionId: id } } }),
    resolve: (delivery) => delivery,
  }),
);

builder.subscriptionField('sessionDebited', (t) =>
  t.field({
    type: SessionDebitedRef,
    authScopes: { credentials: true },
    description:
      'The debits of a session. Live from now without `after`. Its cursors are those of sessionUpdated. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CURSOR_EXPIRED.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the session.' }),
      after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }),
    },
    subscribe: (_root, { id, after }, context) =>
      watchSession(context, id, { after, types: ['SessionDebited'] }),
    resolve: (delivery) => delivery,
  }),
);
