import { type Sats, satsToJson } from '../money/sats.ts';
import { activityTopic } from '../platform/auth/users.ts';
import type { Facts } from '../platform/log/event.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import type { Split } from './machine.ts';

/** A stream's own feed. */
export const streamTopic = (streamId: string) => `stream:${streamId}`;

/** The names of the events of streams, which are those of their GraphQL types. */
export const streamEventTypes = [
  'StreamSnapshot',
  'StreamCreated',
  'StreamUpdated',
  'StreamWithdrawn',
  'StreamPaused',
  'StreamResumed',
  'StreamCancelled',
  'StreamSettled',
  'StreamTransferred',
  'StreamReorganised',
] as const;

export type StreamEventType = (typeof streamEventTypes)[number];

/** What an event needs to know of its stream. */
export interface EventStream {
  readonly id: string;
  readonly sender: string;
  readonly recipient: string;
}

function streamEvent(
  { id, sender, recipient }: EventStream,
  type: StreamEventType,
  facts: Facts,
  others: readonly string[] = [],
): NewEvent {
  const topics = [streamTopic(id), ...new Set([sender, recipient, ...others].map(activityTopic))];
  return { type, facts: { streamId: id, ...facts }, topics };
}

/** What a withdrawal leaves; sats. */
interface Withdrawal {
  readonly amount: Sats;
  readonly totalWithdrawn: Sats;
  readonly remaining: Sats;
}

export const streamEvents = {
  created: (stream: EventStream, amount: Sats) =>
    streamEvent(stream, 'StreamCreated', { amountSats: satsToJson(amount) }),
  withdrawn: (stream: EventStream, { amount, totalWithdrawn, remaining }: Withdrawal) =>
    streamEvent(stream, 'StreamWithdrawn', {
      amountSats: satsToJson(amount),
      totalWithdrawnSats: satsToJson(totalWithdrawn),
      remainingSats: satsToJson(remaining),
    }),
  settled: (stream: EventStream, amount: Sats, transaction: string | null) =>
    streamEvent(stream, 'StreamSettled', { settledSats: satsToJson(amount), transaction }),
  paused: (stream: EventStream, vested: Sats) =>
    streamEvent(stream, 'StreamPaused', { vestedSats: satsToJson(vested) }),
  resumed: (stream: EventStream, endsAt: Date | null) =>
    streamEvent(stream, 'StreamResumed', { endsAt: endsAt?.toISOString() ?? null }),
  cancelled: (stream: EventStream, { vested, unvested, fee }: Split, cancelledBy: string) =>
    streamEvent(stream, 'StreamCancelled', {
      vestedSats: satsToJson(vested),
      unvestedSats: satsToJson(unvested),
      feeSats: satsToJson(fee),
      cancelledBy,
    }),
  /** A party was replaced; `stream` is as it is behind that. Who is no party any more is told nothing further. */
  transferred: (stream: EventStream, from: string, to: string) =>
    streamEvent(stream, 'StreamTransferred', { from, to, endsFor: noParty(stream, from) }, [from]),
  /** A reorganisation undid an event; `stream` is as it is behind that. */
  reorganised: (stream: EventStream, rolledBack: string, formerParty: string | null) =>
    streamEvent(
      stream,
      'StreamReorganised',
      { rolledBack, endsFor: formerParty === null ? null : noParty(stream, formerParty) },
      formerParty === null ? [] : [formerParty],
    ),
};

const noParty = ({ sender, recipient }: EventStream, userId: string) =>
  userId === sender || userId === recipient ? null : userId;

/** Whether an event has ended a user's right to hear more of its stream. */
export const endsRightOf =
  (userId: string) =>
  ({ facts }: { readonly facts: Facts }): boolean =>
    facts.endsFor === userId;
