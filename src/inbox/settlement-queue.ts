import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { connectRedis } from '../platform/bus/redis-client.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import { isUnavailable, PublicError } from '../platform/errors.ts';
import type { Logger } from '../platform/telemetry/logger.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import type { Settled } from './inbox.ts';
import { beginning, isNewer } from './stream-ids.ts';

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  /** The Redis of the queue. */
  readonly url: URL;
  /** The name of the BullMQ queue. */
  readonly name: string;
  /** Settles in the transaction that moves the position. */
  readonly settle: (tx: Transaction, settled: Settled) => Promise<void>;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  /** Hears of each event that was passed over: one that cannot be read, or that the domain has refused. */
  readonly onFailed: () => void;
  /** Hears that the queue no longer kept what was still to be read. */
  readonly onGap: () => void;
}

/** The one node that holds this work follows the queue, whose name is the key. */
export const queueWork = 'inbox.queue';

/** So many events are read at once. */
const pageSize = 100;
/** How long Redis holds a read when there is nothing new, and how long an answer may take at all; ms. */
const blockMs = 1_000;
const answerWithinMs = 5_000;
/** While Redis is away; ms. */
const awayPauseMs = 250;

const returned = z.object({
  streamId: z.string().min(1).max(255),
  transaction: z.string().max(255).nullish(),
});

type Within = <Reply>(reply: Promise<Reply>) => Promise<Reply>;

/** An event of the stream: its id, and its fields as names and values in turn. */
type StreamEntry = [id: string, fields: string[]];

/**
 * Follows the events of a BullMQ queue, which are a stream in Redis: each completed job settles a stream, in the
 * transaction that remembers how far the queue was read. So each counts once, however often it is read.
 */
export function createSettlementQueue(deps: Dependencies): WorkHandler {
  const { db, clock, url, name, settle, logger, onFailed, onGap } = deps;
  const stream = `bull:${name}:events`;

  async function position(): Promise<string> {
    const [row] = await db.query<{ eventId: string }>(
      'SELECT event_id AS "eventId" FROM queue_positions WHERE queue = $1',
      [name],
    );
    return row?.eventId ?? beginning;
  }

  /** Moves the position to an event, if it is not there yet, with what the event comes to. */
  function advance(id: string, effect?: (tx: Transaction) => Promise<void>): Promise<void> {
    return db.transaction(async (tx) => {
      await tx.query('INSERT INTO queue_positions (queue, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        name,
        beginning,
      ]);
      const [row] = await tx.query<{ eventId: string }>(
        'SELECT event_id AS "eventId" FROM queue_positions WHERE queue = $1 FOR UPDATE',
        [name],
      );
      if (!row || !isNewer(id, row.eventId)) return;
      await effect?.(tx);
      await tx.query('UPDATE queue_positions SET event_id = $2 WHERE queue = $1', [name, id]);
    });
  }

  async function passOver(id: string, error: unknown): Promise<void> {
    await advance(id);
    onFailed();
    logger.error({ err: error, queue: name, event: id }, 'an event of the settlement queue was passed over');
  }

  async function take([id, fields]: StreamEntry): Promise<void> {
    if (fieldOf(fields, 'event') !== 'completed') return;
    const value = returned.safeParse(readJson(fieldOf(fields, 'returnvalue')));
    if (!value.success) return passOver(id, value.error);
    const { streamId, transaction = null } = value.data;
    const settled = { streamId, transaction, key: `bullmq:${name}:${id}`, by: 'QUEUE' } as const;
    try {
      await advance(id, (tx) => settle(tx, settled));
    } catch (error) {
      if (!(error instanceof PublicError) || isUnavailable(error)) throw error;
      await passOver(id, error);
    }
  }

  /** The queue no longer keeps the event that was taken last, and perhaps none of those that followed it. */
  async function noticeGap(redis: Redis, after: string): Promise<void> {
    const [oldest] = await redis.xrange(stream, '-', '+', 'COUNT', 1);
    if (!oldest || !isNewer(oldest[0], after)) return;
    onGap();
    logger.warn({ queue: name, after, oldest: oldest[0] }, 'the settlement queue may have dropped events');
  }

  /** Reads a page behind an event, and takes it; answers where it ends. */
  async function round(redis: Redis, within: Within, after: string, signal: AbortSignal): Promise<string> {
    const read = await within(redis.xread('COUNT', pageSize, 'BLOCK', blockMs, 'STREAMS', stream, after));
    const entries = (read?.[0]?.[1] ?? []) as StreamEntry[];
    if (entries.length > 0 && after !== beginning) await within(noticeGap(redis, after));
    for (const entry of entries) {
      if (signal.aborted) return after;
      await take(entry);
    }
    const last = entries.at(-1)?.[0];
    // For what is no completed job as well: what is behind it must not look lost when it is trimmed.
    if (last) await advance(last);
    return last ?? after;
  }

  return {
    concurrency: 1,
    async run({ key }, signal) {
      // Of a queue that is no longer the one that is configured.
      if (key !== name) return undefined;
      let isAway = false;
      function report(reason: string): void {
        if (!isAway) logger.warn({ queue: name, reason }, 'the settlement queue cannot be read');
        isAway = true;
      }
      /** A reply that stays away for too long: the connection is given up for a new one. */
      async function within<Reply>(reply: Promise<Reply>): Promise<Reply> {
        const late = setTimeout(() => {
          report('it does not answer');
          redis.disconnect(true);
        }, blockMs + answerWithinMs);
        return reply.finally(() => clearTimeout(late));
      }
      const client = connectRedis(url, { onReady: () => {}, onLost: () => {}, onProblem: report });
      const { redis } = client;
      const leave = () => redis.disconnect();
      signal.addEventListener('abort', leave, { once: true });
      try {
        let after = await position();
        while (!signal.aborted) {
          if (!client.ready) {
            await pause(awayPauseMs, undefined, { signal }).catch(() => {});
            continue;
          }
          try {
            after = await round(redis, within, after, signal);
            isAway = false;
          } catch (error) {
            // What was read and not taken is read again, from where the database says.
            if (client.ready) throw error;
            after = await position();
          }
        }
      } finally {
        signal.removeEventListener('abort', leave);
        await client.close();
      }
      return new Date(clock.now());
    },
  };
}

/** Makes sure that somebody follows the queue: once, for however many nodes. */
export async function scheduleSettlementQueue(
  db: Database,
  queue: WorkQueue,
  clock: Clock,
  name: string,
): Promise<void> {
  await db.transaction((tx) => queue.scheduleOnce(tx, queueWork, name, new Date(clock.now())));
}

const fieldOf = (fields: readonly string[], name: string): string | undefined => {
  for (let at = 0; at + 1 < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
  return undefined;
};

function readJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
