import DataLoader from 'dataloader';

/** Reads many at once: what is unknown is left out. */
export type ReadMany<Value> = (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;

/** How many keys are read at once. */
const most = 500;

/** How many reads may be under way: what is asked for meanwhile goes with the next one. */
const mostUnderWay = 4;

/**
 * Reads one by one what is read in one go: all keys that are asked for while a turn of the event loop lasts, or as long
 * as enough reads are under way. Nothing is remembered: each answer was read after it was asked for.
 */
export function createBatch<Value>(readMany: ReadMany<Value>) {
  const waiting: Array<() => void> = [];
  let underWay = 0;

  /** Has a batch read when its turn comes; until then it takes in what is asked for. */
  function schedule(dispatch: () => void): void {
    if (underWay < mostUnderWay) setImmediate(dispatch);
    else waiting.push(dispatch);
  }

  return new DataLoader<string, Value | undefined>(
    async (keys) => {
      underWay += 1;
      try {
        const values = await readMany([...new Set(keys)]);
        return keys.map((key) => values.get(key));
      } finally {
        underWay -= 1;
        waiting.shift()?.();
      }
    },
    { cache: false, maxBatchSize: most, batchScheduleFn: schedule },
  );
}
