import type { Database, Queryable, Transaction } from '../database/database.ts';

/** What stays of a topic: rows that are younger than an age (ms), and the newest ones up to a number. */
export interface Keep {
  readonly ms: number;
  readonly rows: number;
}

/** A part of the beginning of a topic that is to go. */
interface TrimOptions {
  readonly keep: Keep;
  /** The present; ms since 1970. */
  readonly now: number;
  /** At most this many rows go. */
  readonly limit: number;
}

/** How much of a topic is kept; `oldest` is when the first kept event happened. */
interface Kept {
  readonly rows: number;
  readonly oldest: Date | undefined;
}

interface Place {
  readonly seq: bigint;
  readonly eventId: string;
  readonly type: string;
  readonly occurredAt: Date;
}

/** The lock of whoever trims: "log.trim" in ASCII, read as a number. */
const trimLock = '7813577327730911597';

/**
 * Takes the oldest rows from a topic, and the events that no topic has any more, in one transaction: a reader
 * sees all of them or none. One batch at a time in the whole database, so that of two topics that let go of the
 * same event one is the last.
 * @returns how many rows have gone; fewer than `limit` when no more may go.
 */
export function trimBatch(db: Database, topic: string, { keep, now, limit }: TrimOptions): Promise<number> {
  return db.transaction(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1::bigint)', [trimLock]);
    const oldest = await oldestExcess(tx, topic, keep.rows, limit);
    const firstYoung = oldest.findIndex(({ occurredAt }) => occurredAt.getTime() > now - keep.ms);
    const going = firstYoung === -1 ? oldest : oldest.slice(0, firstYoung);
    if (going.length > 0) await remove(tx, topic, going);
    return going.length;
  });
}

/** How much of a topic is kept. */
export async function keptOf(db: Queryable, topic: string): Promise<Kept> {
  const [kept] = await db.query<{ rows: bigint; oldest: Date | null }>(
    `SELECT t.head - t.trimmed_to AS rows, e.occurred_at AS oldest
     FROM topics t
     LEFT JOIN topic_events p ON p.topic = t.topic AND p.seq = t.trimmed_to + 1
     LEFT JOIN events e ON e.id = p.event_id
     WHERE t.topic = $1`,
    [topic],
  );
  return { rows: Number(kept?.rows ?? 0), oldest: kept?.oldest ?? undefined };
}

/** The rows at the beginning of a topic that are more than those to be kept, in order. */
async function oldestExcess(tx: Transaction, topic: string, keptRows: number, limit: number) {
  const [position] = await tx.query<{ trimmedTo: bigint; excessTo: bigint }>(
    'SELECT trimmed_to AS "trimmedTo", head - $2::bigint AS "excessTo" FROM topics WHERE topic = $1',
    [topic, keptRows],
  );
  if (!position) return [];
  return tx.query<Place>(
    `SELECT p.seq, e.id AS "eventId", e.type, e.occurred_at AS "occurredAt"
     FROM topic_events p JOIN events e ON e.id = p.event_id
     WHERE p.topic = $1 AND p.seq > $2 AND p.seq <= $3 ORDER BY p.seq LIMIT $4`,
    [topic, position.trimmedTo, position.excessTo, limit],
  );
}

/** Takes rows that follow one another from the beginning of a topic. */
async function remove(tx: Transaction, topic: string, going: readonly Place[]): Promise<void> {
  const { seq: from } = going[0] as Place;
  const { seq: to } = going[going.length - 1] as Place;
  await tx.query('DELETE FROM topic_events WHERE topic = $1 AND seq BETWEEN $2 AND $3', [topic, from, to]);
  await tx.query(
    `DELETE FROM events e WHERE e.id = ANY($1::text[])
       AND NOT EXISTS (SELECT 1 FROM topic_events p WHERE p.event_id = e.id)`,
    [going.map(({ eventId }) => eventId)],
  );
  const byType = new Map(going.map(({ type, seq }) => [type, seq]));
  await tx.query(
    `INSERT INTO trimmed_types (topic, type, seq)
     SELECT $1, gone.type, gone.seq FROM unnest($2::text[], $3::bigint[]) AS gone(type, seq)
     ON CONFLICT (topic, type) DO UPDATE SET seq = excluded.seq`,
    [topic, [...byType.keys()], [...byType.values()]],
  );
  // Last, as wherever a topic is locked: who appends to it waits no longer than for the commit.
  await tx.query('UPDATE topics SET trimmed_to = $2 WHERE topic = $1', [topic, to]);
}
