import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import type { Viewer } from '../src/platform/auth/viewer.ts';
import { systemClock } from '../src/platform/clock.ts';
import { createLogger } from '../src/platform/telemetry/logger.ts';
import { createWorkQueue } from '../src/platform/work/queue.ts';
import { streamsByIds } from '../src/streams/queries.ts';
import { quantile } from './lib/distribution.ts';
import { ensureInitdb } from './lib/postgres.ts';
import { startPostgres } from './lib/postgres-server.ts';

/**
 * Commands per second on Postgres at 16 connections, called as commands, beside a transaction that updates two rows,
 * sent by the same driver in the same run: one after the other, in rounds. Then what is read and changed by id, and the
 * timers, with ever more streams in the database.
 */
const CONNECTIONS = 16;
const ROUNDS = 5;
const ROUND_MS = 3_000;
const OBJECTS = 64;
const STREAMS = [1_000, 100_000, 1_000_000];

const postgres = await startPostgres(dirname(ensureInitdb() as string), true);
await postgres.administer('CREATE DATABASE commands');
const dataDir = await mkdtemp(join(tmpdir(), 'satwire-commands-'));
const app = await startApp(
  readConfig({
    PORT: '0',
    DATA_DIR: dataDir,
    DATABASE_URL: postgres.url('commands'),
    DATABASE_POOL_SIZE: String(CONNECTIONS),
    AGENT: 'external',
    LOG_LEVEL: 'silent',
    SESSION_DEPOSIT_MAX_SATS: '1000000000',
    LIMIT_OPEN_INVOICES: '0',
  }),
  createLogger('silent'),
);
const { services } = app;
const { db, ledger, sessions, streams, escrowJobs, invoices, stubLightning } = services;

async function viewer(name: string): Promise<Viewer & { readonly id: string }> {
  const id = `usr_${name}`;
  await db.query('INSERT INTO users (id, subject, created_at) VALUES ($1, $1, now())', [id]);
  await db.transaction((tx) =>
    ledger.transfer(tx, {
      key: `bench:${id}`,
      from: 'lightning',
      to: `wallet:${id}`,
      amount: 1_000_000_000_000_000n,
      reason: 'DEPOSIT',
    }),
  );
  const user = {
    id,
    roles: ['USER', 'SERVICE'] as const,
    tokenId: '',
    issuedAt: new Date(),
    expiresAt: new Date(),
  };
  return { id, user, objects: new Set(), bearerObject: undefined };
}

const pairs = Array.from({ length: OBJECTS }, async (_, index) => {
  const [payer, payee] = [await viewer(`payer${index}`), await viewer(`payee${index}`)];
  const { sessionId } = await sessions.open(payer, {
    depositSats: 1_000_000_000n,
    idempotencyKey: randomUUID(),
    address: undefined,
  });
  const [invoice] = await db.query<{ hash: string }>(
    'SELECT payment_hash AS hash FROM invoices WHERE object_id = $1',
    [sessionId],
  );
  await stubLightning?.pay(invoice?.hash as string, 1_000_000_000n);
  await invoices.confirm(invoice?.hash as string);
  const now = Date.now();
  const { streamId } = await streams.create(payer, {
    recipientId: payee.id,
    amountSats: 100_000_000_000_000n,
    clock: 'TIME',
    startsAt: new Date(now - 1_000),
    endsAt: new Date(now + 3_600_000),
    startBlock: null,
    endBlock: null,
    idempotencyKey: randomUUID(),
  });
  return { payer, payee, sessionId, streamId };
});
const objects = await Promise.all(pairs);

await db.query('CREATE TABLE bench_rows (id int PRIMARY KEY, sats bigint NOT NULL)');
await db.query('INSERT INTO bench_rows SELECT n, 0 FROM generate_series(0, $1::int) n', [2 * OBJECTS]);
const add = 'UPDATE bench_rows SET sats = sats + $2 WHERE id = $1';
const head = 2 * OBJECTS;

