import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import type { Streams } from './commands.ts';

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly queue: WorkQueue;
  readonly streams: Streams;
}

/** What new blocks do to the streams that vest by them. */
export const streamBlocksWork = 'stream.blocks';

/** What hears of the heights of chains. */
export type StreamHeights = Pick<ReturnType<typeof createStreamWorkers>, 'reached'>;

/** How many streams are looked up at once. */
const step = 100;

/** Moves streams on their clocks: each at its time, or when a block has come. */
export function createStreamWorkers({ db, clock, queue, streams }: Dependencies) {
  async function dueByBlock(): Promise<string[]> {
    const rows = await db.query<{ id: string }>(
      `SELECT id FROM streams WHERE due_block <= (SELECT highest FROM chain_heights WHERE chain = 'BITCOIN')
       ORDER BY due_block LIMIT $1`,
      [step],
    );
    return rows.map(({ id }) => id);
  }

  return {
    timer: {
      concurrency: 8,
      async run({ key: streamId }) {
        const due = await streams.move(streamId);
        return due === null ? undefined : new Date(Math.max(due, clock.now() + 1));
      },
    } satisfies WorkHandler,

    blocks: {
      concurrency: 1,
      async run(_work, signal) {
        for (let ids = await dueByBlock(); ids.length > 0; ids = await dueByBlock())
          for (const id of ids) {
            if (signal.aborted) return new Date(clock.now());
            await streams.move(id);
          }
        return undefined;
      },
    } satisfies WorkHandler,

    /**
     * Notes that a chain has reached a height, and has the streams that vest by it moved on. Lower ones than before
     * change nothing: a reorganisation takes nothing back.
     */
    async reached(tx: Transaction, chain: 'BITCOIN' | 'STACKS', height: number): Promise<void> {
      const raised = await tx.query(
        `INSERT INTO chain_heights AS h (chain, highest) VALUES ($1, $2)
         ON CONFLICT (chain) DO UPDATE SET highest = excluded.highest WHERE h.highest < excluded.highest RETURNING 1`,
        [chain, height],
      );
      if (raised.length > 0 && chain === 'BITCOIN')
        await queue.schedule(tx, streamBlocksWork, chain, new Date(clock.now()));
    },
  };
}
