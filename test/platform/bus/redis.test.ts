import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisServer } from '../../../scripts/lib/redis-server.ts';
import type { Bus, BusMessage } from '../../../src/platform/bus/bus.ts';
import { createRedisBus } from '../../../src/platform/bus/redis.ts';
import { describeProblem } from '../../../src/platform/bus/redis-client.ts';
import { createLogger } from '../../../src/platform/telemetry/logger.ts';
import { startRedis } from '../../support/redis.ts';
import { startStallingRelay } from '../../support/stalling-relay.ts';
import { until } from '../../support/until.ts';
import { describeBus, ephemeral, wake } from './contract.ts';

interface Node {
  readonly bus: Bus;
  /** What `connected` was at each change. */
  readonly changes: boolean[];
  readonly logged: string[];
  readonly errors: unknown[];
  readonly counts: { unpublished: number; malformed: number };
}

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
const buses: Bus[] = [];
let redis: RedisServer;

beforeAll(async () => {
  process.on('unhandledRejection', note);
  redis = await startRedis();
});

afterAll(() => process.off('unhandledRejection', note));

afterEach(async () => {
  redis.resume();
  for (const bus of buses.splice(0)) await bus.close();
  if (!(await redis.command('PING').catch(() => false))) await redis.start();
  const subscribers = () => redis.command('CLIENT', 'LIST', 'TYPE', 'pubsub');
  await until('no subscriber to be left', async () => (await subscribers()) === '');
  expect(unhandled.splice(0)).toEqual([]);
});

function openBus(url = redis.url): Node {
  const logged: string[] = [];
  const errors: unknown[] = [];
  const changes: boolean[] = [];
  const counts = { unpublished: 0, malformed: 0 };
  const bus = createRedisBus({
    url,
    prefix: 'satwire:',
    logger: createLogger('info', { write: (line) => logged.push(line) }),
    onError: (error) => errors.push(error),
    onPublishFailure: () => {
      counts.unpublished += 1;
    },
    onMalformed: () => {
      counts.malformed += 1;
    },
  });
  bus.onChange(() => changes.push(bus.connected));
  buses.push(bus);
  return { bus, changes, logged, errors, counts };
}

const isThere = ({ bus }: Node) => until('the bus to be connected', () => bus.connected);
const isAway = ({ bus }: Node) => until('the bus to be away', () => !bus.connected);

async function openNode(url = redis.url): Promise<Node> {
  const node = openBus(url);
  await isThere(node);
  return node;
}

async function listenTo({ bus }: Node, topic: string) {
  const heard: BusMessage[] = [];
  const stop = await bus.listen(topic, (message) => heard.push(message));
  return { heard, stop };
}

/** What is published now arrives. */
async function carries(from: Node, { heard }: { readonly heard: readonly BusMessage[] }, topic: string) {
  const sent = heard.length + 1_000;
  from.bus.publish(wake(topic, sent));
  await until('a message to arrive', () => heard.some(({ seq }) => seq === sent));
}

const said = ({ logged }: Node) =>
  logged.map((line) => {
    const { level, msg, reason } = JSON.parse(line) as { level: number; msg: string; reason?: string };
    return { level: level === 40 ? 'warn' : 'info', msg, ...(reason !== undefined && { reason }) };
  });
const away = (reason: unknown) => ({ level: 'warn', msg: 'Redis is away', reason });
const back = { level: 'info', msg: 'Redis is back' };

async function subscribersOf(topic: string): Promise<number> {
  const [, count] = (await redis.command('PUBSUB', 'NUMSUB', `satwire:${topic}`)) as [string, number];
  return count;
}

/** A URL with a user whose rights the rules say. */
async function userUrl(password: string, ...rules: string[]): Promise<URL> {
  await redis.command('ACL', 'SETUSER', 'node', 'reset', 'on', `>${password}`, '+@all', ...rules);
  const url = new URL(redis.url);
  url.username = 'node';
  url.password = encodeURIComponent(password);
  return url;
}

describeBus('the bus over Redis', async () => {
  const [here, there] = await Promise.all([openNode(), openNode()]);
  return { here: here.bus, there: there.bus };
});

