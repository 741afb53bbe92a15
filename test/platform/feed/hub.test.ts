import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Feed } from '../../../src/platform/feed/feed.ts';
import { useDatabase } from '../../support/database.ts';
import { type FeedNode, faultyBus, startFeedNode } from '../../support/feeds.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();
const nodes: FeedNode[] = [];

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

function start(options: Parameters<typeof startFeedNode>[1] = {}): FeedNode {
  // Nothing is made good by the timer unless a test says so.
  const node = startFeedNode(db(), { repairEveryMs: 3_600_000, ...options });
  nodes.push(node);
  return node;
}

/** Another node, whose wake-ups nobody hears. */
const silentNode = () => start({ bus: Object.assign(faultyBus(), { loses: () => true }) });

const freshTopic = () => `topic:${randomUUID()}`;
const numbers = (feed: Feed, after = 0) => feed.after(after, 10_000)?.map(({ event }) => event.facts.n);
const hasHead = (feed: Feed, head: number) => until(`head ${head}`, () => feed.head === head);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => ({ n: index + 1 }));

/** Counts how often a feed has those who watch it look for more. */
function countWakes(feed: Feed): () => number {
  let wakes = 0;
  const group = feed.group<unknown>({
    key: randomUUID(),
    render: async (deliveries) => {
      wakes += 1;
      return deliveries;
    },
    sizeOf: () => 0,
  });
  const member = { seq: feed.head, wake: () => group.want(), separate: () => {}, fail: () => {} };
  group.join(member);
  group.want();
  return () => wakes;
}

describe('a feed', () => {
  it("has its own process' commits at once, without reading the log", async () => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, { n: 1 });
    const { feed, leave } = await node.hub.attach(topic);
    expect(feed.head).toBe(1);
    const before = { ...node.reads };
    const wakes = countWakes(feed);
    await node.append(topic, { n: 2 }, { n: 3 });
    expect(numbers(feed, 1)).toEqual([2, 3]);
    expect(wakes()).toBe(1);
    expect(node.reads).toEqual(before);
    leave();
  });

  it('reads what another process has committed, once it is woken', async () => {
    const bus = faultyBus();
    const [here, there] = [start({ bus }), start({ bus })];
    const topic = freshTopic();
    const { feed, leave } = await here.hub.attach(topic);
    await there.append(topic, { n: 1 }, { n: 2 });
    await hasHead(feed, 2);
    expect(numbers(feed)).toEqual([1, 2]);
    leave();
  });

  it('reads what is missing before what it has been given', async () => {
    const node = silentNode();
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, { n: 1 }, { n: 2 });
    expect(feed.head).toBe(0);
    await node.append(topic, { n: 3 });
    await hasHead(feed, 3);
    expect(numbers(feed)).toEqual([1, 2, 3]);
    leave();
  });

  it.each([true, false])('misses nothing that is committed while it begins (bus: %s)', async (connected) => {
    const other = silentNode();
    const topic = freshTopic();
    const node = start({
      bus: Object.assign(faultyBus(), { connected, loses: () => !connected }),
      faults: (log) => ({
        async heads(topics) {
          const before = await log.heads(topics);
          if (other.reads.readPage === 0) {
            other.reads.readPage = 1;
            await other.append(topic, { n: 1 });
            await node.append(topic, { n: 2 });
          }
          return before;
        },
      }),
    });
    const { feed, leave } = await node.hub.attach(topic);
    await hasHead(feed, 2);
    expect(numbers(feed)).toEqual([1, 2]);
    leave();
  });

  it("has its own process' commits of that time at once", async () => {
    const topic = freshTopic();
    const node = start({
      bus: Object.assign(faultyBus(), { loses: () => true }),
      faults: (log) => ({
        async heads(topics) {
          const before = await log.heads(topics);
          await node.append(topic, { n: 1 }, { n: 2 });
          return before;
        },
      }),
    });
    const { feed, leave } = await node.hub.attach(topic);
    expect(numbers(feed)).toEqual([1, 2]);
    leave();
  });

  it('has each event once, however often it hears of it', async () => {
    const bus = faultyBus();
    const [here, there] = [start({ bus }), start({ bus })];
    const topic = freshTopic();
    const { feed, leave } = await here.hub.attach(topic);
    await there.append(topic, ...upTo(3));
    await hasHead(feed, 3);
    const rows = feed.after(0, 10) ?? [];
    const wakes = countWakes(feed);
    expect(feed.accept(rows)).toBe(true);
    here.hub.committed(rows);
    here.hub.catchUp(topic);
    await until('the log to be read', () => here.reads.readPages >= 2);
    await here.hub.compareHeads();
    expect(numbers(feed)).toEqual([1, 2, 3]);
    expect(wakes()).toBe(0);
    leave();
  });

  it('keeps the latest of what is not kept, also when the bus brings it first', async () => {
    const node = start();
    const topic = freshTopic();
    const attached = node.hub.attach(topic);
    await until('the bus to listen', () => node.bus.listening === 1);
    node.tell(topic, 0, { n: 1 });
    const { feed, leave } = await attached;
    expect(feed.ephemeral?.event.facts).toEqual({ n: 1 });
    node.tell(topic, 4, { n: 2 });
    node.tell(topic, 4, { n: 3 });
    node.tell(topic, 3, { n: 4 });
    expect(feed.ephemeral?.event.facts).toEqual({ n: 3 });
    leave();
  });
});

