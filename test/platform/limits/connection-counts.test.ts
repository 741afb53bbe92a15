import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bus, BusMessage } from '../../../src/platform/bus/bus.ts';
import { createInProcessBus } from '../../../src/platform/bus/in-process.ts';
import { createRedisBus } from '../../../src/platform/bus/redis.ts';
import {
  type ConnectionCounts,
  createConnectionCounts,
  type Release,
} from '../../../src/platform/limits/connection-counts.ts';
import type { Facts } from '../../../src/platform/log/event.ts';
import { createLogger } from '../../../src/platform/telemetry/logger.ts';
import { standingClock } from '../../support/clock.ts';
import { startRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const topic = 'connection-counts';
const clock = standingClock();
const open = new Set<ConnectionCounts>();

async function openNode(bus: Bus): Promise<ConnectionCounts> {
  const node = await createConnectionCounts({ bus, clock });
  open.add(node);
  return node;
}

/** Makes a node fall silent, as one that was killed. */
function kill(node: ConnectionCounts): void {
  node.close();
  open.delete(node);
}

/** How many more connections a key may have. */
function room(node: ConnectionCounts, key: string, maximum: number): number {
  const taken: Release[] = [];
  for (;;) {
    const release = node.acquire(key, maximum);
    if (!release) break;
    taken.push(release);
  }
  for (const release of taken) release();
  return taken.length;
}

afterEach(() => {
  for (const node of open) kill(node);
  vi.useRealTimers();
});

describe('connections', () => {
  let bus: Bus;
  const pass = (ms: number) => vi.advanceTimersByTime(ms);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    bus = createInProcessBus();
  });

  it('are counted for each key until they are released, which counts once', async () => {
    const node = await openNode(bus);
    const first = node.acquire('a', 2);
    expect(node.acquire('a', 2)).toBeDefined();
    expect(node.acquire('a', 2)).toBeUndefined();
    expect(node.acquire('b', 2)).toBeDefined();
    first?.();
    first?.();
    expect(room(node, 'a', 2)).toBe(1);
    expect(room(node, 'a', 1)).toBe(0);
  });

  it('are not counted without a maximum', async () => {
    const node = await openNode(bus);
    for (let n = 0; n < 1_000; n += 1) node.acquire('a', 0)?.();
    for (let n = 0; n < 1_000; n += 1) expect(node.acquire('a', 0)).toBeDefined();
    expect(room(node, 'a', 3)).toBe(3);
  });

  it('of other nodes count as soon as these have told of them', async () => {
    const [here, there, third] = [await openNode(bus), await openNode(bus), await openNode(bus)];
    const release = here.acquire('a', 5);
    here.acquire('a', 5);
    there.acquire('a', 5);
    pass(250);
    expect([here, there, third].map((node) => room(node, 'a', 5))).toEqual([2, 2, 2]);
    release?.();
    pass(250);
    expect([here, there, third].map((node) => room(node, 'a', 5))).toEqual([3, 3, 3]);
  });

  it('are told to a node that comes later', async () => {
    const here = await openNode(bus);
    here.acquire('a', 5);
    pass(10_000);
    const late = await openNode(bus);
    pass(1_500);
    expect(room(late, 'a', 5)).toBe(4);
  });

  it('of a node that has fallen silent are forgotten after 5 seconds, and not before', async () => {
    const here = await openNode(bus);
    const there = await openNode(bus);
    there.acquire('a', 5);
    pass(2_000);
    kill(there);
    pass(4_000);
    expect(room(here, 'a', 5)).toBe(4);
    pass(1_500);
    expect(room(here, 'a', 5)).toBe(5);
  });

  it('last as long as their node is heard of', async () => {
    const here = await openNode(bus);
    const there = await openNode(bus);
    there.acquire('a', 5);
    pass(60_000);
    expect(room(here, 'a', 5)).toBe(4);
  });

  it('are told a few times a second at most, whatever comes and goes, and in messages that Redis takes', async () => {
    const node = await openNode(bus);
    const heard: BusMessage[] = [];
    await bus.listen(topic, (message) => heard.push(message));
    for (let n = 0; n < 30_000; n += 1) node.acquire(`key ${n}`, 5);
    pass(1_000);
    expect(heard.length).toBeLessThanOrEqual(5);
    pass(9_000);
    expect(heard.length).toBeLessThanOrEqual(50);
    const lengths = heard.map((message) => JSON.stringify(message).length);
    expect(Math.max(...lengths)).toBeLessThan(65_536);
    expect(JSON.stringify(heard)).not.toContain('key 1');
    heard.length = 0;
    pass(60_000);
    // Nothing has changed: what is told is for those who may have missed it.
    expect(heard.length).toBeLessThanOrEqual(120);
  });

  it('that a node could not tell of are told with all the others, and those that are gone forgotten', async () => {
    const lossy = lossyBus(bus);
    const here = await openNode(lossy.bus);
    const there = await openNode(bus);
    pass(2_000);
    const release = here.acquire('a', 5);
    here.acquire('b', 5);
    pass(250);
    expect(room(there, 'a', 5)).toBe(4);
    lossy.losing = true;
    release?.();
    here.acquire('c', 5);
    pass(750);
    lossy.losing = false;
    expect([room(there, 'a', 5), room(there, 'c', 5)]).toEqual([4, 5]);
    pass(4_000);
    expect(['a', 'b', 'c'].map((key) => room(there, key, 5))).toEqual([5, 4, 4]);
  });

  it('are all told anew when the bus is back', async () => {
    const lossy = lossyBus(bus);
    const here = await openNode(lossy.bus);
    const there = await openNode(bus);
    pass(2_000);
    lossy.setConnected(false);
    lossy.losing = true;
    here.acquire('a', 5);
    pass(2_000);
    lossy.losing = false;
    expect(room(there, 'a', 5)).toBe(5);
    lossy.setConnected(true);
    pass(250);
    expect(room(there, 'a', 5)).toBe(4);
  });

  const told = (facts: Facts): BusMessage => ({
    kind: 'EPHEMERAL',
    topic,
    seq: 0,
    event: { id: 'evt_1', type: 'NumbersTold', version: 1, facts, occurredAt: new Date() },
  });

  it('are not believed when they are told in another form, or late', async () => {
    const node = await openNode(bus);
    const heard: BusMessage[] = [];
    await bus.listen(topic, (message) => heard.push(message));
    node.acquire('a', 5);
    pass(250);
    const [{ event }] = heard as [Extract<BusMessage, { kind: 'EPHEMERAL' }>];
    const [key] = String(event.facts.numbers).split('=');
    const numbers = `${key}=2`;
    bus.publish({ kind: 'WAKE', topic, epoch: 'x', seq: 1 });
    bus.publish(told({ node: 7, round: 0, numbers }));
    bus.publish(told({ node: 'x', round: '0', numbers }));
    bus.publish(told({ node: 'x', round: 0 }));
    for (const wrong of ['a=1', `${key}=-1`, `${key}=1e9`, `${numbers},`, `${key}=${'9'.repeat(10)}`])
      bus.publish(told({ node: 'x', round: 0, numbers: wrong }));
    expect(room(node, 'a', 5)).toBe(4);
    bus.publish(told({ node: 'x', round: 7, numbers }));
    expect(room(node, 'a', 5)).toBe(2);
    bus.publish(told({ node: 'x', round: 6, numbers: `${key}=4` }));
    expect(room(node, 'a', 5)).toBe(2);
  });

  it('of a flood of nodes and of keys take no more than a certain memory', async () => {
    const node = await openNode(bus);
    const heard: BusMessage[] = [];
    await bus.listen(topic, (message) => heard.push(message));
    node.acquire('a', 100);
    node.acquire('b', 100)?.();
    pass(250);
    const [a, b] = String((heard[0] as { event: { facts: Facts } }).event.facts.numbers)
      .split(',')
      .map((entry) => entry.split('=')[0]);
    const others = (from: number) =>
      Array.from({ length: 2_000 }, (_, n) => `${String(from + n).padStart(16, '0')}=1`).join();
    for (let n = 0; n < 64; n += 1) bus.publish(told({ node: `node ${n}`, round: 0, numbers: `${a}=1` }));
    bus.publish(told({ node: 'one too many', round: 0, numbers: `${a}=1` }));
    expect(room(node, 'a', 100)).toBe(100 - 1 - 64);
    for (let n = 0; n < 110; n += 1)
      bus.publish(told({ node: `node ${n % 2}`, round: 0, numbers: others(n * 2_000) }));
    bus.publish(told({ node: 'node 0', round: 0, numbers: `${b}=9` }));
    expect(room(node, 'b', 100)).toBe(100);
    // What is known already is kept up to date, and what is gone makes room.
    bus.publish(told({ node: 'node 0', round: 0, numbers: `${a}=0,${b}=9` }));
    expect([room(node, 'a', 100), room(node, 'b', 100)]).toEqual([100 - 1 - 63, 91]);
    bus.publish(told({ node: 'node 1', round: 0, numbers: `${a}=3` }));
    expect(room(node, 'a', 100)).toBe(100 - 1 - 65);
  });

  it('are on every node what they are together, once all has been told', async () => {
    const steps = fc.array(
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({ kind: fc.constant('open' as const), node: fc.nat(2), key: fc.nat(3) }),
        },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('close' as const), which: fc.nat() }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(3_000) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), node: fc.nat(2) }) },
      ),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const common = createInProcessBus();
        const lossy = [lossyBus(common), lossyBus(common), lossyBus(common)];
        const nodes: ConnectionCounts[] = [];
        for (const each of lossy) nodes.push(await openNode(each.bus));
        const held: Array<{ node: number; key: number; release: Release }> = [];
        for (const step of all) {
          if (step.kind === 'pass') pass(step.ms);
          else if (step.kind === 'lose') {
            const one = lossy[step.node] as ReturnType<typeof lossyBus>;
            one.losing = !one.losing;
          } else if (step.kind === 'open') {
            const { node, key } = step;
            const own = held.filter((each) => each.node === node && each.key === key).length;
            const release = nodes[node]?.acquire(`key ${key}`, 6);
            // Its own are exact, whatever the others tell.
            if (own >= 6) expect(release).toBeUndefined();
            if (release) held.push({ node, key, release });
          } else if (held.length > 0) held.splice(step.which % held.length, 1)[0]?.release();
        }
        for (const each of lossy) each.losing = false;
        pass(10_000);
        for (const node of nodes)
          for (let key = 0; key < 4; key += 1) {
            const total = held.filter((each) => each.key === key).length;
            expect(room(node, `key ${key}`, 100)).toBe(100 - total);
          }
        for (const node of nodes) kill(node);
      }),
      { numRuns: 60 },
    );
  });
});

