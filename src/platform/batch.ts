import DataLoader from 'dataloader';

/** Reads many at once: what is unknown is left out. */
export type ReadMany<Value> = (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;

/** How many keys are read at once. */
const most = 500;

/** How many reads may be under way: what is asked for meanwhile goes with the next one. */
const mostUnderWay = 4;

/** While several keys come at a time, a read begins no sooner after the one before, so that more go with it; ms. */
const paceMs = 8;

/**
 * Reads one by one what is read in one go: all keys that are asked for while a turn of the event loop lasts, or until
 * the next read may begin. A key that comes by itself waits for none. Nothing is remembered: each answer was read
 * after it was asked for.
 */
export function createBatch<Value>(readMany: ReadMany<Value>) {
  const waiting: Array<() => void> = [];
  let underWay = 0;
  /** Before this moment no read begins; ms, by a clock that never goes back. */
  let notBefore = 0;

  /** Has a batch read when its turn comes; until then it takes in what is asked for. */
  function schedule(dispatch: () => void): void {
    const waitMs = notBefore - performance.now();
    if (underWay >= mostUnderWay) waiting.push(dispatch);
    else if (waitMs > 0) setTimeout(dispatch, waitMs);
    else setImmediate(dispatch);
  }

  return new DataLoader<string, Value | undefined>(
    async (keys) => {
      underWay += 1;
      notBefore = keys.length > 1 ? performance.now() + paceMs : 0;
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