describe('listening', () => {
  it('subscribes once for each topic and node, and unsubscribes with the last listener', async () => {
    const [one, two] = await Promise.all([openNode(), openNode()]);
    const listeners = await Promise.all([listenTo(one, 'a'), listenTo(one, 'a'), listenTo(two, 'a')]);
    expect(await subscribersOf('a')).toBe(2);
    listeners[0].stop();
    await carries(two, listeners[1], 'a');
    expect(await subscribersOf('a')).toBe(2);
    listeners[1].stop();
    await until('one to be left', async () => (await subscribersOf('a')) === 1);
    listeners[2].stop();
    await until('none to be left', async () => (await subscribersOf('a')) === 0);
  });

  it('has subscribed when it resolves', async () => {
    const node = await openNode();
    for (let round = 0; round < 50; round += 1) {
      const { stop } = await listenTo(node, `topic:${round}`);
      expect(await subscribersOf(`topic:${round}`)).toBe(1);
      stop();
    }
  });

  it('ends subscribed after leaving and joining again at once', async () => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    let listener = await listenTo(there, 'a');
    for (let round = 0; round < 50; round += 1) {
      const joining = round % 2 === 0 ? undefined : listenTo(there, 'a');
      listener.stop();
      listener = await (joining ?? listenTo(there, 'a'));
    }
    await carries(here, listener, 'a');
    expect(await subscribersOf('a')).toBe(1);
    listener.stop();
    await until('none to be left', async () => (await subscribersOf('a')) === 0);
  });

  it('takes up thousands of topics on each connection', async () => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    const topics = Array.from({ length: 3_000 }, (_, index) => `topic:${index}`);
    const listeners = await Promise.all(topics.map((topic) => listenTo(there, topic)));
    expect(await redis.killSubscribers()).toBe(2);
    await Promise.all([isAway(here), isAway(there)]);
    await Promise.all([isThere(here), isThere(there)]);
    await Promise.all(topics.map((topic, index) => carries(here, listeners[index]!, topic)));
  });

  it('reports what a listener throws, and goes on with the next', async () => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    const failure = new Error('a mistake');
    await there.bus.listen('a', () => {
      throw failure;
    });
    const next = await listenTo(there, 'a');
    await carries(here, next, 'a');
    expect(there.errors).toEqual([failure]);
  });
});

describe('what comes from Redis', () => {
  const event = {
    id: 'evt_1',
    type: 'StatsChanged',
    version: 1,
    facts: {},
    occurredAt: '2026-07-01T12:00:00Z',
  };

  it.each([
    ['text', 'not JSON'],
    ['a string', '"{}"'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[1]'],
    ['half a wake-up', '{"topic":"a","seq":1}'],
    ['more than a wake-up', '{"topic":"a","epoch":"e","seq":1,"event":{}}'],
    ['a wake-up of another topic', '{"topic":"b","epoch":"e","seq":1}'],
    ['a sequence that is none', '{"topic":"a","epoch":"e","seq":-1}'],
    ['a sequence beyond what is exact', '{"topic":"a","epoch":"e","seq":9007199254740993}'],
    ['an epoch without bounds', JSON.stringify({ topic: 'a', epoch: 'e'.repeat(1_000), seq: 1 })],
    ['an event without an origin', JSON.stringify({ topic: 'a', seq: 1, event })],
    [
      'an event with an unknown date',
      JSON.stringify({ origin: 'o', topic: 'a', seq: 1, event: { ...event, occurredAt: 'soon' } }),
    ],
    [
      'an event with facts inside facts',
      JSON.stringify({ origin: 'o', topic: 'a', seq: 1, event: { ...event, facts: { a: { b: 1 } } } }),
    ],
    ['too much', JSON.stringify({ topic: 'a', epoch: 'e', seq: 1 }).padEnd(65_537)],
    ['far too much', 'x'.repeat(1_000_000)],
    ['deep nesting', '['.repeat(60_000)],
  ])('is dropped and counted when it is %s', async (_, text) => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    const listener = await listenTo(there, 'a');
    expect(await redis.command('PUBLISH', 'satwire:a', text)).toBe(1);
    await carries(here, listener, 'a');
    expect(listener.heard).toHaveLength(1);
    expect(there.counts.malformed).toBe(1);
  });

  it('is taken up to the bound, and from any node that keeps to the form', async () => {
    const node = await openNode();
    const { heard } = await listenTo(node, 'a');
    await redis.command(
      'PUBLISH',
      'satwire:a',
      '{"topic":"a","epoch":"0123456789ab","seq":7}'.padEnd(65_536),
    );
    await redis.command('PUBLISH', 'satwire:a', JSON.stringify({ origin: 'o', topic: 'a', seq: 8, event }));
    await until('both', () => heard.length === 2);
    const occurredAt = new Date(event.occurredAt);
    expect(heard).toEqual([
      wake('a', 7),
      { kind: 'EPHEMERAL', topic: 'a', seq: 8, event: { ...event, occurredAt } },
    ]);
    expect(node.counts.malformed).toBe(0);
  });

  it('is dropped when it is a forged heartbeat', async () => {
    const node = await openNode();
    const [channel = ''] = (await redis.command('PUBSUB', 'CHANNELS', 'satwire:heartbeat:*')) as string[];
    await redis.command('PUBLISH', channel, '1e9');
    await redis.command('PUBLISH', channel, '{}');
    await redis.command('PUBLISH', channel, '-5');
    await until('both that say too much', () => node.counts.malformed === 2);
    redis.pause();
    await isAway(node);
  });
});

