import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrations } from '../../../src/migrations.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import { DatabaseTooNewError, migrate } from '../../../src/platform/database/migrate.ts';
import { openPglite } from '../../../src/platform/database/pglite.ts';
import { openPostgres } from '../../../src/platform/database/postgres.ts';
import { databaseImage } from '../../support/app.ts';
import { createTestDatabase, onPostgres, type TestDatabase } from '../../support/postgres.ts';

let folder: string;
let db: Database;
let database: TestDatabase | undefined;
let schemas = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'satwire-migrate-'));
  if (onPostgres) {
    database = await createTestDatabase('template0');
    // On one connection, as the schema is chosen for each.
    db = openPostgres({ url: database.url, poolSize: 1, onError: () => {} });
  } else db = await openPglite(join(folder, 'data'), databaseImage());
});
afterAll(async () => {
  await db.close();
  await database?.drop();
  await rm(folder, { recursive: true });
});

/** A schema of its own is as good as an empty database, and made sooner. */
async function emptySchema(): Promise<void> {
  schemas += 1;
  await db.query(`CREATE SCHEMA empty_${schemas}`);
  await db.query(`SET search_path = empty_${schemas}`);
}
beforeEach(emptySchema);

async function file(name: string, sql: string): Promise<URL> {
  const path = join(folder, name);
  await writeFile(path, sql);
  return pathToFileURL(path);
}

const names = () => db.query('SELECT name FROM migrations ORDER BY name');

/** All that migrations have made, but for their own table. */
async function catalogue() {
  const read = (sql: string) => db.query(sql.replaceAll('$schema', `empty_${schemas}`));
  return {
    columns: await read(
      `SELECT table_name, column_name, data_type, is_nullable, replace(column_default, '$schema', '') AS standard,
              is_identity
       FROM information_schema.columns WHERE table_schema = '$schema' AND table_name <> 'migrations'
       ORDER BY table_name, ordinal_position`,
    ),
    indexes: await read(
      `SELECT replace(indexdef, '$schema', '') AS index FROM pg_indexes
       WHERE schemaname = '$schema' AND tablename <> 'migrations' ORDER BY 1`,
    ),
    constraints: await read(
      `SELECT conrelid::regclass::text AS "of", conname, pg_get_constraintdef(oid) AS definition
       FROM pg_constraint WHERE connamespace = '$schema'::regnamespace
         AND conrelid <> coalesce(to_regclass('migrations'), 0) ORDER BY 1, 2`,
    ),
    databases: await read('SELECT count(*) AS rows FROM database_info'),
  };
}

describe('our migrations', () => {
  it('are applied as Postgres itself reads the whole files: every statement of each', async () => {
    for (const migration of migrations)
      await db.query(`DO $whole$ BEGIN ${await readFile(migration, 'utf8')} END $whole$`);
    const whole = await catalogue();
    expect(whole.columns.length).toBeGreaterThan(60);
    expect(whole.indexes.length).toBeGreaterThan(20);
    await emptySchema();
    await migrate(db, migrations);
    expect(await catalogue()).toEqual(whole);
  });

  it('change nothing when they are applied again, and give each database an epoch of its own', async () => {
    const state = () =>
      db.query<{ epoch: string }>('SELECT * FROM migrations, database_info ORDER BY migrations.name');
    await migrate(db, migrations);
    const first = await state();
    expect(first).toHaveLength(migrations.length);
    expect(first[0]?.epoch).toMatch(/^[0-9a-f]{12}$/);
    await migrate(db, migrations);
    expect(await state()).toEqual(first);
    await emptySchema();
    await migrate(db, migrations);
    expect((await state())[0]?.epoch).not.toBe(first[0]?.epoch);
  });
});

