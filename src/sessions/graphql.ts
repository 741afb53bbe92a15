import { accessTo } from '../graphql/access.ts';
import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import type { Context } from '../graphql/context.ts';
import { EventConnection, EventRef, eventConnection, fact, SnapshotReasonEnum } from '../graphql/events.ts';
import { load } from '../graphql/loaders.ts';
import { NodeRef, registerNode } from '../graphql/node.ts';
import { InvoiceRef, loadInvoice, ReturnReasonEnum } from '../money/graphql.ts';
import { type Invoice, listInvoices } from '../money/invoice-queries.ts';
import { forbidden } from '../platform/errors.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import { isId } from '../platform/ids.ts';
import { encodeCursor } from '../platform/log/cursor.ts';
import { type SessionEventType, sessionTopic } from './events.ts';
import { sessionStates } from './machine.ts';
import { type SessionView, sessionsByIds } from './queries.ts';

const stateDescriptions: Record<(typeof sessionStates)[number], string> = {
  AWAITING_PAYMENT: 'The deposit waits to be paid.',
  ACTIVE: 'It can be debited.',
  PAUSED: 'The balance is below the minimum; a top-up resumes it.',
  EXPIRED: 'It was not paid in time, or not used for too long.',
  CLOSED: 'Its owner has closed it.',
};

const SessionStateEnum = builder.enumType('SessionState', {
  description: 'Where a prepaid session stands.',
  values: Object.fromEntries(
    sessionStates.map((state) => [state, { description: stateDescriptions[state] }]),
  ) as Record<(typeof sessionStates)[number], { description: string }>,
});

/** How whoever asks stands to a session; undefined when it is not theirs to see. */
export const accessToSession = (context: Context, { id, ownerUser }: SessionView) =>
  accessTo(context, { userId: ownerUser, objectId: id });

async function seenSession(context: Context, id: string): Promise<SessionView | undefined> {
  const session = isId('ses', id) ? await load(context, sessionsByIds, (row) => row.id, id) : undefined;
  return session && accessToSession(context, session) ? session : undefined;
}

/** A session by its id, if the viewer may see it. */
export async function findSession(context: Context, id: string): Promise<SessionView> {
  const session = await seenSession(context, id);
  if (!session) throw forbidden();
  return session;
}

registerNode('ses', 'Session', findSession);

export const SessionRef = builder.objectRef<SessionView>('Session').implement({
  description:
    'A balance prepaid by Lightning and debited as it is used. Shown to its owner, SERVICE and ADMIN.',
  interfaces: [NodeRef],
  fields: (t) => ({
    state: t.expose('state', { type: SessionStateEnum, description: 'Where it stands.' }),
    balanceSats: t.expose('balanceSats', { type: 'Sats', description: 'What can be debited; sats.' }),
    refundableSats: t.expose('refundableSats', {
      type: 'Sats',
      description:
        "What went back to an anonymous owner, claimable with the access token; sats. A user's goes to the wallet.",
    }),
    depositInvoice: t.field({
      type: InvoiceRef,
      description: 'Pays the deposit.',
      resolve: ({ depositInvoice }, _args, context) => loadInvoice(context, depositInvoice),
    }),
    topUps: t.connection(
      {
        type: InvoiceRef,
        description: 'The invoices of its top-ups, newest first.',
        resolve: ({ id }, args, { services }) =>
          listConnection<Invoice>(
            args,
            (invoice) => invoice.id,
            (page) => listInvoices(services.db, id, 'session.topUp', page),
          ),
      },
      { name: 'InvoiceConnection', description: 'A page of invoices.' },
      { name: 'InvoiceEdge', description: 'An invoice in a list.' },
    ),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it expires unless it is used; null before the deposit and after the end.',
    }),
    cursor: t.field({
      type: 'Cursor',
      description: "Where the session's feed stood at this read: query, then subscribe after it.",
      resolve: ({ id, feedEpoch, feedHead }) =>
        encodeCursor({ topic: sessionTopic(id), epoch: feedEpoch, seq: Number(feedHead) }),
    }),
    events: t.connection(
      {
        type: EventRef,
        description: 'Its history, oldest first, from the same log as its feed.',
        resolve: ({ id }, args, context) => eventConnection(context, sessionTopic(id), args),
      },
      EventConnection,
    ),
  }),
});

export const SessionEventRef = builder.interfaceRef<Delivery>('SessionEvent').implement({
  description: 'Something that happened to a session.',
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    session: t.field({
      type: SessionRef,
      nullable: true,
      description:
        'The session when the event is executed: never older than the event, perhaps newer. Null when you may no longer see it.',
      resolve: (delivery, _args, context) => seenSession(context, fact<string>(delivery, 'sessionId')),
    }),
  }),
});

/** An event type of sessions; its name is that of the log row. */
const sessionEventRef = (name: SessionEventType) => builder.objectRef<Delivery>(name);

const interfaces = [SessionEventRef, EventRef];

const sats = (name: string) => (delivery: Delivery) => fact<number>(delivery, name);

sessionEventRef('SessionSnapshot').implement({
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

sessionEventRef('SessionActivated').implement({
  description: 'The deposit was paid.',
  interfaces,
  fields: (t) => ({
    balanceSats: t.field({ type: 'Sats', description: 'The balance; sats.', resolve: sats('balanceSats') }),
  }),
});

export const SessionDebitedRef = sessionEventRef('SessionDebited').implement({
  description: 'Sats were taken from the balance.',
  interfaces,
  fields: (t) => ({
    debitedSats: t.field({ type: 'Sats', description: 'How much; sats.', resolve: sats('debitedSats') }),
    balanceAfter: t.field({
      type: 'Sats',
      description: 'What was left; sats.',
      resolve: sats('balanceAfter'),
    }),
    memo: t.string({
      nullable: true,
      description: 'What it was for.',
      resolve: (delivery) => fact<string | null>(delivery, 'memo'),
    }),
  }),
});

sessionEventRef('SessionToppedUp').implement({
  description: 'A top-up was paid; it lifts a PAUSED session to ACTIVE.',
  interfaces,
  fields: (t) => ({
    creditedSats: t.field({ type: 'Sats', description: 'How much; sats.', resolve: sats('creditedSats') }),
    balanceAfter: t.field({ type: 'Sats', description: 'The balance; sats.', resolve: sats('balanceAfter') }),
  }),
});

sessionEventRef('SessionPaused').implement({
  description: 'The balance is below the minimum.',
  interfaces,
  fields: (t) => ({
    balanceSats: t.field({ type: 'Sats', description: 'The balance; sats.', resolve: sats('balanceSats') }),
  }),
});

const endings = {
  SessionClosed: 'Its owner has closed it.',
  SessionExpired: 'It was not paid in time, or not used for too long.',
} as const;

for (const [name, description] of Object.entries(endings))
  sessionEventRef(name as keyof typeof endings).implement({
    description,
    interfaces,
    fields: (t) => ({
      refundedSats: t.field({
        type: 'Sats',
        description: 'What was left and went to the owner; sats.',
        resolve: sats('refundedSats'),
      }),
    }),
  });

sessionEventRef('SessionPaymentReturned').implement({
  description:
    "Sats went back to the owner: to a user's wallet, or to the refundable balance of an anonymous owner.",
  interfaces,
  fields: (t) => ({
    returnedSats: t.field({ type: 'Sats', description: 'How much; sats.', resolve: sats('returnedSats') }),
    reason: t.field({
      type: ReturnReasonEnum,
      description: 'Why.',
      resolve: (delivery) => fact<'SURPLUS' | 'NOT_NEEDED'>(delivery, 'reason'),
    }),
  }),
});