describe('what goes to Redis', () => {
  it('is a wake-up of three values, or an event with its date', async () => {
    const node = await openNode();
    const client = new Redis({ host: '127.0.0.1', port: redis.port });
    const texts: string[] = [];
    client.on('message', (_channel, text) => texts.push(text));
    await client.subscribe('satwire:a');
    node.bus.publish(wake('a', 1));
    node.bus.publish(ephemeral('a', 2));
    await until('both', () => texts.length === 2);
    client.disconnect();
    expect(texts.map((text) => JSON.parse(text))).toEqual([
      { topic: 'a', epoch: '0123456789ab', seq: 1 },
      {
        origin: expect.any(String),
        topic: 'a',
        seq: 2,
        event: { ...ephemeral('a', 2).event, occurredAt: '2026-07-01T12:00:00.123Z' },
      },
    ]);
  });

  it('is not more than the others take: what is longer counts as a failure', async () => {
    const node = await openNode();
    const { heard } = await listenTo(node, 'a');
    const { event, ...rest } = ephemeral('a', 1);
    const long = { ...rest, event: { ...event, facts: { text: 'x'.repeat(65_536) } } };
    node.bus.publish(long);
    expect(heard).toEqual([long]);
    expect(node.counts.unpublished).toBe(1);
  });

  it('is bounded while Redis takes nothing, and arrives once it does', async () => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    const { heard } = await listenTo(there, 'a');
    redis.pause();
    for (let seq = 1; seq <= 12_000; seq += 1) here.bus.publish(wake('a', seq));
    expect(here.counts.unpublished).toBe(2_000);
    redis.resume();
    await until('all that were taken', () => heard.length === 10_000);
    await carries(here, { heard }, 'a');
    expect(here.counts.unpublished).toBe(2_000);
  });

  it('is bounded in bytes as well', async () => {
    const node = await openNode();
    redis.pause();
    const { event, ...rest } = ephemeral('a', 1);
    const long = { ...rest, event: { ...event, facts: { text: 'x'.repeat(60_000) } } };
    for (let count = 0; count < 400; count += 1) node.bus.publish(long);
    expect(node.counts.unpublished).toBeGreaterThan(100);
    expect(node.counts.unpublished).toBeLessThan(140);
  });
});