it('tells of each transfer of the past what it left on its accounts, in a time that grows as their number does', async () => {
  const until = (name: string) => migrations.findIndex(({ pathname }) => pathname.endsWith(name));
  await migrate(db, migrations.slice(0, until('0012-wallets.sql')));
  // As many as would take hours if each were looked for among all.
  await db.query(
    `INSERT INTO transfers (key, from_account, to_account, amount_sats, reason, occurred_at)
     SELECT 'key' || n, CASE WHEN n % 3 = 0 THEN 'wallet:' || n % 7 ELSE 'lightning' END,
            CASE WHEN n % 3 = 0 THEN 'revenue' ELSE 'wallet:' || n % 7 END,
            CASE WHEN n % 3 = 0 THEN 1 ELSE 10 END, 'TEST', now()
     FROM generate_series(1, 30000) n ORDER BY n`,
  );
  await migrate(db, migrations);
  const rows = await db.query<{
    from: string;
    to: string;
    amount: bigint;
    fromBalance: bigint | null;
    toBalance: bigint | null;
  }>(
    `SELECT from_account AS "from", to_account AS "to", amount_sats AS amount,
            from_balance AS "fromBalance", to_balance AS "toBalance" FROM transfers ORDER BY id`,
  );
  const balances = new Map<string, bigint>();
  const move = (account: string, change: bigint) => {
    if (!account.startsWith('wallet:')) return null;
    balances.set(account, (balances.get(account) ?? 0n) + change);
    return balances.get(account);
  };
  const told = rows.map(({ fromBalance, toBalance }) => [fromBalance, toBalance]);
  expect(told).toEqual(rows.map(({ from, to, amount }) => [move(from, -amount), move(to, amount)]));
}, 30_000);

it('applies what has come since', async () => {
  const first = await file('0001-first.sql', 'CREATE TABLE first (id int);\n');
  await migrate(db, [first]);
  const second = await file(
    '0002-second.sql',
    '-- More.\nCREATE TABLE second (id int);\nINSERT INTO first VALUES (1);',
  );
  await migrate(db, [first, second]);
  expect(await names()).toEqual([{ name: '0001-first' }, { name: '0002-second' }]);
  expect(await db.query('SELECT * FROM first')).toEqual([{ id: 1 }]);
  expect(await db.query('SELECT * FROM second')).toEqual([]);
});

it('keeps nothing of a migration that fails, and all of those before it', async () => {
  const good = await file('0001-good.sql', 'CREATE TABLE good (id int);\n');
  const bad = await file('0002-bad.sql', 'CREATE TABLE half (id int);\nCREATE TABLE good (id int);\n');
  await expect(migrate(db, [good, bad])).rejects.toMatchObject({ code: '42P07' });
  expect(await names()).toEqual([{ name: '0001-good' }]);
  const tables = await db.query(
    `SELECT to_regclass('good') IS NOT NULL AS good, to_regclass('half') AS half`,
  );
  expect(tables).toEqual([{ good: true, half: null }]);
});

it('works with a database that a newer release has expanded', async () => {
  const newer = await file('0009-newer.sql', 'CREATE TABLE newer (id int);\n');
  const mine = await file('0001-mine.sql', 'CREATE TABLE mine (id int);\n');
  await migrate(db, [newer]);
  await migrate(db, [mine]);
  expect(await names()).toEqual([{ name: '0001-mine' }, { name: '0009-newer' }]);
});

it('refuses a database that a newer release has broken with, and leaves it as it is', async () => {
  const newer = await file('0009-newer.sql', '-- breaking: nothing uses it.\nDROP TABLE IF EXISTS old;\n');
  const mine = await file('0001-mine.sql', 'CREATE TABLE mine (id int);\n');
  await migrate(db, [newer]);
  const refused = migrate(db, [mine]);
  await expect(refused).rejects.toBeInstanceOf(DatabaseTooNewError);
  await expect(refused).rejects.toThrow(
    'A newer release has changed the database in a way that this one cannot work with: 0009-newer.',
  );
  expect(await names()).toEqual([{ name: '0009-newer' }]);
});
