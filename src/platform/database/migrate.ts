import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from './database.ts';

/** A database that a newer release has changed in a way that this one does not know. */
export class DatabaseTooNewError extends Error {
  override readonly name = 'DatabaseTooNewError';
}

/**
 * Brings the database to the newest of the given SQL files, each in a transaction of its own, in order.
 * Forward only. A file's name is its identity: once released it does not change.
 * @throws DatabaseTooNewError when the database has a migration that is not among the files.
 */
export async function migrate(db: Database, files: readonly URL[]): Promise<void> {
  await db.query(
    'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const applied = new Set(
    (await db.query<{ name: string }>('SELECT name FROM migrations')).map((m) => m.name),
  );
  const known = files.map((file) => ({ name: basename(fileURLToPath(file), '.sql'), file }));
  const unknown = [...applied].filter((name) => !known.some((m) => m.name === name));
  if (unknown.length > 0)
    throw new DatabaseTooNewError(`The database was changed by a newer release: ${unknown.join(', ')}.`);
  for (const { name, file } of known.filter((m) => !applied.has(m.name))) {
    const statements = splitStatements(await readFile(file, 'utf8'));
    await db.transaction(async (tx) => {
      // First, so that of two nodes that start together the second waits here, and then stops at the key.
      await tx.query('INSERT INTO migrations (name) VALUES ($1)', [name]);
      for (const statement of statements) await tx.query(statement);
    });
  }
}

/** Our migrations end each statement with a semicolon at the end of a line, and have none elsewhere there. */
function splitStatements(sql: string): string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