describe('when Redis goes away', () => {
  it('is back after a restart, with every topic, and has said each once', async () => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    const before = await listenTo(there, 'before');
    await redis.kill();
    await Promise.all([isAway(here), isAway(there)]);
    here.bus.publish(wake('before', 1));
    // The connection that publishes may notice a little later than the one that listens.
    await until('it to be counted', () => here.counts.unpublished === 1);
    const meanwhile = await listenTo(there, 'meanwhile');
    const given = await listenTo(there, 'given up');
    given.stop();
    // More than one attempt to connect fails before Redis is there again.
    const refusing = createServer((socket) => socket.destroy()).listen(redis.port, '127.0.0.1');
    for (let attempt = 0; attempt < 6; attempt += 1) await once(refusing, 'connection');
    refusing.close();
    await redis.start();
    await Promise.all([isThere(here), isThere(there)]);
    await carries(here, before, 'before');
    await carries(here, meanwhile, 'meanwhile');
    expect(await subscribersOf('given up')).toBe(0);
    expect(before.heard).toHaveLength(1);
    for (const node of [here, there]) {
      expect(node.changes).toEqual([true, false, true]);
      expect(said(node)).toEqual([away(expect.stringMatching(/no connection|ECONNRESET|EPIPE/)), back]);
    }
  });

  it('carries to its own listeners what is not kept', async () => {
    const node = await openNode();
    const { heard } = await listenTo(node, 'a');
    await redis.kill();
    await isAway(node);
    node.bus.publish(ephemeral('a', 1));
    expect(heard).toEqual([ephemeral('a', 1)]);
  });

  it('starts without Redis, and connects by itself once Redis is there', async () => {
    const { url } = redis;
    await redis.kill();
    const node = openBus(url);
    expect(node.bus.connected).toBe(false);
    const listener = await listenTo(node, 'a');
    await until('it to be said', () => node.logged.length > 0);
    await redis.start();
    await isThere(node);
    await carries(node, listener, 'a');
    expect(node.changes).toEqual([true]);
    expect(said(node)).toEqual([away(expect.stringContaining('ECONNREFUSED')), back]);
  });

  it('says nothing of a start at which Redis is there', async () => {
    const node = await openNode();
    await carries(node, await listenTo(node, 'a'), 'a');
    expect(said(node)).toEqual([]);
  });

  it('notices that Redis stands still, and that it runs again', async () => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    const before = await listenTo(there, 'before');
    redis.pause();
    const joining = listenTo(there, 'meanwhile');
    const meanwhile = await joining;
    // Nobody is told that there is nothing to worry about.
    expect(there.bus.connected).toBe(false);
    await isAway(here);
    redis.resume();
    await Promise.all([isThere(here), isThere(there)]);
    await carries(here, before, 'before');
    await carries(here, meanwhile, 'meanwhile');
    expect(here.changes).toEqual([true, false, true]);
    expect(said(here)).toEqual([away('nothing comes back through it'), back]);
  });

  it('comes back when Redis dies over a SUBSCRIBE that it has not answered', async () => {
    const node = await openNode();
    redis.pause();
    const [listener, left, unsettled] = await Promise.all([
      listenTo(node, 'a'),
      listenTo(node, 'left'),
      isAway(node).then(() => ({ joining: listenTo(node, 'unsettled') })),
    ]);
    left.stop();
    await redis.kill();
    const late = await unsettled.joining;
    expect(node.bus.connected).toBe(false);
    await redis.start();
    await isThere(node);
    await carries(node, listener, 'a');
    await carries(node, late, 'unsettled');
    expect(await subscribersOf('left')).toBe(0);
  });

  it('is away while only the subscriptions are gone', async () => {
    const [here, there] = await Promise.all([openNode(), openNode()]);
    const listener = await listenTo(there, 'a');
    for (let round = 1; round <= 5; round += 1) {
      expect(await redis.killSubscribers()).toBe(2);
      await until('all to be back', () =>
        [here, there].every((node) => node.changes.length === 1 + 2 * round),
      );
      await carries(here, listener, 'a');
    }
    expect(there.changes).toEqual([true, ...Array(5).fill([false, true]).flat()]);
    expect(said(there)).toHaveLength(10);
  });

  it('is away while only the publisher is gone', async () => {
    const node = await openNode();
    const listener = await listenTo(node, 'a');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until('it to be back', () => node.changes.length === 3);
    expect(node.changes).toEqual([true, false, true]);
    await carries(node, listener, 'a');
  });

  it('does not take its own standing still for that of Redis', async () => {
    const node = await openNode();
    const listener = await listenTo(node, 'a');
    for (let round = 0; round < 2; round += 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_200);
      await carries(node, listener, 'a');
    }
    expect(node.changes).toEqual([true]);
  });

  it('gives up connections over which nothing comes, and makes new ones', async () => {
    const relay = await startStallingRelay(redis.port);
    const node = await openNode(new URL(`redis://127.0.0.1:${relay.port}`));
    const listener = await listenTo(node, 'a');
    relay.stall();
    await isAway(node);
    node.bus.publish(wake('a', 1));
    await isThere(node);
    await carries(node, listener, 'a');
    expect(node.changes).toEqual([true, false, true]);
    // What nobody can say the fate of counts as lost.
    expect(node.counts.unpublished).toBe(1);
    await node.bus.close();
    await relay.close();
  });

  it('gives up connections that never get beyond being open', async () => {
    const relay = await startStallingRelay(redis.port);
    relay.carriesNew = false;
    const node = openBus(new URL(`redis://127.0.0.1:${relay.port}`));
    await until('both connections', () => relay.connections === 2);
    relay.carriesNew = true;
    await isThere(node);
    await carries(node, await listenTo(node, 'a'), 'a');
    expect(said(node)).toEqual([away('there is no connection'), back]);
    await node.bus.close();
    await relay.close();
  });

  it('tells each who hears of changes, whatever another of them throws', async () => {
    const node = await openNode();
    const failure = new Error('a mistake');
    node.bus.onChange(() => {
      throw failure;
    });
    const heard: boolean[] = [];
    node.bus.onChange(() => heard.push(node.bus.connected));
    await redis.killSubscribers();
    await until('both changes', () => heard.length === 2);
    expect(heard).toEqual([false, true]);
    expect(node.errors).toEqual([failure, failure]);
  });
});

