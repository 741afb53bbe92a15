import type { Returned } from '../money/receipts.ts';
import { type Sats, satsToJson } from '../money/sats.ts';
import { activityTopic } from '../platform/auth/users.ts';
import type { Facts } from '../platform/log/event.ts';
import type { NewEvent } from '../platform/log/insertion.ts';

/** A session's own feed. */
export const sessionTopic = (sessionId: string) => `session:${sessionId}`;

/** The names of the events of sessions, which are those of their GraphQL types. */
export const sessionEventTypes = [
  'SessionActivated',
  'SessionDebited',
  'SessionToppedUp',
  'SessionPaused',
  'SessionClosed',
  'SessionExpired',
  'SessionPaymentReturned',
  'SessionSnapshot',
] as const;

export type SessionEventType = (typeof sessionEventTypes)[number];

/** What an event needs to know of its session. */
export interface EventSession {
  readonly id: string;
  readonly ownerUser: string | null;
}

function sessionEvent(session: EventSession, type: SessionEventType, facts: Facts): NewEvent {
  const topics = [sessionTopic(session.id)];
  if (session.ownerUser !== null) topics.push(activityTopic(session.ownerUser));
  return { type, facts: { sessionId: session.id, ...facts }, topics };
}

export const sessionEvents = {
  activated: (session: EventSession, balance: Sats) =>
    sessionEvent(session, 'SessionActivated', { balanceSats: satsToJson(balance) }),
  debited: (session: EventSession, amount: Sats, balanceAfter: Sats, memo: string | null) =>
    sessionEvent(session, 'SessionDebited', {
      debitedSats: satsToJson(amount),
      balanceAfter: satsToJson(balanceAfter),
      memo,
    }),
  toppedUp: (session: EventSession, amount: Sats, balanceAfter: Sats) =>
    sessionEvent(session, 'SessionToppedUp', {
      creditedSats: satsToJson(amount),
      balanceAfter: satsToJson(balanceAfter),
    }),
  paused: (session: EventSession, balance: Sats) =>
    sessionEvent(session, 'SessionPaused', { balanceSats: satsToJson(balance) }),
  closed: (session: EventSession, refunded: Sats) =>
    sessionEvent(session, 'SessionClosed', { refundedSats: satsToJson(refunded) }),
  expired: (session: EventSession, refunded: Sats) =>
    sessionEvent(session, 'SessionExpired', { refundedSats: satsToJson(refunded) }),
  paymentReturned: (session: EventSession, { amount, reason }: Returned) =>
    sessionEvent(session, 'SessionPaymentReturned', { returnedSats: satsToJson(amount), reason }),
};
