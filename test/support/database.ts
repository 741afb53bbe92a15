import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { migrations } from '../../src/migrations.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { migrate } from '../../src/platform/database/migrate.ts';
import { openPglite } from '../../src/platform/database/pglite.ts';
import { openPostgres } from '../../src/platform/database/postgres.ts';
import { databaseImage } from './app.ts';
import { createTestDatabase, onPostgres } from './postgres.ts';

/** A real database with all its tables, for the tests of one file; it is there once they run. */
export function useDatabase(): () => Database {
  let opened: { readonly db: Database; close(): Promise<void> } | undefined;
  beforeAll(async () => {
    opened = await (onPostgres ? openOnPostgres() : openEmbedded());
  });
  afterAll(() => opened?.close());
  return () => opened?.db as Database;
}

async function openEmbedded() {
  const folder = await mkdtemp(join(tmpdir(), 'satwire-test-'));
  const db = await openPglite(folder, databaseImage());
  await migrate(db, migrations);
  return {
    db,
    async close() {
      await db.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openOnPostgres() {
  const { url, drop } = await createTestDatabase();
  const db = openPostgres({ url, poolSize: 16, onError: () => {} });
  return {
    db,
    async close() {
      await db.close();
      await drop();
    },
  };
}