describe('when Redis refuses', () => {
  const password = 'pass word:/?#[]@%41';

  it('one topic, it is away until the topic is allowed, and the others are carried', async () => {
    const url = await userUrl(password, '&satwire:heartbeat:*', '&satwire:open*');
    const node = await openNode(url);
    const open = await listenTo(node, 'open');
    const closed = await listenTo(node, 'closed');
    expect(node.bus.connected).toBe(false);
    expect(said(node)).toEqual([away(expect.stringMatching(/^NOPERM /))]);
    await carries(node, open, 'open');
    node.bus.publish(wake('closed', 1));
    await until('it to be counted', () => node.counts.unpublished === 1);
    await redis.command('ACL', 'SETUSER', 'node', '&satwire:closed');
    await isThere(node);
    await carries(node, closed, 'closed');
    expect(node.changes).toEqual([true, false, true]);
    expect(said(node)).toHaveLength(2);
  });

  it('one topic among many, only that one stays behind, and it is away until nobody wants that', async () => {
    const url = await userUrl(password, '&satwire:heartbeat:*', '&satwire:open*');
    const node = await openNode(url);
    const topics = Array.from({ length: 600 }, (_, index) => `open:${index}`);
    const listeners = await Promise.all(topics.map((topic) => listenTo(node, topic)));
    const closed = await listenTo(node, 'closed');
    await redis.killSubscribers();
    const all = async () => {
      const channels = (await redis.command('PUBSUB', 'CHANNELS', 'satwire:open:*')) as string[];
      return channels.length === topics.length;
    };
    await until('the others to be subscribed to', all);
    expect(node.bus.connected).toBe(false);
    await carries(node, listeners[599]!, 'open:599');
    closed.stop();
    await isThere(node);
    expect(node.changes).toEqual([true, false, true]);
  });

  it('thousands of topics, an allowed one behind them has its turn', async () => {
    const node = await openNode(await userUrl(password, '&satwire:heartbeat:*', '&satwire:open*'));
    const topics = Array.from({ length: 2_400 }, (_, index) => `closed:${index}`);
    await Promise.all(topics.map((topic) => listenTo(node, topic)));
    const open = await listenTo(node, 'open');
    await redis.killSubscribers();
    await until('it to be lost', async () => (await subscribersOf('open')) === 0);
    await until('it to be subscribed to', async () => (await subscribersOf('open')) === 1);
    await carries(node, open, 'open');
  });

  it('to publish, it is away', async () => {
    const node = openBus(await userUrl(password, 'allchannels', '-publish'));
    await until('it to be said', () => node.logged.length > 0);
    expect(said(node)).toEqual([away(expect.stringMatching(/^NOPERM /))]);
    expect(node.changes).toEqual([]);
  });

  it('to unsubscribe, whoever has left hears nothing more', async () => {
    const [node, other] = [
      await openNode(await userUrl(password, 'allchannels', '-unsubscribe')),
      await openNode(),
    ];
    const left = await listenTo(node, 'a');
    const kept = await listenTo(node, 'b');
    left.stop();
    other.bus.publish(wake('a', 1));
    await carries(other, kept, 'b');
    expect(left.heard).toEqual([]);
    expect(node.changes).toEqual([true]);
  });

  it('the password, no line has it', async () => {
    const url = await userUrl(password, 'allchannels');
    await redis.command('ACL', 'SETUSER', 'node', 'resetpass', '>another');
    const node = openBus(url);
    await until('it to be said', () => node.logged.length > 0);
    expect(said(node)).toEqual([away(expect.stringMatching(/^WRONGPASS /))]);
    expect(node.logged.join()).not.toContain('pass word');
    expect(node.logged.join()).not.toContain(url.password);
    await redis.command('ACL', 'SETUSER', 'node', `>${password}`);
    await isThere(node);
  });
});

