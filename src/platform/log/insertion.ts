import type { Scalar, Statement } from '../database/database.ts';
import { setOf } from '../database/sets.ts';
import type { Facts, LogRow } from './event.ts';

/** An event to be appended: its facts, and every topic that it belongs to. */
export interface NewEvent {
  readonly type: string;
  readonly version?: number;
  readonly facts: Facts;
  readonly topics: readonly string[];
}

export type StampedEvent = NewEvent & { readonly id: string; readonly occurredAt: Date };

/** What a transaction writes by its last statement. */
export interface Pending {
  readonly events: StampedEvent[];
  /** By what names the row that each changes. */
  readonly changes: Map<string, Statement>;
}

/** What the insertion answers: the heads of its topics. */
interface Head {
  readonly topic: string;
  readonly epoch: string;
  readonly head: bigint;
}

interface Insertion extends Statement {
  /** The rows of the log that it has made, of what it answered. */
  rowsOf(answer: readonly unknown[]): LogRow[];
}

/** One statement: raises each head by its number of events, in sorted order, inserts the rows and does the changes. */
export function insertionOf({ events, changes }: Pending): Insertion {
  const placements = placementsOf(events);
  const parameters: Scalar[] = [];
  const changed = [...changes.values()].map(
    (change, index) => `change${index} AS (${partOf(parameters, change)})`,
  );
  const raised = setOf(
    parameters,
    'r',
    { topic: 'text', count: 'bigint' },
    placements.map(([topic, { length }]) => ({ topic, count: length })),
  );
  const stored = setOf(
    parameters,
    'e',
    { id: 'text', type: 'text', version: 'int', facts: 'jsonb', occurred_at: 'timestamptz' },
    events.map(({ id, type, version = 1, facts, occurredAt }) => ({
      ...{ id, type, version, facts, occurred_at: occurredAt },
    })),
  );
  const placed = setOf(
    parameters,
    'p',
    { topic: 'text', event_id: 'text', back: 'bigint' },
    placements.flatMap(([topic, each]) =>
      each.map(({ id }, index) => ({ topic, event_id: id, back: each.length - 1 - index })),
    ),
  );
  const parts = [
    ...changed,
    `heads AS (
       INSERT INTO topics AS t (topic, epoch, head)
       SELECT r.topic, (SELECT epoch FROM database_info), r.count FROM ${raised}
       ON CONFLICT (topic) DO UPDATE SET head = t.head + excluded.head
       RETURNING topic, epoch, head
     )`,
    `stored AS (INSERT INTO events (id, type, version, facts, occurred_at) SELECT * FROM ${stored})`,
    `placed AS (
       INSERT INTO topic_events (topic, seq, event_id)
       SELECT p.topic, h.head - p.back, p.event_id FROM ${placed} JOIN heads h ON h.topic = p.topic
     )`,
  ];
  const eventsOf = new Map(placements);
  return {
    sql: `WITH ${parts.join(', ')} SELECT topic, epoch, head FROM heads`,
    parameters,
    rowsOf: (answer) =>
      (answer as readonly Head[]).flatMap(({ topic, epoch, head }) => {
        const each = eventsOf.get(topic) as readonly StampedEvent[];
        const before = Number(head) - each.length;
        return each.map(({ id, type, version = 1, facts, occurredAt }, index) => ({
          topic,
          epoch,
          seq: before + index + 1,
          event: { id, type, version, facts, occurredAt },
        }));
      }),
  };
}

/** Which events each topic gets, in the order in which heads are locked everywhere. */
function placementsOf(events: readonly StampedEvent[]): Array<[topic: string, events: StampedEvent[]]> {
  const placements = new Map<string, StampedEvent[]>();
  for (const event of events)
    for (const topic of event.topics) {
      const placed = placements.get(topic);
      if (placed) placed.push(event);
      else placements.set(topic, [event]);
    }
  return [...placements].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A statement as a part of one that has parameters already, to which it adds its own. */
function partOf(parameters: Scalar[], { sql, parameters: own }: Statement): string {
  const before = parameters.length;
  parameters.push(...own);
  return sql.replaceAll(/\$(\d+)/g, (_, place) => `$${before + Number(place)}`);
}
