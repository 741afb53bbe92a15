import { createClients } from '../test/support/clients.ts';
import { historyOf } from '../test/support/history.ts';
import { outages, watchThrough } from '../test/support/outages.ts';
import { distribution } from './lib/distribution.ts';
import { smallestQueryMs } from './lib/smallest-query.ts';
import { startTwoNodes } from './lib/two-nodes.ts';

/**
 * How long events take from one node to the other while Redis fails for 1 s and for 30 s, under 100 events a
 * second; it fails when one is lost, repeated or out of order.
 */
const nodes = await startTwoNodes();
const [one, two] = [nodes.one, nodes.two].map(({ url }) =>
  createClients(`${url}/graphql`, `${url.replace('http', 'ws')}/graphql`),
) as [ReturnType<typeof createClients>, ReturnType<typeof createClients>];

const base = await smallestQueryMs(one);
const rows = [];
for (const outage of outages)
  for (const seconds of [1, 30]) {
    const where = { writing: one, other: two, redis: nodes.redis };
    const { sessionId, as, seen, delays } = await watchThrough(where, outage, seconds * 1_000);
    const placesOf = (events: readonly { id: string; cursor: string }[]) =>
      JSON.stringify(events.map(({ id, cursor }) => ({ id, cursor })));
    const history = placesOf(await historyOf(one, 'session', sessionId, as));
    for (const { node, events } of seen)
      if (placesOf(events) !== history)
        throw new Error(`${outage.name}: the ${node} node told something else than the log.`);
    rows.push(distribution(`before`, delays.before, base));
    rows.push(distribution(`${outage.name}, ${seconds} s`, delays.during, base));
  }
console.log(`the smallest query: ${base.toFixed(1)} ms; nothing was lost, repeated or reordered`);
console.table(rows);
await Promise.all([one.dispose(), two.dispose()]);
await nodes.stop();
