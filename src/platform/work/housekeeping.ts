import type { Clock } from '../clock.ts';
import type { Database } from '../database/database.ts';
import type { WorkQueue } from './queue.ts';
import type { WorkHandler } from './runner.ts';

/** What is tidied up; each step is bounded, and answers whether there may be more to do. */
type Step = () => Promise<boolean>;

export const housekeepingWork = 'housekeeping';

const everyMs = 60_000;

/** Tidies up once a minute, on whichever node takes it. */
export function createHousekeeping(clock: Clock, steps: readonly Step[]): WorkHandler {
  return {
    concurrency: 1,
    async run(_work, signal) {
      for (const step of steps) while (!signal.aborted && (await step()));
      return new Date(clock.now() + everyMs);
    },
  };
}

/** Makes sure that the housekeeping is scheduled: once, for however many nodes. */
export async function scheduleHousekeeping(db: Database, queue: WorkQueue, clock: Clock): Promise<void> {
  await db.transaction((tx) => queue.scheduleOnce(tx, housekeepingWork, 'all', new Date(clock.now())));
}