describe('what a node makes by itself', () => {
  it('is offered for the topics of a kind that are watched here, to those who watch them', async () => {
    const [node, other] = [start(), start()];
    const [topic, another] = [`clock:${randomUUID()}`, freshTopic()];
    await node.append(topic, { n: 1 });
    expect([...node.hub.watched('clock')]).toEqual([]);
    const { feed, leave } = await node.hub.attach(topic);
    const elsewhere = await other.hub.attach(topic);
    const { leave: leaveAnother } = await node.hub.attach(another);
    expect([...node.hub.watched('clock')]).toEqual([{ topic, head: 1 }]);
    expect([...node.hub.watched('cl')]).toEqual([]);

    const wakes = countWakes(feed);
    const event = { id: 'evt_1', type: 'Ticked', version: 1, facts: {}, occurredAt: new Date() };
    node.hub.offer({ kind: 'EPHEMERAL', topic, seq: 1, event });
    await until('it to be told', () => wakes() === 1);
    expect(feed.ephemeral?.event).toBe(event);
    expect(elsewhere.feed.ephemeral).toBeUndefined();

    for (const each of [leave, leaveAnother, elsewhere.leave]) each();
    expect([...node.hub.watched('clock')]).toEqual([]);
    node.hub.offer({ kind: 'EPHEMERAL', topic, seq: 1, event });
    const later = await node.hub.attach(topic);
    expect(later.feed.ephemeral).toBeUndefined();
    later.leave();
  });
});

