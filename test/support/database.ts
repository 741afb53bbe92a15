import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { migrations } from '../../src/migrations.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { migrate } from '../../src/platform/database/migrate.ts';
import { openPglite } from '../../src/platform/database/pglite.ts';
import { databaseImage } from './app.ts';

/** A real database with all its tables, for the tests of one file; it is there once they run. */
export function useDatabase(): () => Database {
  let folder = '';
  let db: Database | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'satwire-test-'));
    db = await openPglite(folder, databaseImage());
    await migrate(db, migrations);
  });
  afterAll(async () => {
    await db?.close();
    await rm(folder, { recursive: true, force: true });
  });
  return () => db as Database;
}
