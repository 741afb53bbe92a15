import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { useTestApp } from '../support/app.ts';
import type { As } from '../support/clients.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { type Random, seededRandom } from '../support/random.ts';
import { openStream } from '../support/raw-sse.ts';
import { until } from '../support/until.ts';

const app = useTestApp();
const rounds = 60;

/** What the server says of itself. */
async function gauges(): Promise<Record<string, number>> {
  const text = await (await fetch(new URL('/metrics', app().url))).text();
  const names = ['satwire_connections', 'satwire_websockets', 'satwire_feed_topics', 'satwire_subscriptions'];
  return Object.fromEntries(
    names.map((name) => [name, Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])]),
  );
}

/** What the server says when nobody is there: it follows the revocations itself. */
const atRest = {
  satwire_connections: 0,
  satwire_websockets: 0,
  satwire_feed_topics: 1,
  satwire_subscriptions: 1,
};

afterEach(async () => {
  // What was torn off may only now be heard of.
  await until('nothing to be left', async () => isDeepStrictEqual(await gauges(), atRest));
  expect(app().hub.size()).toEqual({ topics: 1, members: 1 });
  expect(app().logged.filter((line) => line.includes('"level":50'))).toEqual([]);
});

const watched = async () => {
  const { job, as } = await createJob(app(), 'Be watched.');
  return { id: job.id as string, as };
};

const within = (random: Random, ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, random.below(ms)));

it('forgets subscriptions that end as they should', async () => {
  const { id, as } = await watched();
  const socket = app().socket(as);
  const several = [1, 2, 3].map(() => app().watch(watchJob, { id }, { ...as, socket }));
  const stream = await openStream(app().url, watchJob, { id }, as);
  for (const each of several) await each.count(1);
  await stream.events(1);
  expect(app().hub.size()).toEqual({ topics: 2, members: 5 });
  expect(app().connections.size).toBe(2);
  expect(await gauges()).toMatchObject({ satwire_websockets: 1, satwire_subscriptions: 5 });
  for (const each of several.slice(0, 2)) each.unsubscribe();
  await until('two to be forgotten', () => app().hub.size().members === 3);
  several[2]?.unsubscribe();
  stream.close();
});

it('forgets sockets that are torn off at any moment: before they begin, while they do, and later', async (context) => {
  const random = seededRandom(context);
  const { id, as } = await watched();

  async function tearOff(): Promise<void> {
    const socket = new WebSocket(app().webSocketUrl as string, 'graphql-transport-ws');
    const gone = new Promise((resolve) => socket.once('close', resolve));
    const send = (message: object) => socket.send(JSON.stringify(message));
    socket.on('error', () => {});
    socket.on('open', () =>
      send({ type: 'connection_init', payload: { authorization: `Bearer ${as.token}` } }),
    );
    socket.once('message', () => {
      for (const operation of ['1', '2', '3'])
        send({
          id: operation,
          type: 'subscribe',
          payload: { query: watchJob, variables: { id, after: 'START' } },
        });
      send({ id: '2', type: 'complete' });
    });
    await within(random, 40);
    socket.terminate();
    await gone;
  }
  for (let round = 0; round < rounds; round += 6) await Promise.all([1, 2, 3, 4, 5, 6].map(tearOff));
});

it('forgets streams that are torn off at any moment', async (context) => {
  const random = seededRandom(context);
  const { id, as } = await watched();

  async function tearOff(identity: As): Promise<void> {
    const going = new AbortController();
    const streaming = fetch(app().url, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        authorization: `Bearer ${identity.token}`,
      },
      body: JSON.stringify({ query: watchJob, variables: { id, after: 'START' } }),
      signal: going.signal,
    }).then((response) => response.text());
    const torn = expect(streaming).rejects.toThrow();
    await within(random, 40);
    going.abort();
    await torn;
  }
  for (let round = 0; round < rounds; round += 6)
    await Promise.all([1, 2, 3, 4, 5, 6].map(() => tearOff(as)));
});