describe('a wake-up that is lost', () => {
  it('is made good when the heads are compared', async () => {
    const node = start();
    const other = silentNode();
    const topics = [freshTopic(), freshTopic(), freshTopic()];
    const attached = await Promise.all(topics.map((topic) => node.hub.attach(topic)));
    for (const topic of topics.slice(0, 2)) await other.append(topic, { n: 1 }, { n: 2 });
    const before = node.reads.readPages;
    await node.hub.compareHeads();
    for (const { feed } of attached.slice(0, 2)) {
      await hasHead(feed, 2);
      expect(numbers(feed)).toEqual([1, 2]);
    }
    expect(node.reads.readPages).toBe(before + 1);
    for (const { leave } of attached) leave();
  });

  it('is made good by itself while the bus is away, however rarely it would be with it', async () => {
    const bus = Object.assign(faultyBus(), { connected: false, loses: () => true });
    const node = start({ bus, repairEveryMs: 3_600_000 });
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    for (let n = 1; n <= 2; n += 1) {
      await other.append(topic, { n });
      await hasHead(feed, n);
    }
    leave();
  });

  it('is made good at once when the bus comes back', async () => {
    const bus = faultyBus();
    const node = start({ bus, repairEveryMs: 3_600_000 });
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, { n: 1 });
    bus.connected = false;
    bus.connected = true;
    await hasHead(feed, 1);
    leave();
  });

  it('is made good when the bus comes back behind a comparison under way', async () => {
    const bus = faultyBus();
    let hold: Promise<void> | undefined;
    let isHeld = false;
    const node = start({
      bus,
      repairEveryMs: 3_600_000,
      faults: (log) => ({
        async heads(topics) {
          const heads = await log.heads(topics);
          isHeld = hold !== undefined;
          await hold;
          return heads;
        },
      }),
    });
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    let letGo = () => {};
    hold = new Promise((resolve) => {
      letGo = resolve;
    });
    bus.connected = false;
    await until('the comparison to have read', () => isHeld);
    await other.append(topic, { n: 1 });
    bus.connected = true;
    hold = undefined;
    letGo();
    await hasHead(feed, 1);
    leave();
  });

  it('is made good by itself, now and then, while the bus is there', async () => {
    const node = start({ repairEveryMs: 300 });
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, { n: 1 });
    await hasHead(feed, 1);
    leave();
  });

  it('is looked for only where something is watched', async () => {
    const node = start();
    await node.hub.compareHeads();
    expect(node.reads.heads).toBe(0);
  });
});

