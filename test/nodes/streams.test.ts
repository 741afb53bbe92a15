import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RedisServer, startRedisServer } from '../../scripts/lib/redis-server.ts';
import { startTestApp, type TestApp, temporaryFolder } from '../support/app.ts';
import { standingClock } from '../support/clock.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import {
  doCommand,
  reach,
  transferClaim,
  typesOf,
  watchSettlements,
  watchStream,
} from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser, walletOf } from '../support/wallets.ts';

const hourMs = 3_600_000;
let database: TestDatabase;
let redis: RedisServer;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedisServer()]);
});
afterAll(async () => {
  await redis.stop();
  await database.drop();
});

/** Two nodes on one Postgres, whose clocks go alike. */
async function startTwo(env: Record<string, string>) {
  const clock = standingClock();
  const start = async () =>
    startTestApp(
      {
        DATABASE_URL: database.url,
        JWT_SECRET: 'a secret of both nodes, long enough',
        DATA_DIR: await temporaryFolder(),
        ...env,
      },
      { clock },
    );
  const [one, two] = [await start(), await start()];
  return { one, two, clock };
}

let made = 0;
async function running(one: TestApp, input: object) {
  made += 1;
  const sender = await createUser(one, `sender ${made}`, 1_000);
  const seller = await createUser(one, `seller ${made}`);
  const buyer = await createUser(one, `buyer ${made}`);
  const whole = { recipientId: seller.id, amountSats: 1_000, ...input };
  const { id } = await doCommand(one, 'createStream', whole, sender);
  return { id: id as string, sender, seller, buyer };
}

it.each(['with Redis', 'without it'])(
  'a sale ends what the former recipient watches on every node, %s',
  async (how) => {
    const { one, two, clock } = await startTwo(how === 'with Redis' ? { REDIS_URL: redis.url.href } : {});
    const endsAt = new Date(clock.now() + 10 * hourMs).toISOString();
    const { id, sender, seller, buyer } = await running(one, { endsAt });
    const sellers = [one, two].map((node) => node.watch(watchStream, { id }, seller));
    const [here, there] = [one, two].map((node) => node.watch(watchStream, { id }, sender));
    for (const watched of [...sellers, here, there]) await watched?.event('StreamSnapshot');
    const settlements = [one, two].map((node) =>
      node.watch(watchSettlements, { id, after: 'START' }, seller),
    );
    clock.advance(hourMs);
    await doCommand(two, 'settleStream', { streamId: id }, seller);
    for (const each of settlements) await each.count(1);
    await transferClaim(one, id, buyer.id);
    clock.advance(hourMs);
    await doCommand(one, 'settleStream', { streamId: id }, buyer);
    for (const each of [...sellers, ...settlements]) await until('it to end', () => each.ended);
    for (const each of sellers) expect(typesOf(each)).toEqual(['StreamSettled', 'StreamTransferred']);
    for (const each of settlements) expect(each.events).toHaveLength(1);
    for (const each of [...sellers, ...settlements]) expect(each.errors).toBeUndefined();

    for (const node of [one, two]) {
      const byBuyer = node.watch(watchStream, { id, after: 'START' }, buyer);
      await byBuyer.count(4);
      const refused = node.watch(watchStream, { id }, seller);
      await until('a refusal', () => refused.ended);
      expect(refused.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    }
    for (const each of [here, there])
      await until('the sender to be told all', () => each && typesOf(each).length === 3);
  },
);

it('is settled at its end by one node alone, told on both, and ticks on each that has somebody watch', async () => {
  const { one, two, clock } = await startTwo({ REDIS_URL: redis.url.href });
  await reach(one, 100);
  const byTime = await running(one, { endsAt: new Date(clock.now() + 10 * hourMs).toISOString() });
  const byBlock = await running(one, { clock: 'BLOCK', endBlock: 110 });
  const watching = [byTime, byBlock].flatMap(({ id, sender, seller }) => [
    one.watch(watchStream, { id }, sender),
    two.watch(watchStream, { id }, seller),
  ]);
  for (const watched of watching) await watched.event('StreamUpdated');
  clock.advance(10 * hourMs);
  await reach(two, 110);
  for (const watched of watching) {
    expect(await watched.event('StreamSettled')).toMatchObject({
      settledSats: 1_000,
      stream: { state: 'DEPLETED' },
    });
    expect(typesOf(watched)).toEqual(['StreamSettled']);
  }
  for (const { seller } of [byTime, byBlock]) expect(await walletOf(one, seller.id)).toBe(1_000);
});
