import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { type Core, startCore } from '../support/core.ts';
import { until } from '../support/until.ts';

const fields = `
  txCount virtualSize medianFeeRate histogram { fromSatPerVbyte toSatPerVbyte count virtualSize }
  recent { txid feeSats feeRate virtualSize isReplaceable } updatedAt`;
const readMempool = `{ mempool { ${fields} } }`;
const watchMempool = `subscription { mempoolUpdated { __typename cursor mempool { ${fields} } } }`;

async function begin(options: Parameters<typeof startCore>[0], waiting: number) {
  const core = await startCore(options);
  onTestFinished(() => core.stop());
  core.enter(Array.from({ length: waiting }, () => ({ vsize: 200, fee: 400 })));
  const app = await startTestApp(core.env);
  await waits(app, waiting);
  return { core, app };
}

/** Waits until so many transactions are said to wait. */
async function waits(app: TestApp, count: number): Promise<void> {
  await until(
    `${count} that wait`,
    async () => (await app.send(readMempool)).data?.mempool.txCount === count,
  );
}

const enter = (core: Core, ...txs: ReadonlyArray<readonly [vsize: number, fee: number]>) =>
  core.enter(txs.map(([vsize, fee]) => ({ vsize, fee })));

describe.each([
  ['told by ZeroMQ, of Core 31', { version: 31, publishes: true }],
  ['told by ZeroMQ, of Core 24', { version: 24, publishes: true }],
  ['asked', { publishes: false }],
] as const)('what waits, %s', (_how, options) => {
  it('is summed up, shown at first, and told when it changes', async () => {
    const { core, app } = await begin(options, 1);
    const watched = app.watch(watchMempool, {});
    const [first] = await watched.count(1);
    expect(first).toMatchObject({ __typename: 'MempoolUpdated', mempool: { txCount: 1, medianFeeRate: 2 } });
    const [cheap, dear] = enter(core, [100, 50], [400, 24_000]);
    await until('both to be told', () => watched.events.at(-1)?.mempool.txCount === 3);
    const { mempool } = watched.events.at(-1);
    expect(mempool).toMatchObject({ txCount: 3, virtualSize: 700, medianFeeRate: 60 });
    expect(mempool.histogram.map((bucket: Json) => bucket.count)).toEqual([1, 1, 0, 0, 0, 1]);
    expect(mempool.histogram.at(-1)).toEqual({
      ...{ fromSatPerVbyte: 50, toSatPerVbyte: null, count: 1, virtualSize: 400 },
    });
    expect(mempool.recent.slice(0, 2)).toEqual([
      {
        ...{ txid: dear, feeSats: 24_000, feeRate: 60, virtualSize: 400 },
        isReplaceable: !('version' in options && options.version < 31),
      },
      expect.objectContaining({ txid: cheap, feeRate: 0.5 }),
    ]);
    core.leave([dear as string]);
    await waits(app, 2);
    core.leave([cheap as string], { isConfirmed: true });
    await waits(app, 1);
    await until('the end to be told', () => watched.events.at(-1)?.mempool.txCount === 1);
    // Each that has changed, and no more.
    const told = watched.events.map((event: Json) => JSON.stringify(event.mempool));
    expect(new Set(told).size).toBe(told.length);
  });
});

it('is compared when messages were lost', async () => {
  const { core, app } = await begin({}, 2);
  const [lost] = core.enter([{ vsize: 100, fee: 100 }], { isLost: true });
  enter(core, [100, 100]);
  await waits(app, 4);
  core.leave([lost as string], { isLost: true });
  enter(core, [100, 100]);
  await waits(app, 4);
});

it('is told of many at a time once a second at most, and compared after a fault', async () => {
  const { core, app } = await begin({}, 1_200);
  const watched = app.watch(watchMempool, {});
  await watched.count(1);
  const begun = performance.now();
  for (let n = 0; n < 300; n += 1) enter(core, [100, 100 + n]);
  await until('all of them', () => watched.events.at(-1)?.mempool.txCount === 1_500);
  expect(watched.events.length).toBeLessThanOrEqual(2 + (performance.now() - begun) / 1_000 + 1);
  core.fail('DOWN');
  enter(core, [100, 100]);
  const asked = core.asked();
  await until('it to be asked', () => core.asked() > asked);
  core.fail(undefined);
  await waits(app, 1_501);
});

it('is unavailable where no chain is followed', async () => {
  const app = await startTestApp();
  expect((await app.send(readMempool)).errors?.[0]?.extensions.code).toBe('UNAVAILABLE');
  const watched = app.watch(watchMempool, {});
  await until('the refusal', () => watched.errors !== undefined);
  expect(watched.errors?.[0]?.extensions.code).toBe('UNAVAILABLE');
});
