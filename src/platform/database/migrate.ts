import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database, Transaction } from './database.ts';

/** A newer release has changed the database in a way that this one cannot work with. */
export class DatabaseTooNewError extends Error {
  override readonly name = 'DatabaseTooNewError';
}

interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
  /** It takes away what earlier releases use: these refuse a database that has it. */
  readonly isBreaking: boolean;
}

interface Applied {
  readonly name: string;
  readonly isBreaking: boolean;
}

/** How the first line of a file says that the migration takes something away. */
const breakingMark = '-- breaking';

/** The lock of whoever migrates: "satwire" in ASCII, read as a number. */
const migrationLock = '32477282894738021';

/**
 * Brings the database to the newest of the given SQL files, each in a transaction of its own, in order, once
 * however many nodes start together. Forward only. A file's name is its identity: once released it does not
 * change. Migrations expand; one that takes something away comes a release after the last use, and says so in
 * its first line.
 * @throws DatabaseTooNewError when the database has a breaking migration that is not among the files.
 */
export async function migrate(db: Database, files: readonly URL[]): Promise<void> {
  const migrations = await Promise.all(files.map(readMigration));
  const prepared = await db.query(
    `SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('migrations') AND attname = 'is_breaking'`,
  );
  if (prepared.length === 0) await oneAtATime(db, prepare);
  const applied = await db.query<Applied>('SELECT name, is_breaking AS "isBreaking" FROM migrations');
  const tooNew = applied.filter((each) => each.isBreaking && !migrations.some((m) => m.name === each.name));
  if (tooNew.length > 0)
    throw new DatabaseTooNewError(
      `A newer release has changed the database in a way that this one cannot work with: ${tooNew.map((m) => m.name).join(', ')}.`,
    );
  for (const migration of migrations)
    if (!applied.some(({ name }) => name === migration.name))
      await oneAtATime(db, (tx) => apply(tx, migration));
}

async function readMigration(file: URL): Promise<Migration> {
  const sql = await readFile(file, 'utf8');
  return {
    name: basename(fileURLToPath(file), '.sql'),
    statements: splitStatements(sql),
    isBreaking: sql.startsWith(breakingMark),
  };
}

/** Our migrations end each statement with a semicolon at the end of a line, and have none elsewhere there. */
function splitStatements(sql: string): string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

/** Waits until no other node migrates. */
function oneAtATime(db: Database, work: (tx: Transaction) => Promise<void>): Promise<void> {
  return db.transaction(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1::bigint)', [migrationLock]);
    // A change of a table that waits for a lock makes everyone else wait behind it.
    await tx.query(`SET LOCAL lock_timeout = '10s'`);
    await work(tx);
  });
}

async function prepare(tx: Transaction): Promise<void> {
  await tx.query(
    'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  // The table is older than the mark.
  await tx.query(
    'ALTER TABLE migrations ADD COLUMN IF NOT EXISTS is_breaking boolean NOT NULL DEFAULT false',
  );
}

async function apply(tx: Transaction, { name, statements, isBreaking }: Migration): Promise<void> {
  const mine = await tx.query(
    'INSERT INTO migrations (name, is_breaking) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1',
    [name, isBreaking],
  );
  // Another node has applied it while this one waited.
  if (mine.length === 0) return;
  for (const statement of statements) await tx.query(statement);
}
