import { createHash } from 'node:crypto';
import { lockRequester, type Requester } from '../../platform/auth/requester.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Database, Transaction } from '../../platform/database/database.ts';
import { rateLimited } from '../../platform/errors.ts';
import type { Hub } from '../../platform/feed/hub.ts';
import { trimWork } from '../../platform/log/retention.ts';
import type { WorkQueue } from '../../platform/work/queue.ts';
import { trackTopic } from './events.ts';

export type Tracks = ReturnType<typeof createTracks>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly queue: WorkQueue;
  readonly hub: Pick<Hub, 'watched'>;
  /** How many ids and addresses may be tracked for a caller, and for an address; 0 for any number. */
  readonly maximum: number;
  readonly onError: (error: unknown) => void;
}

/** What is to be watched. */
export interface Wanted {
  readonly txids: readonly string[];
  readonly addresses: readonly string[];
}

const dayMs = 86_400_000;
/** So long behind its last watcher something is still tracked, so that they can come back to what they missed. */
const keptMs = 7 * dayMs;
/** How often what is watched here is put off from going. */
const prolongEveryMs = 3_600_000;
/** Transactions are forgotten so long after anything was heard of them: nodes let them wait no longer than that. */
const forgottenAfterMs = 14 * dayMs;
/** How much goes at a time. */
const batch = 500;

/** What is tracked, and for how long. Who watches the same shares it, and its feed. */
export function createTracks({ db, clock, queue, hub, maximum, onError }: Dependencies) {
  const inMs = (ms: number) => new Date(clock.now() + ms);

  async function requireRoom(tx: Transaction, { caller, address }: Requester, size: number): Promise<void> {
    for (const [column, value] of Object.entries({ caller, address })) {
      if (value === null || maximum === 0) continue;
      const [tracked] = await tx.query<{ size: bigint; firstEnd: Date | null }>(
        `SELECT coalesce(sum(size), 0) AS size, min(until) AS "firstEnd" FROM bitcoin_tracks WHERE ${column} = $1`,
        [value],
      );
      if (tracked && Number(tracked.size) + size > maximum)
        throw rateLimited(
          `At most ${maximum} transactions and addresses may be tracked at a time; what nobody watches any more goes after 7 days.`,
          (tracked.firstEnd?.getTime() ?? clock.now()) - clock.now(),
        );
    }
  }

  async function prolong(): Promise<void> {
    const ids = [...hub.watched('transactions')].map(({ topic }) => topic.slice(trackTopic('').length));
    if (ids.length > 0)
      await db.query('UPDATE bitcoin_tracks SET until = $2 WHERE id = ANY($1::text[])', [ids, inMs(keptMs)]);
  }

  let prolonging: Promise<void> | undefined;
  const timer = setInterval(() => {
    prolonging = prolong().catch(onError);
  }, prolongEveryMs);
  timer.unref();

  return {
    /**
     * Has transactions tracked from now on; answers the topic of what happens to them. Without a requester they count
     * against nobody.
     * @throws PublicError RATE_LIMITED when the requester has as much tracked as may be.
     */
    async track({ txids, addresses }: Wanted, requester: Requester | undefined): Promise<string> {
      const wanted = { txids: [...new Set(txids)].sort(), addresses: [...new Set(addresses)].sort() };
      const id = createHash('sha256').update(JSON.stringify(wanted)).digest('base64url');
      const size = wanted.txids.length + wanted.addresses.length;
      await db.transaction(async (tx) => {
        const until = inMs(keptMs);
        const known = await tx.query('UPDATE bitcoin_tracks SET until = $2 WHERE id = $1 RETURNING 1', [
          id,
          until,
        ]);
        if (known.length > 0) return;
        if (requester) {
          await lockRequester(tx, requester);
          await requireRoom(tx, requester, size);
        }
        await tx.query(
          `INSERT INTO bitcoin_tracks (id, txids, size, caller, address, until)
           VALUES ($1, $2::text[], $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
          [id, wanted.txids, size, requester?.caller ?? null, requester?.address ?? null, until],
        );
        // Those of transactions follow when what is known of these is told.
        await tx.query(
          `INSERT INTO bitcoin_track_keys (key, track) SELECT key, $2 FROM unnest($1::text[]) AS key
           ON CONFLICT DO NOTHING`,
          [wanted.addresses, id],
        );
      });
      return trackTopic(id);
    },

    /** Puts off what is watched on this node from going; done once an hour. */
    prolong,

    /** Forgets a part of what nobody has watched for long; answers whether there may be more. */
    async forget(): Promise<boolean> {
      const gone = await db.transaction(async (tx) => {
        const tracks = await tx.query<{ id: string }>(
          `DELETE FROM bitcoin_tracks WHERE id IN (
             SELECT id FROM bitcoin_tracks WHERE until < $1 ORDER BY until LIMIT $2
           ) RETURNING id`,
          [inMs(0), batch],
        );
        // Too few rows for the log to have scheduled that by itself.
        for (const { id } of tracks) await queue.schedule(tx, trimWork, trackTopic(id), inMs(0));
        return tracks;
      });
      const txs = await db.query(
        `DELETE FROM bitcoin_tracked_txs WHERE txid IN (
           SELECT txid FROM bitcoin_tracked_txs WHERE changed_at < $1 ORDER BY changed_at LIMIT $2
         ) RETURNING 1`,
        [inMs(-forgottenAfterMs), batch],
      );
      return gone.length === batch || txs.length === batch;
    },

    async close(): Promise<void> {
      clearInterval(timer);
      await prolonging;
    },
  };
}
