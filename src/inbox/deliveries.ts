import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { Hook } from './chainhook.ts';

/** Whose deliveries are processed one after another. */
export type Source = Hook | 'indexer';

/** The work of processing what a source has delivered; the source is its key. */
export const inboxWork = 'inbox.process';

export interface Delivery {
  readonly id: bigint;
  readonly body: Buffer;
}

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly queue: WorkQueue;
}

/** So often a delivery is tried whose failure may be passing, before it is set aside. */
const mostAttempts = 5;
/** How long the ids of the indexer are remembered; ms. */
const keptMs = 30 * 24 * 3_600_000;

/**
 * What was delivered, as it came: stored before it is answered, and processed after. Bodies go in and out as
 * base64: as bytes, the embedded database takes ten times as long for a large one.
 */
export function createDeliveries({ db, clock, queue }: Dependencies) {
  return {
    /**
     * Stores a delivery, and makes its processing due.
     * @param externalId what its sender calls it.
     * @returns false when one with this id is there already.
     */
    accept(source: Source, body: Buffer, externalId: string | null): Promise<boolean> {
      return db.transaction(async (tx) => {
        // First: it lets one transaction at a time in for each source, so that ids are in the order of arrival.
        await queue.schedule(tx, inboxWork, source, new Date(clock.now()));
        const stored = await tx.query(
          `INSERT INTO inbox_deliveries (source, external_id, body, received_at) VALUES ($1, $2, decode($3::text, 'base64'), $4)
           ON CONFLICT (source, external_id) DO NOTHING RETURNING 1`,
          [source, externalId, body.toString('base64'), new Date(clock.now())],
        );
        return stored.length > 0;
      });
    },

    /** Whether nobody else processes deliveries of this source until the transaction ends. */
    async hold(tx: Transaction, source: Source): Promise<boolean> {
      const [lock] = await tx.query<{ held: boolean }>(
        'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS held',
        [`${inboxWork}:${source}`],
      );
      return lock?.held === true;
    },

    /** The first delivery of a source that is neither processed nor set aside. */
    async next(tx: Transaction, source: Source): Promise<Delivery | undefined> {
      const [delivery] = await tx.query<{ id: bigint; body: string }>(
        `SELECT id, encode(body, 'base64') AS body FROM inbox_deliveries
         WHERE source = $1 AND processed_at IS NULL AND failed_at IS NULL ORDER BY id LIMIT 1`,
        [source],
      );
      return delivery && { id: delivery.id, body: Buffer.from(delivery.body, 'base64') };
    },

    /** It is processed: what has an id is remembered by it, and the rest goes. */
    async finish(tx: Transaction, { id }: Delivery): Promise<void> {
      const now = new Date(clock.now());
      await tx.query('DELETE FROM inbox_deliveries WHERE id = $1 AND external_id IS NULL', [id]);
      await tx.query('UPDATE inbox_deliveries SET processed_at = $2 WHERE id = $1', [id, now]);
    },

    /**
     * Notes a failure; a definite one, or one time too many, sets the delivery aside.
     * @returns whether it is aside.
     */
    async fail({ id }: Delivery, failure: string, isDefinite: boolean): Promise<boolean> {
      const [failed] = await db.query<{ isAside: boolean }>(
        `UPDATE inbox_deliveries SET attempts = attempts + 1, failure = $2,
                failed_at = CASE WHEN $3 OR attempts + 1 >= $4 THEN $5::timestamptz END
         WHERE id = $1 AND processed_at IS NULL AND failed_at IS NULL
         RETURNING failed_at IS NOT NULL AS "isAside"`,
        [id, failure, isDefinite, mostAttempts, new Date(clock.now())],
      );
      return failed?.isAside === true;
    },

    /** Forgets the oldest processed ones, a bounded number at once; answers whether there may be more. */
    async forgetProcessed(): Promise<boolean> {
      const gone = await db.query(
        `DELETE FROM inbox_deliveries WHERE id IN (
           SELECT id FROM inbox_deliveries WHERE processed_at <= $1 LIMIT 500
         ) RETURNING 1`,
        [new Date(clock.now() - keptMs)],
      );
      return gone.length === 500;
    },
  };
}
