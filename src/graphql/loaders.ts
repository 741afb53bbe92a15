import DataLoader from 'dataloader';
import type { Database } from '../platform/database/database.ts';
import type { Context } from './context.ts';

/** Reads rows by key; unknown keys are left out. */
type ReadByKeys<Row> = (db: Database, keys: readonly string[]) => Promise<readonly Row[]>;

/**
 * Loads rows by key: one query for all that are asked for in a tick, and each once per execution. `read` is
 * also what names the loader, so it must be the same function each time.
 */
export function load<Row>(
  context: Context,
  read: ReadByKeys<Row>,
  keyOf: (row: Row) => string,
  key: string,
): Promise<Row | undefined> {
  const known = context.loaders.get(read) as DataLoader<string, Row | undefined> | undefined;
  const loader = known ?? createLoader(context.services.db, read, keyOf);
  context.loaders.set(read, loader);
  return loader.load(key);
}

function createLoader<Row>(db: Database, read: ReadByKeys<Row>, keyOf: (row: Row) => string) {
  return new DataLoader<string, Row | undefined>(async (keys) => {
    const rows = new Map((await read(db, keys)).map((row) => [keyOf(row), row]));
    return keys.map((key) => rows.get(key));
  });
}
