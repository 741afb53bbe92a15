import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDatabaseImage } from '../../scripts/lib/database-image.ts';
import { findPostgres } from '../../scripts/lib/postgres.ts';
import { startPostgres } from '../../scripts/lib/postgres-server.ts';
import { migrations } from '../../src/migrations.ts';
import { migrate } from '../../src/platform/database/migrate.ts';
import { openPostgres } from '../../src/platform/database/postgres.ts';

/**
 * Runs initdb once, as every test's embedded database begins as a copy; starts a Postgres, in which every test's
 * database is a copy of `satwire`; and builds what tests start as processes.
 */
export default async function setup(): Promise<() => Promise<void>> {
  execFileSync(process.execPath, ['--import', 'tsx', join('scripts', 'build.ts')], { stdio: 'inherit' });
  const image = await mkdtemp(join(tmpdir(), 'satwire-image-'));
  await makeDatabaseImage(image);
  const programs = findPostgres(process.env);
  if (programs === undefined)
    throw new Error('The tests need the programs of Postgres: set INITDB_PATH to where initdb is.');
  const postgres = await startPostgres(programs);
  await postgres.administer('CREATE DATABASE satwire');
  const db = openPostgres({ url: postgres.url('satwire'), poolSize: 2, onError: () => {} });
  await migrate(db, migrations);
  await db.close();
  process.env.SATWIRE_TEST_IMAGE = image;
  process.env.SATWIRE_TEST_POSTGRES = postgres.url('');
  return async () => {
    await postgres.stop();
    await rm(image, { recursive: true, force: true });
  };
}