/** A server that answers each connection's first bytes with a text; answers its port, and what it was sent. */
async function startAnswering(text: string) {
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      received.push(bytes);
      socket.end(text);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, received, close: () => server.close() };
}

describe('the URL', () => {
  it('gives no password away when a server repeats it', async () => {
    const server = await startAnswering(
      "-ERR no AUTH hunter%3A2 or hunter:2, with args beginning with: 'hunt'\r\n",
    );
    const node = openBus(new URL(`redis://:hunter%3A2@127.0.0.1:${server.port}`));
    await until('it to be said', () => node.logged.length > 0);
    expect(said(node)).toEqual([away('ERR no AUTH *** or ***')]);
    await node.bus.close();
    server.close();
  });

  it.each([
    [new Error('connect ECONNREFUSED 127.0.0.1:6379'), 'connect ECONNREFUSED 127.0.0.1:6379'],
    // As it is when a name has several addresses.
    [Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
    [new AggregateError([]), 'AggregateError'],
    [new Error(`p@ss is p%40ss ${'x'.repeat(1_000)}`), `*** is *** ${'x'.repeat(189)}`],
  ])('shows in short why it failed: %s', (error, shown) => {
    expect(describeProblem(error, new URL('redis://:p%40ss@127.0.0.1'))).toBe(shown);
  });

  it('with rediss: has TLS begin, for the name of the host, before anything is said', async () => {
    const server = await startAnswering('');
    const node = openBus(new URL(`rediss://:hunter2@localhost:${server.port}`));
    await until('a connection', () => server.received.length > 0);
    const [hello = Buffer.of()] = server.received;
    expect(hello[0]).toBe(0x16);
    expect(hello.includes('localhost')).toBe(true);
    expect(hello.includes('hunter2')).toBe(false);
    await node.bus.close();
    server.close();
  });

  it('with rediss: and an address names no host', async () => {
    const server = await startAnswering('');
    const node = openBus(new URL(`rediss://127.0.0.1:${server.port}`));
    await until('a connection', () => server.received.length > 0);
    expect(server.received[0]?.[0]).toBe(0x16);
    await node.bus.close();
    server.close();
  });

  it('has no say in how the connection behaves, and may leave out where Redis usually is', async () => {
    const url = new URL(`redis://127.0.0.1:${redis.port}/3?enableOfflineQueue=1&tls=1`);
    const node = await openNode(url);
    await carries(node, await listenTo(node, 'a'), 'a');
    expect(() => openBus(new URL('redis://:%ZZ@localhost'))).toThrow(URIError);
    const usual = openBus(new URL('redis:'));
    await usual.bus.close();
  });
});

describe('closing', () => {
  const held = () => process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS|Timeout)/.test(name));
  const isQuiet = () => until('nothing to be left from before', () => held().length === 0);

  it.each<[string, () => unknown]>([
    ['there', () => {}],
    ['standing still', () => redis.pause()],
    ['gone', () => redis.kill()],
  ])('leaves nothing behind with Redis %s', async (_, happens) => {
    await isQuiet();
    const node = await openNode();
    const { heard } = await listenTo(node, 'a');
    await happens();
    node.bus.publish(wake('a', 1));
    const listening = listenTo(node, 'b');
    const before = [...node.changes];
    await node.bus.close();
    expect(held()).toEqual([]);
    expect(node.bus.connected).toBe(false);
    const late = await listening;
    late.stop();
    (await listenTo(node, 'c')).stop();
    node.bus.publish(ephemeral('a', 2));
    await node.bus.close();
    expect(heard).toEqual([]);
    expect(node.changes).toEqual(before);
  });

  it('leaves nothing behind between two attempts to connect, or before the first has ended', async () => {
    const { url } = redis;
    await redis.kill();
    await isQuiet();
    const node = openBus(url);
    await until('it to be said', () => node.logged.length > 0);
    await node.bus.close();
    await openBus(url).bus.close();
    expect(held()).toEqual([]);
  });
});
