import { Queue, Worker } from 'bullmq';
import { expect, it, onTestFinished } from 'vitest';
import type { App } from '../../src/app.ts';
import type { Settled } from '../../src/inbox/inbox.ts';
import { isNewer } from '../../src/inbox/stream-ids.ts';
import { forbidden } from '../../src/platform/errors.ts';
import { startTestApp } from '../support/app.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

/** A real queue whose jobs are what they return, and any number of nodes that follow it. */
async function createWorld() {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  const connection = { host: '127.0.0.1', port: redis.port, maxRetriesPerRequest: null };
  const name = 'settlements';
  const queue = new Queue(name, { connection });
  const worker = new Worker(name, async ({ data }) => data.returns, { connection, concurrency: 4 });
  queue.on('error', () => {});
  worker.on('error', () => {});
  const settled: Array<Settled & { node: number }> = [];
  let nodes = 0;
  onTestFinished(async () => {
    await worker.close(true);
    await queue.close();
    await database.drop();
  });

  async function start() {
    nodes += 1;
    const node = nodes;
    return startTestApp(
      {
        DATABASE_URL: database.url,
        DATABASE_POOL_SIZE: '8',
        REDIS_URL: redis.url.href,
        SETTLEMENT_QUEUE: name,
      },
      {
        domain: (inbox) =>
          inbox.onSettled(async (tx, each) => {
            if (each.streamId === 'unknown') throw forbidden();
            tx.afterCommit(() => settled.push({ ...each, node }));
          }),
      },
    );
  }
  async function complete(...returns: unknown[]): Promise<void> {
    await queue.addBulk(returns.map((each) => ({ name: 'settle', data: { returns: each } })));
  }
  const streams = () => settled.map(({ streamId }) => streamId).sort();
  return { redis, name, queue, settled, start, complete, streams };
}

const metric = async (app: Pick<App, 'url'>, name: string) =>
  Number(
    (await (await fetch(new URL('/metrics', app.url))).text()).match(new RegExp(`^${name} (\\d+)`, 'm'))?.[1],
  );

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => `stream-${String(from + n).padStart(3, '0')}`);

it('settles each completed job once, on two nodes and across their restarts', async () => {
  const { settled, start, complete, streams, name } = await createWorld();
  // Before anybody follows it: what the queue keeps is read from its beginning.
  await complete({ streamId: 'stream-000', transaction: '0xabc' });
  const [one, two] = await Promise.all([start(), start()]);
  await until('the first', () => settled.length === 1);
  expect(settled[0]).toMatchObject({ streamId: 'stream-000', transaction: '0xabc', by: 'QUEUE' });
  expect(settled[0]?.key).toMatch(new RegExp(`^bullmq:${name}:\\d+-\\d+$`));

  await complete(...numbered(1, 150).map((streamId) => ({ streamId })));
  await until('some', () => settled.length > 20);
  await one.stop();
  await complete(...numbered(150, 200).map((streamId) => ({ streamId })));
  await until('all by the other', () => settled.length >= 200);
  await two.stop();
  // While nobody is there.
  await complete(...numbered(200, 220).map((streamId) => ({ streamId })));
  const three = await start();
  await until('the rest', () => settled.length >= 220);
  await complete({ streamId: 'stream-220' });
  await until('the last', () => settled.length >= 221);
  expect(streams()).toEqual(numbered(0, 221));
  expect(new Set(settled.map(({ key }) => key)).size).toBe(221);
  expect(await metric(three, 'satwire_settlement_queue_gaps_total')).toBe(0);
}, 120_000);

it('passes over what cannot be read or is refused, and goes on', async () => {
  const { settled, start, complete } = await createWorld();
  const app = await start();
  await complete({ streamId: '' });
  await complete('nothing');
  await complete(undefined);
  await complete({ streamId: 'unknown' });
  await complete({ streamId: 'known' });
  await until('the known one', () => settled.length === 1);
  await until('the others', async () => (await metric(app, 'satwire_inbox_failed_total')) === 4);
  expect(app.logged.join('\n')).toMatch(/passed over/);
}, 60_000);

it('reports what the queue has dropped before it was read, and reads on', async () => {
  const { settled, start, complete, queue, redis, name } = await createWorld();
  const first = await start();
  await complete({ streamId: 'before' });
  await until('the first', () => settled.length === 1);
  await first.stop();
  await complete({ streamId: 'lost' }, { streamId: 'kept' });
  await until('both are done', async () => (await queue.getCompletedCount()) === 3);
  const entries = (await redis.command('XREVRANGE', `bull:${name}:events`, '+', '-')) as Array<
    [string, string[]]
  >;
  const kept = entries.find(([, fields]) => fields.includes('completed')) as [string, string[]];
  await redis.command('XTRIM', `bull:${name}:events`, 'MINID', kept[0]);
  const second = await start();
  await until('the kept one', () => settled.length === 2);
  expect(await metric(second, 'satwire_settlement_queue_gaps_total')).toBe(1);
  expect(second.logged.join('\n')).toMatch(/may have dropped events/);
}, 60_000);

it('waits while Redis is away, and goes on', async () => {
  const { settled, start, complete, redis } = await createWorld();
  const app = await start();
  await complete({ streamId: 'before' });
  await until('the first', () => settled.length === 1);
  await redis.kill();
  await until('it is said', () =>
    app.logged.some((line) => line.includes('settlement queue cannot be read')),
  );
  await redis.start();
  await complete({ streamId: 'after' });
  await until('the second', () => settled.length === 2);
  // It kept nothing, and began anew.
  expect(await metric(app, 'satwire_settlement_queue_gaps_total')).toBe(1);
}, 60_000);

it('gives up a connection over which nothing comes, and a failure of the domain is tried again', async () => {
  const { settled, start, complete, redis } = await createWorld();
  const app = await start();
  let failures = 2;
  app.inbox.onSettled(async () => {
    failures -= 1;
    if (failures >= 0) throw new Error('A mistake.');
  });
  await complete({ streamId: 'first' });
  await until('the first', () => settled.length === 1);
  expect(failures).toBe(-1);
  redis.pause();
  onTestFinished(() => redis.resume());
  await until('it is said', () =>
    app.logged.some((line) => line.includes('settlement queue cannot be read')),
  );
  redis.resume();
  await complete({ streamId: 'second' });
  await until('the second', () => settled.length === 2);
}, 60_000);

it('does not follow a queue that is no longer configured', async () => {
  const { settled, start, complete } = await createWorld();
  const app = await start();
  const { db } = app.services;
  await db.query(
    `INSERT INTO work (kind, key, due_at) VALUES ('inbox.queue', 'former', now() - interval '1 hour')`,
  );
  await complete({ streamId: 'first' });
  await until('the first', () => settled.length === 1);
  await app.stop();
  const again = await start();
  await until(
    'it is gone',
    async () =>
      (await again.services.db.query(`SELECT 1 FROM work WHERE kind = 'inbox.queue' AND key = 'former'`))
        .length === 0,
  );
}, 60_000);

it('compares ids by time, and by number within it', () => {
  expect(isNewer('2-0', '1-9')).toBe(true);
  expect(isNewer('1-10', '1-9')).toBe(true);
  expect(isNewer('1-9', '1-9')).toBe(false);
  expect(isNewer('10-0', '9-1')).toBe(true);
  expect(isNewer('1', '0-0')).toBe(true);
});
