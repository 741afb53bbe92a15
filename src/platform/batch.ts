import DataLoader from 'dataloader';

/** Reads many at once: what is unknown is left out. */
export type ReadMany<Value> = (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;

/** How many keys are read at once. */
const most = 500;

/**
 * Reads one by one what is read in one go: all keys that are asked for while a turn of the event loop lasts. Nothing
 * is remembered: each answer was read after it was asked for.
 */
export function createBatch<Value>(readMany: ReadMany<Value>) {
  return new DataLoader<string, Value | undefined>(
    async (keys) => {
      const values = await readMany([...new Set(keys)]);
      return keys.map((key) => values.get(key));
    },
    { cache: false, maxBatchSize: most, batchScheduleFn: setImmediate },
  );
}
