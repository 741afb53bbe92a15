import { createBatch } from '../platform/batch.ts';
import type { Database } from '../platform/database/database.ts';
import type { Context } from './context.ts';

/** Reads rows by key; unknown keys are left out. */
type ReadByKeys<Row> = (db: Database, keys: readonly string[]) => Promise<readonly Row[]>;

export type Batches = ReturnType<typeof createBatches>;

/** Reads rows for all executions together: one query for all that are asked for at about the same time. */
export function createBatches(db: Database) {
  const batches = new WeakMap<object, ReturnType<typeof createBatch<unknown>>>();

  return {
    read<Row>(read: ReadByKeys<Row>, keyOf: (row: Row) => string, key: string): Promise<Row | undefined> {
      const known = batches.get(read);
      const batch =
        known ??
        createBatch<unknown>(async (keys) => new Map((await read(db, keys)).map((row) => [keyOf(row), row])));
      if (!known) batches.set(read, batch);
      return batch.load(key) as Promise<Row | undefined>;
    },
  };
}

/**
 * Loads a row by key, once per execution. `read` is also what names what is loaded, so it must be the same function
 * each time.
 */
export function load<Row>(
  { loaders, services }: Pick<Context, 'loaders' | 'services'>,
  read: ReadByKeys<Row>,
  keyOf: (row: Row) => string,
  key: string,
): Promise<Row | undefined> {
  const known = loaders.get(read) ?? new Map<string, Promise<unknown>>();
  loaders.set(read, known);
  const loaded = known.get(key) ?? services.batches.read(read, keyOf, key);
  known.set(key, loaded);
  return loaded as Promise<Row | undefined>;
}
