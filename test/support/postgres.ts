import { randomBytes } from 'node:crypto';
import { runStatement } from '../../scripts/lib/postgres-server.ts';

/** What the global setup has started; see there. */
function server(): string {
  return process.env.SATWIRE_TEST_POSTGRES as string;
}

/** A connection string of one of the databases of the tests' Postgres. */
const urlOf = (database: string) => new URL(`/${database}`, server()).href;

/** Runs one statement on the tests' Postgres, outside of any test's database. */
const administer = (sql: string) => runStatement(urlOf('postgres'), sql);

/** A database of a test's own. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** Makes a database with all our tables, a copy of one that the global setup has made. */
export async function createTestDatabase(template = 'satwire'): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await administer(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  return { url: urlOf(name), drop: () => administer(`DROP DATABASE ${name} WITH (FORCE)`) };
}

/** Whether this run is the one on Postgres; the other one is on the embedded database. */
export const onPostgres = process.env.SATWIRE_TEST_DATABASE === 'postgres';