const commands: Record<string, (index: number) => Promise<unknown>> = {
  'two rows updated': (index) =>
    db.transaction(async (tx) => {
      await tx.query(add, [index, -1n]);
      await tx.query(add, [index + OBJECTS, 1n]);
    }),
  debit: (index) =>
    sessions.debit(objects[index]?.payer as Viewer, {
      sessionId: objects[index]?.sessionId as string,
      amountSats: 1n,
      memo: null,
      idempotencyKey: randomUUID(),
    }),
  withdraw: (index) =>
    streams.withdraw(objects[index]?.payee as Viewer, {
      streamId: objects[index]?.streamId as string,
      amountSats: 1n,
      idempotencyKey: randomUUID(),
    }),
  'two rows and one that all update': (index) =>
    db.transaction(async (tx) => {
      await tx.query(add, [index, -1n]);
      await tx.query(add, [index + OBJECTS, 1n]);
      await tx.query(add, [head, 1n]);
    }),
  'post a job (on the board)': (index) =>
    escrowJobs.post(objects[index]?.payer as Viewer, {
      title: 'A job',
      jobType: null,
      paySats: 10n,
      payAmountUsd: null,
      deadline: new Date(Date.now() + 86_400_000),
      checklist: [],
      idempotencyKey: randomUUID(),
    }),
};

/** How often a second something is done, by as many at a time as there are connections. */
async function rate(act: (index: number) => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  let done = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, lane) => {
      for (let turn = 0; performance.now() - begin < ROUND_MS; turn += 1) {
        await act(lane + CONNECTIONS * (turn % (OBJECTS / CONNECTIONS)));
        done += 1;
      }
    }),
  );
  return (done * 1_000) / (performance.now() - begin);
}

const rates: Record<string, number[]> = {};
for (let round = 0; round < ROUNDS; round += 1)
  for (const [name, act] of Object.entries(commands)) {
    rates[name] ??= [];
    rates[name].push(await rate(act));
  }
const median = (name: string) => quantile(rates[name] as number[], 0.5);
const base = (name: string) =>
  name.startsWith('post') ? 'two rows and one that all update' : 'two rows updated';
console.table(
  Object.keys(commands).map((name) => ({
    what: name,
    'a second': Math.round(median(name)),
    beside: base(name),
    times: (median(name) / median(base(name))).toFixed(2),
  })),
);

const queue = createWorkQueue({ db, clock: systemClock });
const table: Record<string, string | number>[] = [];
let made = 0;
for (const wanted of STREAMS) {
  await db.query(
    `WITH made AS (
       INSERT INTO streams (id, origin, clock, sender, recipient, state, amount_sats, starts, ends, created_at, updated_at)
       SELECT 'str_bench' || n, 'SATWIRE', 'TIME', 'usr_payer0', 'usr_payee0', 'ACTIVE', 1000,
         0, 4102444800000 + n, now(), now()
       FROM generate_series($1::int, $2::int) n RETURNING id, ends
     )
     INSERT INTO work (kind, key, due_at) SELECT 'stream.timer', id, to_timestamp(ends / 1000) FROM made`,
    [made + 1, wanted],
  );
  made = wanted;
  // What Postgres would do beside what is measured.
  await db.query('VACUUM ANALYZE');
  await db.query('CHECKPOINT');
  const row: Record<string, string | number> = { streams: wanted };
  const looked: Record<string, (index: number) => Promise<unknown>> = {
    'two rows updated': commands['two rows updated'] as (index: number) => Promise<unknown>,
    'read by id': () => streamsByIds(db, [`str_bench${1 + Math.floor(Math.random() * made)}`]),
    withdraw: commands.withdraw as (index: number) => Promise<unknown>,
    'next timer': () => queue.nextDue(['stream.timer']),
  };
  for (const [name, act] of Object.entries(looked)) row[name] = Math.round(await rate(act));
  table.push(row);
}
console.table(table);

await app.stop();
await postgres.stop();
await rm(dataDir, { recursive: true });
