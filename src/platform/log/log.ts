import type { Clock } from '../clock.ts';
import type { Database, Transaction } from '../database/database.ts';
import { setOf } from '../database/sets.ts';
import { newId } from '../ids.ts';
import { createWorkQueue } from '../work/queue.ts';
import { encodeCursor } from './cursor.ts';
import type { Facts, LogRow, TopicHead } from './event.ts';
import { trimEvery, trimWork } from './retention.ts';

/** An event to be appended: its facts, and every topic that it belongs to. */
export interface NewEvent {
  readonly type: string;
  readonly version?: number;
  readonly facts: Facts;
  readonly topics: readonly string[];
}

/** A part of a topic; both ends are left out. */
export interface LogRange {
  readonly after: number;
  readonly before: number;
  readonly limit: number;
  readonly newestFirst: boolean;
}

export type Log = ReturnType<typeof createLog>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  /**
   * Hears the rows of each transaction after its commit. Where there are several connections, those of a later one
   * may come first.
   */
  readonly onCommitted: (rows: readonly LogRow[]) => void;
}

/** The append-only log: each topic numbered gaplessly from 1, in commit order. */
export function createLog({ db, clock, onCommitted }: Dependencies) {
  const pending = new WeakMap<Transaction, Pending>();
  // Nothing waits for its work at once: the runner looks for what is due each second by itself.
  const queue = createWorkQueue({ db, clock });

  async function heads(topics: readonly string[]): Promise<ReadonlyMap<string, TopicHead>> {
    const rows = await db.query<{ topic: string; epoch: string; head: bigint; trimmedTo: bigint }>(
      `SELECT wanted.topic, coalesce(t.epoch, i.epoch) AS epoch, coalesce(t.head, 0) AS head,
              coalesce(t.trimmed_to, 0) AS "trimmedTo"
       FROM unnest($1::text[]) AS wanted(topic) CROSS JOIN database_info i
       LEFT JOIN topics t ON t.topic = wanted.topic`,
      [topics],
    );
    return new Map(
      rows.map((row) => [
        row.topic,
        { epoch: row.epoch, head: Number(row.head), trimmedTo: Number(row.trimmedTo) },
      ]),
    );
  }

  function pendingOf(tx: Transaction): Pending {
    const known = pending.get(tx) ?? { events: [], changes: new Map() };
    pending.set(tx, known);
    tx.beforeCommit(flush);
    return known;
  }

  async function flush(tx: Transaction): Promise<void> {
    const rows = await insertEvents(tx, pendingOf(tx));
    for (const { topic, seq } of rows)
      if (seq % trimEvery === 0) await queue.schedule(tx, trimWork, topic, new Date(clock.now()));
    tx.afterCommit(() => onCommitted(rows));
  }

  return {
    /**
     * Appends events in the transaction that makes them true. They are written by its last statement,
     * which locks the heads of all topics in sorted order, so that commit order is sequence order.
     * @returns the ids of the events, in order.
     */
    append(tx: Transaction, ...events: readonly NewEvent[]): string[] {
      const stamped = events.map((event) => ({
        ...event,
        id: newId('evt'),
        occurredAt: new Date(clock.now()),
      }));
      pendingOf(tx).events.push(...stamped);
      return stamped.map(({ id }) => id);
    },

    /**
     * Changes a row by the statement that writes the events, which saves a statement of its own. `row` names it:
     * nothing else of the transaction may change it, or read it behind this.
     */
    change(tx: Transaction, row: string, sql: string, parameters: readonly unknown[]): void {
      const { changes } = pendingOf(tx);
      if (changes.has(row)) throw new Error(`${row} is changed already.`);
      changes.set(row, { sql, parameters });
    },

    /** At most `limit` rows of a topic behind a sequence, in order. */
    async readPage(topic: string, after: number, limit: number): Promise<LogRow[]> {
      const rows = await db.query<RawRow>(
        `${selectRows} WHERE p.topic = $1 AND p.seq > $2 ORDER BY p.seq LIMIT $3`,
        [topic, after, limit],
      );
      return rows.map(toLogRow);
    },

    /** For each topic at most `limit` rows behind its sequence, in order: one query for all of them. */
    async readPages(after: ReadonlyMap<string, number>, limit: number): Promise<LogRow[]> {
      const rows = await db.query<RawRow>(
        `SELECT page.* FROM unnest($1::text[], $2::bigint[]) AS wanted(topic, seq)
         CROSS JOIN LATERAL (
           ${selectRows} WHERE p.topic = wanted.topic AND p.seq > wanted.seq ORDER BY p.seq LIMIT $3
         ) page ORDER BY page.topic, page.seq`,
        [[...after.keys()], [...after.values()], limit],
      );
      return rows.map(toLogRow);
    },

    /** At most `limit` rows of a topic between two sequences, from one end or the other. */
    async readRange(topic: string, { after, before, limit, newestFirst }: LogRange): Promise<LogRow[]> {
      const rows = await db.query<RawRow>(
        `${selectRows} WHERE p.topic = $1 AND p.seq > $2 AND p.seq < $3
         ORDER BY p.seq ${newestFirst ? 'DESC' : 'ASC'} LIMIT $4`,
        [topic, after, before, limit],
      );
      return rows.map(toLogRow);
    },

    /** The cursor of where a topic stands now. */
    async cursor(topic: string): Promise<string> {
      const { epoch, head } = (await heads([topic])).get(topic) as TopicHead;
      return encodeCursor({ topic, epoch, seq: head });
    },

    /**
     * The highest trimmed sequence of a topic's events of these types; 0 when none was. Read it after the heads:
     * then whoever has seen everything up to it lacks nothing of these types up to their `trimmedTo`.
     */
    async lastTrimmed(topic: string, types: readonly string[]): Promise<number> {
      const rows = await db.query<{ seq: bigint }>(
        'SELECT seq FROM trimmed_types WHERE topic = $1 AND type = ANY($2::text[])',
        [topic, types],
      );
      return Math.max(0, ...rows.map(({ seq }) => Number(seq)));
    },

    /** Where these topics stand; a topic without events stands at 0 of the database's epoch. */
    heads,
  };
}

