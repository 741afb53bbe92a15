import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDatabaseImage } from '../../scripts/lib/database-image.ts';
import { findPostgres } from '../../scripts/lib/postgres.ts';
import { startPostgres } from '../../scripts/lib/postgres-server.ts';
import { migrations } from '../../src/migrations.ts';
import { migrate } from '../../src/platform/database/migrate.ts';
import { openPglite } from '../../src/platform/database/pglite.ts';
import { openPostgres } from '../../src/platform/database/postgres.ts';

/**
 * Makes an embedded database with all our tables, of which each test's is a copy; starts a Postgres, in which each
 * test's database is a copy of `satwire`; and builds what tests start as processes.
 */
export default async function setup(): Promise<() => Promise<void>> {
  execFileSync(process.execPath, ['--import', 'tsx', join('scripts', 'build.ts')], { stdio: 'inherit' });
  const folder = await mkdtemp(join(tmpdir(), 'satwire-image-'));
  await makeDatabaseImage(join(folder, 'image'));
  const embedded = await openPglite(join(folder, 'data'), join(folder, 'image'));
  await migrate(embedded, migrations);
  await embedded.close();
  const programs = findPostgres(process.env);
  if (programs === undefined)
    throw new Error('The tests need the programs of Postgres: set INITDB_PATH to where initdb is.');
  const postgres = await startPostgres(programs);
  await postgres.administer('CREATE DATABASE satwire');
  const db = openPostgres({ url: postgres.url('satwire'), poolSize: 2, onError: () => {} });
  await migrate(db, migrations);
  await db.close();
  process.env.SATWIRE_TEST_IMAGE = join(folder, 'data', 'postgres');
  process.env.SATWIRE_TEST_POSTGRES = postgres.url('');
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