describe('reading the log', () => {
  it('asks once for all topics that were woken together', async () => {
    const bus = faultyBus();
    const [here, there] = [start({ bus }), start({ bus })];
    const topics = [freshTopic(), freshTopic(), freshTopic()];
    const attached = await Promise.all(topics.map((topic) => here.hub.attach(topic)));
    await db().transaction(async (tx) => there.log.append(tx, { type: 'Kept', facts: { n: 1 }, topics }));
    for (const { feed, leave } of attached) {
      await hasHead(feed, 1);
      leave();
    }
    expect(here.reads.readPages).toBe(1);
  });

  it('gives up on the ring when more than a page is missing', async () => {
    const node = start();
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, ...upTo(501));
    await node.hub.compareHeads();
    await hasHead(feed, 501);
    expect(feed.after(0, 1)).toBeUndefined();
    expect(feed.after(500, 1)).toBeUndefined();
    await node.append(topic, { n: 502 });
    expect(numbers(feed, 501)).toEqual([502]);
    leave();
  });

  it('keeps the ring when exactly a page is missing', async () => {
    const node = start();
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, ...upTo(500));
    await node.hub.compareHeads();
    await hasHead(feed, 500);
    expect(numbers(feed, 498)).toEqual([499, 500]);
    leave();
  });

  it.each([2, 3])('gives up on the ring when %i of 3 missing events are no longer kept', async (trimmed) => {
    const node = start();
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, ...upTo(3));
    await db().query('DELETE FROM topic_events WHERE topic = $1 AND seq <= $2', [topic, trimmed]);
    await db().query('UPDATE topics SET trimmed_to = $2 WHERE topic = $1', [topic, trimmed]);
    await node.hub.compareHeads();
    await hasHead(feed, 3);
    expect(feed.after(trimmed, 10)).toBeUndefined();
    leave();
  });

  it('is tried again when it has failed', async () => {
    let failures = 2;
    const broken = new Error('the database is away');
    const failing = (log: FeedNode['log']) => ({
      readPages: async (...parameters: Parameters<typeof log.readPages>) => {
        failures -= 1;
        if (failures >= 0) throw broken;
        return log.readPages(...parameters);
      },
    });
    const node = start({ faults: failing });
    const other = silentNode();
    const topic = freshTopic();
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, { n: 1 });
    node.hub.catchUp(topic);
    await hasHead(feed, 1);
    expect(node.errors).toEqual([broken, broken]);
    leave();
  });

  it('goes on with what was found behind meanwhile', async () => {
    const topics = [freshTopic(), freshTopic()] as const;
    const other = silentNode();
    const node = start({
      faults: (log) => ({
        async readPages(...parameters) {
          const rows = await log.readPages(...parameters);
          if (node.reads.readPages === 1) {
            await other.append(topics[1], { n: 1 });
            node.hub.catchUp(topics[1]);
          }
          return rows;
        },
      }),
    });
    const [first, second] = [await node.hub.attach(topics[0]), await node.hub.attach(topics[1])];
    await other.append(topics[0], { n: 1 });
    node.hub.catchUp(topics[0]);
    await hasHead(first.feed, 1);
    await hasHead(second.feed, 1);
    expect(node.reads.readPages).toBe(2);
    first.leave();
    second.leave();
  });

  it('is in vain when those who watched have left meanwhile', async () => {
    const topic = freshTopic();
    const other = silentNode();
    let meanwhile = () => {};
    const node = start({
      faults: (log) => ({
        async readPages(...parameters) {
          const rows = await log.readPages(...parameters);
          meanwhile();
          return rows;
        },
        async heads(topics) {
          const heads = await log.heads(topics);
          if (node.reads.heads > 1) meanwhile();
          return heads;
        },
      }),
    });
    const first = await node.hub.attach(topic);
    await other.append(topic, { n: 1 });
    meanwhile = first.leave;
    node.hub.catchUp(topic);
    await until('those who watched to leave', () => node.hub.size().members === 0);
    meanwhile = () => {};
    const second = await node.hub.attach(topic);
    await other.append(topic, { n: 2 });
    meanwhile = second.leave;
    await node.hub.compareHeads();
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect([first.feed.head, second.feed.head]).toEqual([0, 1]);
    expect(node.errors).toEqual([]);
  });

  it('is not done for what nobody watches any more', async () => {
    const node = start();
    const topic = freshTopic();
    const { leave } = await node.hub.attach(topic);
    node.hub.catchUp(topic);
    leave();
    await node.close();
    expect(node.reads.readPages).toBe(0);
  });

  it('takes nothing for those who have left, and attached anew, meanwhile', async () => {
    const topic = freshTopic();
    const other = silentNode();
    let goOn = () => {};
    const node = start({
      faults: (log) => ({
        async readPages(...parameters) {
          const rows = await log.readPages(...parameters);
          await new Promise<void>((resolve) => {
            goOn = resolve;
          });
          return rows;
        },
        async heads(topics) {
          const heads = await log.heads(topics);
          if (node.reads.heads === 2) goOn();
          return heads;
        },
      }),
    });
    const first = await node.hub.attach(topic);
    await other.append(topic, ...upTo(500));
    node.hub.catchUp(topic);
    await until('the log to be read', () => node.reads.readPages === 1);
    first.leave();
    const second = await node.hub.attach(topic);
    expect(second.feed).not.toBe(first.feed);
    expect(second.feed.head).toBe(500);
    await node.append(topic, { n: 501 });
    await hasHead(second.feed, 501);
    expect(numbers(second.feed, 500)).toEqual([501]);
    second.leave();
  });

  it('is not done for what is only about to be watched', async () => {
    const topic = freshTopic();
    await silentNode().append(topic, { n: 1 });
    let goOn = () => {};
    const node = start({
      faults: (log) => ({
        async heads(topics) {
          if (node.reads.heads > 1) return log.heads(topics);
          await new Promise<void>((resolve) => {
            goOn = resolve;
          });
          return log.heads(topics);
        },
      }),
    });
    const attached = node.hub.attach(topic);
    await until('the topic to be looked up', () => node.reads.heads === 1);
    await node.hub.compareHeads();
    goOn();
    const { feed, leave } = await attached;
    expect(feed.head).toBe(1);
    expect(node.reads.readPages).toBe(0);
    leave();
  });

  it('has ended when the hub is closed, and so has the comparison of heads', async () => {
    const other = silentNode();
    const topic = freshTopic();
    const order: string[] = [];
    let goOn: (() => void) | undefined;
    const node = start({
      repairEveryMs: 0,
      faults: (log) => ({
        async heads(topics) {
          const heads = await log.heads(topics);
          if (node.reads.heads === 1) return heads;
          await new Promise<void>((resolve) => {
            goOn = resolve;
          });
          order.push('compared');
          return heads;
        },
      }),
    });
    const { feed, leave } = await node.hub.attach(topic);
    await other.append(topic, { n: 1 });
    const letCompare = await until('the heads to be compared', () => goOn);
    const closing = node.close().then(() => order.push('closed'));
    await db().query('SELECT 1');
    letCompare();
    await closing;
    expect(order).toEqual(['compared', 'closed']);
    expect(feed.head).toBe(1);
    leave();
  });

  it('is not begun by the timer while it goes on', async () => {
    let goOn = () => {};
    const node = start({
      repairEveryMs: 0,
      faults: (log) => ({
        async heads(topics) {
          if (node.reads.heads === 2)
            await new Promise<void>((resolve) => {
              goOn = resolve;
            });
          return log.heads(topics);
        },
      }),
    });
    const { leave } = await node.hub.attach(freshTopic());
    await until('the heads to be compared', () => node.reads.heads === 2);
    const other = start({ repairEveryMs: 0 });
    const attached = await other.hub.attach(freshTopic());
    // Two turns of the same timer elsewhere.
    await until('two more turns of the timer', () => other.reads.heads === 4);
    expect(node.reads.heads).toBe(2);
    goOn();
    await until('the next comparison', () => node.reads.heads === 3);
    leave();
    attached.leave();
  });
});