/** A bus that carries to the others all, or nothing. */
function lossyBus(common: Bus) {
  let connected = true;
  const hearing: Array<() => void> = [];
  const lossy = {
    losing: false,
    setConnected(is: boolean) {
      connected = is;
      for (const hear of hearing) hear();
    },
    bus: {
      ...common,
      get connected() {
        return connected;
      },
      publish(message: BusMessage) {
        if (!lossy.losing) common.publish(message);
      },
      onChange(hear: () => void) {
        hearing.push(hear);
      },
    },
  };
  return lossy;
}

it('counts across nodes through Redis, each for itself while it is away, and across them again', async () => {
  const redis = await startRedis();
  const buses = [1, 2].map(() =>
    createRedisBus({
      url: redis.url,
      prefix: 'satwire:',
      logger: createLogger('silent'),
      onError: () => {},
      onPublishFailure: () => {},
      onMalformed: () => expect.fail('a message of ours was malformed'),
    }),
  );
  const [here, there] = (await Promise.all(buses.map(openNode))) as [ConnectionCounts, ConnectionCounts];
  here.acquire('a', 3);
  const release = here.acquire('a', 3);
  await until('the others to hear of it', () => room(there, 'a', 3) === 1);
  await redis.kill();
  await until('the others to be forgotten', () => room(there, 'a', 3) === 3);
  release?.();
  await redis.start();
  await until('the others to hear of it again', () => room(there, 'a', 3) === 2);
  for (const bus of buses) await bus.close();
});
