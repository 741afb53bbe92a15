import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../scripts/lib/server.ts';
import { migrations } from '../../../src/migrations.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import { migrate } from '../../../src/platform/database/migrate.ts';
import { openPostgres } from '../../../src/platform/database/postgres.ts';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

let database: TestDatabase;
let errors: unknown[];
const open = new Set<Database>();

beforeEach(async () => {
  errors = [];
  database = await createTestDatabase('template0');
});
afterEach(async () => {
  for (const db of open) await db.close();
  open.clear();
  await database.drop();
});

function connect({ url = database.url, poolSize = 2 } = {}): Database {
  const db = openPostgres({ url, poolSize, onError: (error) => errors.push(error) });
  open.add(db);
  return db;
}

const processId = async (db: Pick<Database, 'query'>) =>
  (await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]?.pid;

/** Ends the connections of a database from outside, as a failover does. */
const endConnections = (from: Database, pid: number | undefined) =>
  from.query('SELECT pg_terminate_backend($1::int)', [pid]);

const unavailable = {
  name: 'PublicError',
  code: 'UNAVAILABLE',
  message: 'The database does not answer.',
  details: { retryAfterMs: 1_000 },
};

it('is not of one process alone', () => {
  expect(connect().exclusive).toBe(false);
});

it('gives up on what takes too long', async () => {
  const [settings] = await connect().query(
    `SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
            current_setting('idle_in_transaction_session_timeout') AS idle`,
  );
  expect(settings).toEqual({ statement: '30s', lock: '10s', idle: '30s' });
  const patient = openPostgres({ url: database.url, poolSize: 1, isPatient: true, onError: () => {} });
  open.add(patient);
  expect(await patient.query(`SELECT current_setting('statement_timeout') AS statement`)).toEqual([
    { statement: '0' },
  ]);
});

it('has as many connections as it may, however many ask', async () => {
  const db = connect();
  const pids = await Promise.all(
    Array.from({ length: 20 }, () =>
      db.transaction(async (tx) => {
        await tx.query('SELECT pg_sleep(0.01)');
        return processId(tx);
      }),
    ),
  );
  expect(new Set(pids).size).toBe(2);
  expect(db.connections()).toEqual({ open: 2, idle: 2, waiting: 0 });
});

it('refuses who comes when too many wait already', async () => {
  const db = connect({ poolSize: 1 });
  let letGo: (() => void) | undefined;
  const holding = db.transaction(() => new Promise<void>((resolve) => (letGo = resolve)));
  const release = await until('the connection to be taken', () => letGo);
  const waiting = Array.from({ length: 1_000 }, () => db.query('SELECT 1'));
  await expect(db.query('SELECT 1')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'The database is overloaded.',
  });
  expect(db.connections().waiting).toBe(1_000);
  release();
  await holding;
  expect(await Promise.all(waiting)).toHaveLength(1_000);
});

describe('a server that does not answer', () => {
  it('is UNAVAILABLE, and the password stays with us', async () => {
    const url = `postgres://satwire:verysecret@127.0.0.1:${await freePort()}/satwire`;
    const db = connect({ url });
    await expect(db.transaction(async () => 'never')).rejects.toMatchObject(unavailable);
    await Promise.all(
      Array.from({ length: 50 }, () => expect(db.query('SELECT 1')).rejects.toMatchObject(unavailable)),
    );
    // However many statements fail, it is said once in a while.
    expect(errors.length).toBeLessThan(10);
    expect(errors[0]).toMatchObject({ code: 'ECONNREFUSED' });
    expect(errors.map((error) => (error as Error).stack).join()).not.toContain('verysecret');
  });

  it('is UNAVAILABLE in the middle of a transaction too, of which nothing is kept', async () => {
    const [db, other] = [connect(), connect()];
    await db.query('CREATE TABLE kept (value int)');
    const cut = db.transaction(async (tx) => {
      tx.afterCommit(() => expect.unreachable());
      await tx.query('INSERT INTO kept VALUES (1)');
      await endConnections(other, await processId(tx));
      await tx.query('INSERT INTO kept VALUES (2)');
    });
    await expect(cut).rejects.toMatchObject(unavailable);
    expect(await db.query('SELECT * FROM kept')).toEqual([]);
    expect(await db.transaction(async () => 'done')).toBe('done');
  });

  it('costs nothing when it was an idle connection that broke', async () => {
    const [db, other] = [connect(), connect()];
    await endConnections(other, await processId(db));
    await until('the loss', () => errors.length > 0);
    expect(await db.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

it('runs again what is deadlocked', async () => {
  const db = connect();
  await db.query('CREATE TABLE pair (id int PRIMARY KEY, value int)');
  await db.query('INSERT INTO pair VALUES (1, 0), (2, 0)');
  let attempts = 0;
  const bothBegun = new Set<number>();
  const add = (first: number, second: number) =>
    db.transaction(async (tx) => {
      attempts += 1;
      await tx.query('UPDATE pair SET value = value + 1 WHERE id = $1', [first]);
      bothBegun.add(first);
      await until('the other', () => bothBegun.size === 2);
      await tx.query('UPDATE pair SET value = value + 1 WHERE id = $1', [second]);
    });
  await Promise.all([add(1, 2), add(2, 1)]);
  expect(attempts).toBe(3);
  expect(await db.query('SELECT value FROM pair')).toEqual([{ value: 2 }, { value: 2 }]);
});

it('keeps nothing when the last statement fails, and says why', async () => {
  const db = connect();
  await db.query('CREATE TABLE of_last (value int)');
  const failing = db.transaction(async (tx) => {
    tx.afterCommit(() => expect.unreachable());
    await tx.query('INSERT INTO of_last VALUES (1)');
    tx.lastly(() => ({
      sql: 'SELECT 1 / $1::int',
      parameters: [0],
      committed: () => expect.unreachable(),
    }));
  });
  await expect(failing).rejects.toMatchObject({ code: '22012' });
  expect(await db.query('SELECT * FROM of_last')).toEqual([]);
});

it('does not take a rollback for a commit', async () => {
  const db = connect();
  const after: string[] = [];
  const swallowing = db.transaction(async (tx) => {
    tx.afterCommit(() => after.push('committed'));
    await tx.query('SELECT 1 / 0').catch(() => {});
  });
  await expect(swallowing).rejects.toThrow('The transaction was rolled back instead.');
  expect(after).toEqual([]);
  expect(await db.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

it('is migrated once by however many nodes start together', async () => {
  const nodes = Array.from({ length: 6 }, () => connect());
  await Promise.all(nodes.map((node) => migrate(node, migrations)));
  const [node] = nodes;
  expect(await node?.query('SELECT count(*) AS count FROM migrations')).toEqual([
    { count: BigInt(migrations.length) },
  ]);
  expect(await node?.query('SELECT count(*) AS count FROM database_info')).toEqual([{ count: 1n }]);
});
