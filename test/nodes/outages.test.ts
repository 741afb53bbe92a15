import { describe, expect, it } from 'vitest';
import { historyOf } from '../support/history.ts';
import { useNodes } from '../support/nodes.ts';
import { outages, watchThrough } from '../support/outages.ts';
import { until } from '../support/until.ts';

const nodes = useNodes();

const metricsOf = async (url: string) => (await fetch(new URL('/metrics', url))).text();

describe.each(outages)('$name', (outage) => {
  it('loses, repeats and reorders nothing, on either node, and fails no mutation', async () => {
    const { one, two, redis } = nodes();
    const { sessionId, as, seen } = await watchThrough({ writing: one, other: two, redis }, outage, 1_000);
    const history = await historyOf(one, 'session', sessionId, as);
    expect(history.length).toBeGreaterThan(100);
    const places = history.map(({ id, cursor }) => ({ id, cursor }));
    for (const { events } of seen) expect(events.map(({ id, cursor }) => ({ id, cursor }))).toEqual(places);
    for (const { url } of [one, two])
      await until('the bus to be back', async () =>
        (await metricsOf(url)).includes('satwire_bus_connected 1'),
      );
  });
});

it('says that Redis is away, in /metrics and once in the log, and stays ready', async () => {
  const { one, two, redis } = nodes();
  const said = () => [one, two].map(({ output }) => output.split('Redis is away').length - 1);
  const before = said();
  await redis.kill();
  for (const { url } of [one, two]) {
    await until('it to be noticed', async () => (await metricsOf(url)).includes('satwire_bus_connected 0'));
    expect((await fetch(new URL('/ready', url))).status).toBe(200);
  }
  await redis.start();
  for (const { url } of [one, two])
    await until('the bus to be back', async () => (await metricsOf(url)).includes('satwire_bus_connected 1'));
  expect(said()).toEqual(before.map((times) => times + 1));
});
