import type { Clock } from '../clock.ts';
import type { Database, Scalar, Transaction } from '../database/database.ts';
import { newId } from '../ids.ts';
import { createWorkQueue } from '../work/queue.ts';
import { encodeCursor } from './cursor.ts';
import type { Facts, LogRow, TopicHead } from './event.ts';
import { insertionOf, type NewEvent, type Pending } from './insertion.ts';
import { trimEvery, trimWork } from './retention.ts';

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
    const known = pending.get(tx);
    if (known) return known;
    const begun: Pending = { events: [], changes: new Map() };
    pending.set(tx, begun);
    tx.lastly(() => {
      const { sql, parameters, rowsOf } = insertionOf(begun);
      return { sql, parameters, committed: (answer) => told(rowsOf(answer)) };
    });
    return begun;
  }

  async function told(rows: readonly LogRow[]): Promise<void> {
    onCommitted(rows);
    const grown = rows.filter(({ seq }) => seq % trimEvery === 0).map(({ topic }) => topic);
    if (grown.length > 0) await trimSoon([...new Set(grown)]).catch(() => {});
  }

  /** What cannot be scheduled now is so with the next thousand rows. */
  function trimSoon(topics: readonly string[]): Promise<void> {
    const now = new Date(clock.now());
    return db.transaction(async (tx) => {
      for (const topic of topics) await queue.schedule(tx, trimWork, topic, now);
    });
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
    change(tx: Transaction, row: string, sql: string, parameters: readonly Scalar[]): void {
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
