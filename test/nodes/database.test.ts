import { expect, it } from 'vitest';
import { findPostgres } from '../../scripts/lib/postgres.ts';
import { startPostgres } from '../../scripts/lib/postgres-server.ts';
import { startRedisServer } from '../../scripts/lib/redis-server.ts';
import { openPostgres } from '../../src/platform/database/postgres.ts';
import { createClients } from '../support/clients.ts';
import { historyOf } from '../support/history.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { debitSession, key, openSession, watchSession } from '../support/operations.ts';
import { serverProcess } from '../support/process.ts';
import { resumingEventSource, resumingSocket } from '../support/resuming.ts';
import { expectDebitedOnce, expectToldExactly } from '../support/told.ts';
import { until } from '../support/until.ts';

const crashes = 3;

it(`outlives ${crashes} crashes of Postgres: nothing is lost or done twice, and what was answered is there`, async (context) => {
  const [postgres, redis] = await Promise.all([
    startPostgres(findPostgres(process.env) as string),
    startRedisServer(),
  ]);
  await postgres.administer('CREATE DATABASE satwire');
  const env = { DATABASE_URL: postgres.url('satwire'), REDIS_URL: redis.url.href };
  const servers = [await serverProcess(env), await serverProcess(env)] as const;
  for (const server of servers) await server.start();
  const [one, two] = servers.map(({ url, webSocketUrl }) => createClients(url, webSocketUrl)) as [
    ReturnType<typeof createClients>,
    ReturnType<typeof createClients>,
  ];
  context.onTestFinished(async () => {
    await Promise.all([one.dispose(), two.dispose()]);
    for (const server of servers) await server.kill();
    await Promise.all([postgres.stop(), redis.stop()]);
  });

  const as = { token: await one.token('walter') };
  const service = { token: await one.token('meter', ['SERVICE']) };
  const { session } = await openSession(one, 10_000, as);
  await one.pay(session.depositInvoice.paymentHash);
  const subscribers = [
    resumingSocket(one, watchSession, session.id, as),
    resumingSocket(two, watchSession, session.id, as),
    await resumingEventSource(two, servers[1].url, watchSession, session.id, as),
  ];

  const answered: string[] = [];
  let unavailable = 0;
  let stopped = false;
  context.onTestFinished(() => {
    stopped = true;
  });
  async function keepDebiting(clients: typeof one, writer: string): Promise<void> {
    for (let n = 0; !stopped; n += 1) {
      const memo = `${writer} ${n}`;
      const input = { sessionId: session.id, amountSats: 1, memo, idempotencyKey: key() };
      await until(memo, async () => {
        const { errors } = await clients.send(debitSession, { input }, service);
        for (const { extensions } of errors ?? []) {
          expect(extensions).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) });
          unavailable += 1;
        }
        return !errors;
      });
      answered.push(memo);
    }
  }
  const writers = [keepDebiting(one, 'one'), keepDebiting(two, 'two')];

  for (let crash = 0; crash < crashes; crash += 1) {
    const enough = answered.length + 30;
    await until('some debits', () => answered.length >= enough);
    await postgres.kill();
    for (const { url } of servers)
      await until('it to be noticed', async () => (await fetch(new URL('/ready', url))).status === 503);
    await postgres.start();
  }
  const enough = answered.length + 30;
  await until('debits after the last crash', () => answered.length >= enough);
  stopped = true;
  await Promise.all(writers);
  expect(unavailable).toBeGreaterThan(0);

  const history = await historyOf(one, 'session', session.id, as);
  expectDebitedOnce(history, 10_000, answered);
  await expectToldExactly(subscribers, history);
  const db = openPostgres({ url: env.DATABASE_URL, poolSize: 1, onError: () => {} });
  await expectMoneyAddsUp(db).finally(() => db.close());
}, 120_000);