interface RawRow {
  topic: string;
  epoch: string;
  seq: bigint;
  id: string;
  type: string;
  version: number;
  facts: Facts;
  occurredAt: Date;
}

const selectRows = `
  SELECT p.topic, t.epoch, p.seq, e.id, e.type, e.version, e.facts, e.occurred_at AS "occurredAt"
  FROM topic_events p JOIN topics t ON t.topic = p.topic JOIN events e ON e.id = p.event_id`;

function toLogRow(row: RawRow): LogRow {
  const { topic, epoch, seq, ...event } = row;
  return { topic, epoch, seq: Number(seq), event };
}

/** A statement whose parameters are numbered from $1. */
interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** What a transaction writes by its last statement. */
interface Pending {
  readonly events: StampedEvent[];
  readonly changes: Map<string, Statement>;
}

/** A statement as a part of one that has parameters already, to which it adds its own. */
function partOf(parameters: unknown[], { sql, parameters: own }: Statement): string {
  const before = parameters.length;
  parameters.push(...own);
  return sql.replaceAll(/\$(\d+)/g, (_, place) => `$${before + Number(place)}`);
}

type StampedEvent = NewEvent & { readonly id: string; readonly occurredAt: Date };

/** One statement: raises each head by its number of events, in sorted order, inserts the rows and does the changes. */
async function insertEvents(tx: Transaction, { events, changes }: Pending): Promise<LogRow[]> {
  const placements = new Map<string, StampedEvent[]>();
  for (const event of events)
    for (const topic of event.topics) placements.set(topic, [...(placements.get(topic) ?? []), event]);
  const sorted = [...placements].sort(([a], [b]) => (a < b ? -1 : 1));
  const parameters: unknown[] = [];
  const changed = [...changes.values()].map(
    (change, index) => `change${index} AS (${partOf(parameters, change)})`,
  );
  const raised = setOf(
    parameters,
    'r',
    { topic: 'text', count: 'bigint' },
    sorted.map(([topic, { length }]) => ({ topic, count: length })),
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
    sorted.flatMap(([topic, each]) =>
      each.map(({ id }, index) => ({ topic, event_id: id, back: each.length - 1 - index })),
    ),
  );
  const heads = await tx.query<{ topic: string; epoch: string; head: bigint }>(
    `WITH ${[
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
    ].join(', ')}
     SELECT topic, epoch, head FROM heads`,
    parameters,
  );
  return heads.flatMap(({ topic, epoch, head }) => {
    const placed = placements.get(topic) as StampedEvent[];
    return placed.map((event, index) => ({
      topic,
      epoch,
      seq: Number(head) - placed.length + 1 + index,
      event: {
        id: event.id,
        type: event.type,
        version: event.version ?? 1,
        facts: event.facts,
        occurredAt: event.occurredAt,
      },
    }));
  });
}
