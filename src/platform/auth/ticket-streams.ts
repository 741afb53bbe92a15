import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { newId } from '../ids.ts';
import { hashToken } from './access-tokens.ts';
import type { Connection } from './connections.ts';

/** Where nodes tell each other which streams have begun. */
const topic = 'ticket-streams';

interface Stream {
  readonly connection: Connection;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export type TicketStreams = Awaited<ReturnType<typeof createTicketStreams>>;

/**
 * One stream for each ticket, on whichever node: an EventSource that comes back has left the one before, which its
 * node may not have noticed. While the bus is away, one on another node lasts until it is noticed there.
 */
export async function createTicketStreams({ bus, clock }: { readonly bus: Bus; readonly clock: Clock }) {
  const streaming = new Map<string, Stream>();
  await bus.listen(topic, (message) => {
    if (message.kind !== 'EPHEMERAL') return;
    const { event } = message;
    const older = streaming.get(String(event.facts.ticketHash));
    // Not one that has begun since: a message may be late.
    if (older && older.since <= event.occurredAt.getTime()) older.connection.end('REPLACED');
  });

  return {
    /** Ends the stream that the ticket had, and notes this one; answers how to forget it. */
    begin(ticket: string, connection: Connection): () => void {
      const ticketHash = hashToken(ticket);
      const since = clock.now();
      const stream = { connection, since };
      const event = {
        id: newId('evt'),
        type: 'TicketStreamBegun',
        version: 1,
        facts: { ticketHash },
        occurredAt: new Date(since),
      };
      // This node hears it too, before the new stream is noted.
      bus.publish({ kind: 'EPHEMERAL', topic, seq: 0, event });
      streaming.set(ticketHash, stream);
      return () => {
        if (streaming.get(ticketHash) === stream) streaming.delete(ticketHash);
      };
    },
  };
}