describe('coming and going', () => {
  it('shares one feed and one listener among all who watch a topic at a time', async () => {
    const node = start();
    const topic = freshTopic();
    const [one, two] = await Promise.all([node.hub.attach(topic), node.hub.attach(topic)]);
    expect(one.feed).toBe(two.feed);
    expect(node.hub.size()).toEqual({ topics: 1, members: 2 });
    expect(node.bus.listening).toBe(1);
    one.leave();
    const three = node.hub.attach(topic);
    two.leave();
    expect((await three).feed).toBe(one.feed);
    expect(node.hub.size()).toEqual({ topics: 1, members: 1 });
    (await three).leave();
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(node.bus.listening).toBe(0);
    const four = await node.hub.attach(topic);
    expect(four.feed).not.toBe(one.feed);
    expect(node.bus.listening).toBe(1);
    four.leave();
    expect(node.bus.listening).toBe(0);
  });

  it('leaves nothing behind when the bus does not listen', async () => {
    const node = start();
    const topic = freshTopic();
    node.bus.deaf = new Error('the bus is away');
    const both = [node.hub.attach(topic), node.hub.attach(topic)];
    for (const each of both) await expect(each).rejects.toBe(node.bus.deaf);
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    node.bus.deaf = undefined;
    const { feed, leave } = await node.hub.attach(topic);
    await node.append(topic, { n: 1 });
    expect(numbers(feed)).toEqual([1]);
    leave();
  });

  it('leaves nothing behind when the log does not say where the topic stands', async () => {
    const broken = new Error('the database is away');
    let fails = true;
    let fail = () => {};
    const node = start({
      faults: (log) => ({
        async heads(topics) {
          if (!fails) return log.heads(topics);
          await new Promise<void>((resolve) => {
            fail = resolve;
          });
          throw broken;
        },
      }),
    });
    const topic = freshTopic();
    const both = Promise.allSettled([node.hub.attach(topic), node.hub.attach(topic)]);
    await until('the log to be asked', () => node.reads.heads === 1);
    await node.append(topic, { n: 1 });
    fail();
    const refused = { status: 'rejected', reason: broken };
    expect(await both).toEqual([refused, refused]);
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(node.bus.listening).toBe(0);
    fails = false;
    const { feed, leave } = await node.hub.attach(topic);
    expect(feed.head).toBe(1);
    leave();
  });
});
