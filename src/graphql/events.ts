import type { Delivery } from '../platform/feed/rendering.ts';
import { cursorExpired, encodeCursor, parseCursor } from '../platform/log/cursor.ts';
import type { LogRow, TopicHead } from '../platform/log/event.ts';
import { builder } from './builder.ts';
import { type ConnectionArguments, listConnection } from './connections.ts';
import type { Context } from './context.ts';
import { typeOfEvent } from './event-types.ts';
import type { Watch, WatchingContext } from './watch.ts';

export const EventRef = builder.interfaceRef<Delivery>('Event').implement({
  description:
    'Something that happened. Kept in the log, unless it is a snapshot or marked ephemeral. Expect types that you do not know.',
  resolveType: ({ event }, _context, { schema }) => typeOfEvent(event, schema),
  fields: (t) => ({
    id: t.id({
      description: 'The same in whichever feed the event is delivered.',
      resolve: ({ event }) => event.id,
    }),
    cursor: t.field({
      type: 'Cursor',
      description: 'Pass as `after` to the same subscription to receive everything behind this event.',
      resolve: ({ cursor }) => cursor,
    }),
    occurredAt: t.field({
      type: 'DateTime',
      description: 'When it happened.',
      resolve: ({ event }) => event.occurredAt,
    }),
  }),
});

export const SnapshotReasonEnum = builder.enumType('SnapshotReason', {
  description: 'Why the present state is sent instead of what led to it.',
  values: {
    SUBSCRIBED: { description: 'The subscription has begun without `after`.' },
    GAP: { description: 'What lay behind your cursor can no longer be replayed.' },
  } as const,
});

/** A fact of an event, as its row has it. */
export function fact<Value extends string | number | boolean | null>(
  { event }: Delivery,
  name: string,
): Value {
  return event.facts[name] as Value;
}

/** Subscribes whoever asks to what they were found to be allowed to watch. */
export function watch(context: Context, what: Watch): Promise<AsyncIterable<Delivery>> {
  // What is told are not the deliveries but what becomes of them, and by then GraphQL's part is done.
  return (context as WatchingContext).begin(what) as Promise<AsyncIterable<Delivery>>;
}

export const EventConnection = builder.connectionObject(
  {
    type: EventRef,
    name: 'EventConnection',
    description: 'A part of a history, oldest first.',
    fields: (t) => ({
      trimmed: t.boolean({
        description: 'True when the beginning of the history is no longer kept.',
        resolve: (connection) => (connection as { trimmed?: boolean }).trimmed === true,
      }),
    }),
  },
  { name: 'EventEdge', description: 'An event in a history.' },
);

/** A part of a topic as a Relay connection; its cursors are those of the feed. */
export async function eventConnection({ services }: Context, topic: string, args: ConnectionArguments) {
  const { log } = services.feeds;
  const head = (await log.heads([topic])).get(topic) as TopicHead;
  const sequence = (argument: 'after' | 'before', cursor: string | undefined, none: number) => {
    if (cursor === undefined) return none;
    const { epoch, seq } = parseCursor(cursor, topic, argument);
    if (epoch !== head.epoch) throw cursorExpired({ topic, epoch: head.epoch, seq: head.trimmedTo });
    return seq;
  };
  const connection = await listConnection<Delivery>(
    args,
    (delivery) => delivery.cursor,
    async ({ after, before, limit, inverted }) => {
      const rows = await log.readRange(topic, {
        after: sequence('after', after, 0),
        before: sequence('before', before, Number.MAX_SAFE_INTEGER),
        limit,
        newestFirst: inverted,
      });
      return rows.map(toDelivery);
    },
  );
  // Behind the rows: what was trimmed while they were read is missing among them.
  const { trimmedTo } = (await log.heads([topic])).get(topic) as TopicHead;
  if (args.after != null && parseCursor(args.after, topic).seq < trimmedTo)
    throw cursorExpired({ topic, epoch: head.epoch, seq: trimmedTo });
  return { ...connection, trimmed: trimmedTo > 0 };
}

function toDelivery(row: LogRow): Delivery {
  return { event: row.event, cursor: encodeCursor(row) };
}
