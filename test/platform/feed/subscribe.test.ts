import { randomUUID } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { unavailable } from '../../../src/platform/errors.ts';
import {
  type Followed,
  type Following,
  type FollowOptions,
  follow,
} from '../../../src/platform/feed/follow.ts';
import { encodeCursor, parseCursor } from '../../../src/platform/log/cursor.ts';
import { useDatabase } from '../../support/database.ts';
import { type FeedNode, faultyBus, startFeedNode } from '../../support/feeds.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();
const nodes: FeedNode[] = [];

afterEach(async () => {
  for (const node of nodes.splice(0)) {
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(node.bus.listening).toBe(0);
    await node.close();
  }
});

function start(options: Parameters<typeof startFeedNode>[1] = {}): FeedNode {
  const node = startFeedNode(db(), options);
  nodes.push(node);
  return node;
}

const silentNode = () => start({ bus: Object.assign(faultyBus(), { loses: () => true }) });
const freshTopic = () => `topic:${randomUUID()}`;
const upTo = (last: number, from = 1) =>
  Array.from({ length: last - from + 1 }, (_, index) => ({ n: from + index }));
const snapshot = { type: 'Snapshot', facts: { topic: 'shown' } };

/** Takes a number of deliveries, one after another. */
async function take(subscription: Following, wanted: number): Promise<Followed[]> {
  const taken: Followed[] = [];
  while (taken.length < wanted) {
    const step = await subscription.next();
    if (step.done) throw new Error(`Ended after ${taken.length} of ${wanted}.`);
    taken.push(step.value);
  }
  return taken;
}

const ns = (deliveries: readonly Followed[]) => deliveries.map(({ event }) => event.facts.n);
const seqOf = (cursor: string, topic: string) => parseCursor(cursor, topic).seq;
const seqs = (deliveries: readonly Followed[], topic: string) =>
  deliveries.map(({ cursor }) => seqOf(cursor, topic));

async function cursorAt(node: FeedNode, topic: string, seq: number): Promise<string> {
  const { epoch } = parseCursor(await node.log.cursor(topic), topic);
  return encodeCursor({ topic, epoch, seq });
}

/** What retention does. */
async function trim(topic: string, to: number): Promise<void> {
  await db().query('DELETE FROM topic_events WHERE topic = $1 AND seq <= $2', [topic, to]);
  await db().query('UPDATE topics SET trimmed_to = $2 WHERE topic = $1', [topic, to]);
}

describe('a subscription begins', () => {
  it.each([undefined, null])(
    'with the present state, then live, where the field has a snapshot',
    async (after) => {
      const node = start();
      const topic = freshTopic();
      await node.append(topic, ...upTo(3));
      const subscription = await follow(node, { topic, after, snapshot });
      const [shown] = await take(subscription, 1);
      expect(shown?.event).toEqual({
        id: expect.stringMatching(/^evt_/),
        type: 'Snapshot',
        version: 1,
        facts: { topic: 'shown', reason: 'SUBSCRIBED' },
        occurredAt: expect.any(Date),
      });
      expect(shown?.cursor).toBe(await cursorAt(node, topic, 3));
      expect(parseCursor(subscription.position, topic)).toMatchObject({ seq: 3, due: 's' });
      await node.append(topic, ...upTo(5, 4));
      expect(ns(await take(subscription, 2))).toEqual([4, 5]);
      await subscription.return();
    },
  );

  it.each([
    ['SUBSCRIBED', () => undefined],
    ['GAP', (topic: string) => encodeCursor({ topic, epoch: '000000000000', seq: 1 })],
  ] as const)('with the snapshot that a cut took away, with its reason %s', async (reason, first) => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    const cut = await follow(node, { topic, after: first(topic), snapshot });
    await cut.return();
    await node.append(topic, { n: 4 });
    const again = await follow(node, { topic, after: cut.position, snapshot });
    const [shown] = await take(again, 1);
    expect(shown?.event.facts).toEqual({ topic: 'shown', reason });
    expect(shown?.cursor).toBe(await cursorAt(node, topic, 4));
    await again.return();
    const without = await follow(node, {
      topic,
      after: encodeCursor({ ...parseCursor(cut.position, topic), due: 's' }),
    });
    expect(without.position).toBe(await cursorAt(node, topic, 3));
    await without.return();
  });

  it('live from now, where it has none', async () => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    const subscription = await follow(node, { topic });
    expect(subscription.position).toBe(await cursorAt(node, topic, 3));
    await node.append(topic, ...upTo(5, 4));
    expect(ns(await take(subscription, 2))).toEqual([4, 5]);
    await subscription.return();
  });

  it.each([{}, { snapshot }])('with all that is kept behind START (%j)', async (options) => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(5));
    await trim(topic, 2);
    const subscription = await follow(node, { topic, after: 'START', ...options });
    expect(subscription.position).toBe(await cursorAt(node, topic, 2));
    await node.append(topic, { n: 6 });
    const taken = await take(subscription, 4);
    expect(ns(taken)).toEqual([3, 4, 5, 6]);
    expect(seqs(taken, topic)).toEqual([3, 4, 5, 6]);
    await subscription.return();
  });

  it('in a topic that has no events yet', async () => {
    const node = start();
    const topic = freshTopic();
    const subscription = await follow(node, { topic, after: 'START' });
    expect(subscription.position).toBe(await cursorAt(node, topic, 0));
    const again = await follow(node, { topic, after: subscription.position });
    await node.append(topic, { n: 1 });
    for (const each of [subscription, again]) {
      expect(ns(await take(each, 1))).toEqual([1]);
      await each.return();
    }
  });

  it.each([0, 2, 3, 5])('behind a cursor, also the oldest that is kept and the newest (%i)', async (seq) => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(5));
    if (seq === 3) await trim(topic, 3);
    const after = await cursorAt(node, topic, seq);
    const subscription = await follow(node, { topic, after, snapshot });
    expect(subscription.position).toBe(after);
    await node.append(topic, { n: 6 });
    expect(ns(await take(subscription, 6 - seq))).toEqual(upTo(6, seq + 1).map(({ n }) => n));
    await subscription.return();
  });

  it('not at all behind what is no cursor of this topic', async () => {
    const node = start();
    const other = await cursorAt(node, freshTopic(), 0);
    for (const after of ['', 'begin', other])
      await expect(follow(node, { topic: freshTopic(), after, snapshot })).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        details: { argument: 'after' },
      });
    expect(node.bus.listening).toBe(0);
  });

  it('not at all when it is not known where the topic stands', async () => {
    const broken = new Error('the database is away');
    const node = start({
      faults: (log) => ({
        heads: async (topics) => {
          if (node.reads.heads === 2) throw broken;
          return log.heads(topics);
        },
      }),
    });
    await expect(follow(node, { topic: freshTopic() })).rejects.toBe(broken);
  });

  it.each([
    ['a snapshot', { snapshot }, 'Snapshot'],
    ['the past', { after: 'START' }, undefined],
    ['now', {}, undefined],
  ])('with %s while events come in from all sides: none is missed or repeated', async (_, options, first) => {
    const topic = freshTopic();
    const other = silentNode();
    let n = 0;
    const node = start({
      faults: (log) => ({
        async heads(topics) {
          n += 1;
          await other.append(topic, { n });
          const heads = await log.heads(topics);
          n += 1;
          await node.append(topic, { n });
          return heads;
        },
      }),
    });
    const subscription = await follow(node, { topic, ...options });
    const from = seqOf(subscription.position, topic);
    expect(n).toBe(4);
    await node.append(topic, { n: 5 });
    const taken = await take(subscription, 5 - from + (first ? 1 : 0));
    if (first) expect(taken.shift()?.event.type).toBe(first);
    expect(ns(taken)).toEqual(upTo(5, from + 1).map((facts) => facts.n));
    expect(seqs(taken, topic)).toEqual(ns(taken));
    await subscription.return();
  });
});

it('finds out by itself what was committed while it joined, when nobody says so', async () => {
  const topic = freshTopic();
  const other = silentNode();
  const node = start({
    repairEveryMs: 3_600_000,
    faults: (log) => ({
      async heads(topics) {
        if (node.reads.heads === 2) await other.append(topic, { n: 1 });
        return log.heads(topics);
      },
    }),
  });
  const subscription = await follow(node, { topic, after: 'START' });
  expect(ns(await take(subscription, 1))).toEqual([1]);
  await subscription.return();
});

describe('a cursor has expired', () => {
  const causes = [
    ['of another epoch', async (topic: string) => encodeCursor({ topic, epoch: '000000000000', seq: 2 })],
    ['ahead of the head', async (topic: string, node: FeedNode) => cursorAt(node, topic, 6)],
    [
      'whose events are no longer kept',
      async (topic: string, node: FeedNode) => {
        await trim(topic, 3);
        return cursorAt(node, topic, 2);
      },
    ],
  ] as const;

  it.each(causes)('%s: it says where to begin anew', async (_, expired) => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(5));
    const after = await expired(topic, node);
    const anew = await cursorAt(node, topic, 5);
    await expect(follow(node, { topic, after })).rejects.toMatchObject({
      code: 'CURSOR_EXPIRED',
      details: { cursor: anew },
    });
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    const subscription = await follow(node, { topic, after: anew });
    await node.append(topic, { n: 6 });
    expect(ns(await take(subscription, 1))).toEqual([6]);
    await subscription.return();
  });

  it.each(causes)('%s: a field with a snapshot shows the present state, then goes on', async (_, expired) => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(5));
    const after = await expired(topic, node);
    const subscription = await follow(node, { topic, after, snapshot });
    const [shown] = await take(subscription, 1);
    expect(shown?.event.facts).toEqual({ topic: 'shown', reason: 'GAP' });
    expect(shown?.cursor).toBe(await cursorAt(node, topic, 5));
    expect(parseCursor(subscription.position, topic)).toMatchObject({ seq: 5, due: 'g' });
    await node.append(topic, { n: 6 });
    expect(ns(await take(subscription, 1))).toEqual([6]);
    await subscription.return();
  });

  /** A subscriber that has read a page of what it is behind, and then is overtaken by retention. */
  async function overtaken(options: Partial<FollowOptions>) {
    const node = start({ ringBytes: 1 });
    const topic = freshTopic();
    await node.append(topic, ...upTo(250));
    const subscription = await follow(node, { topic, after: 'START', ...options });
    expect(ns(await take(subscription, 50))).toEqual(upTo(50).map(({ n }) => n));
    await trim(topic, 200);
    expect(ns(await take(subscription, 50))).toEqual(upTo(100, 51).map(({ n }) => n));
    return { node, topic, subscription };
  }

  it('under way: the subscription ends, and says where to begin anew', async () => {
    const { node, topic, subscription } = await overtaken({});
    const cursor = await cursorAt(node, topic, 250);
    await expect(subscription.next()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', details: { cursor } });
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
  });

  it('under way: a field with a snapshot shows the present state, then goes on', async () => {
    const { node, topic, subscription } = await overtaken({ snapshot });
    const [shown] = await take(subscription, 1);
    expect(shown?.event.facts).toEqual({ topic: 'shown', reason: 'GAP' });
    expect(shown?.cursor).toBe(await cursorAt(node, topic, 250));
    await node.append(topic, { n: 251 });
    expect(ns(await take(subscription, 1))).toEqual([251]);
    await subscription.return();
  });

  it('not when nothing was trimmed: what is not found, although it must be there, is looked for again', async () => {
    const node = start({ ringBytes: 1 });
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    const subscription = await follow(node, { topic, after: 'START', snapshot });
    const looked = vi.spyOn(node.log, 'heads');
    const hidden = 'UPDATE topic_events SET seq = -seq WHERE topic = $1';
    await db().query(hidden, [topic]);
    const first = subscription.next();
    await until('a second look', () => looked.mock.calls.length >= 2);
    await db().query(hidden, [topic]);
    expect((await first).value.event.facts.n).toBe(1);
    expect(ns(await take(subscription, 2))).toEqual([2, 3]);
    await subscription.return();
  });

  it('under way, with nothing kept at all', async () => {
    const node = start({ ringBytes: 1 });
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    const subscription = await follow(node, { topic, after: 'START' });
    await trim(topic, 3);
    await expect(subscription.next()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  });
});

describe('a choice of types', () => {
  const even = { types: ['Even'] };
  const typed = (facts: readonly { n: number }[]) =>
    facts.map(({ n }) => ({ n, type: n % 2 === 0 ? 'Even' : 'Odd' }));

  it('leaves events out, which keep their places', async () => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...typed(upTo(4)));
    const subscription = await follow(node, { topic, after: 'START', ...even });
    const taken = await take(subscription, 2);
    expect(ns(taken)).toEqual([2, 4]);
    expect(seqs(taken, topic)).toEqual([2, 4]);
    const waiting = subscription.next();
    await node.append(topic, ...typed([{ n: 5 }]));
    await node.append(topic, ...typed(upTo(8, 6)));
    expect((await waiting).value.event.facts.n).toBe(6);
    await subscription.return();
    const resumed = await follow(node, { topic, after: taken[0]?.cursor, ...even });
    expect(ns(await take(resumed, 3))).toEqual([4, 6, 8]);
    await resumed.return();
  });

  it('is good for events that are not kept', async () => {
    const node = start();
    const topic = freshTopic();
    const subscription = await follow(node, { topic, ...even });
    const all = await follow(node, { topic });
    const waiting = subscription.next();
    await node.append(topic, ...typed([{ n: 1 }]));
    node.tell(topic, 1, { n: 3, type: 'Odd' });
    expect(ns(await take(all, 2))).toEqual([1, 3]);
    node.tell(topic, 1, { n: 4, type: 'Even' });
    const { value } = await waiting;
    expect(value.event.facts.n).toBe(4);
    expect(value.cursor).toBe(await cursorAt(node, topic, 1));
    await subscription.return();
    await all.return();
  });
});

describe('an event that is not kept', () => {
  it('goes to those who stand exactly where it was made, with the cursor that they have', async () => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    const caughtUp = await follow(node, { topic });
    const behind = await follow(node, { topic, after: await cursorAt(node, topic, 1) });
    node.tell(topic, 3, { n: -1 });
    const [told] = await take(caughtUp, 1);
    expect(told?.event.facts.n).toBe(-1);
    expect(told?.cursor).toBe(await cursorAt(node, topic, 3));
    const taken = await take(behind, 3);
    expect(ns(taken)).toEqual([2, 3, -1]);
    expect(seqs(taken, topic)).toEqual([2, 3, 3]);
    await caughtUp.return();
    await behind.return();
  });

  it('waits for those who are not there yet', async () => {
    const node = start();
    const topic = freshTopic();
    const subscription = await follow(node, { topic });
    const both = take(subscription, 2);
    node.tell(topic, 1, { n: -1 });
    await node.append(topic, { n: 1 });
    expect(ns(await both)).toEqual([1, -1]);
    await subscription.return();
  });

  it('gives way to a later one, and to a kept one that passes it', async () => {
    const node = start();
    const topic = freshTopic();
    const subscription = await follow(node, { topic });
    for (const n of [-1, -2, -3]) node.tell(topic, 0, { n });
    expect(ns(await take(subscription, 1))).toEqual([-3]);
    node.tell(topic, 0, { n: -4 });
    await node.append(topic, { n: 1 });
    node.tell(topic, 0, { n: -5 });
    await node.append(topic, { n: 2 });
    node.tell(topic, 2, { n: -6 });
    expect(ns(await take(subscription, 3))).toEqual([1, 2, -6]);
    await subscription.return();
  });

  it('comes once', async () => {
    const node = start();
    const topic = freshTopic();
    const subscription = await follow(node, { topic });
    node.tell(topic, 0, { n: -1 });
    expect(ns(await take(subscription, 1))).toEqual([-1]);
    const next = take(subscription, 1);
    node.bus.publish({ kind: 'WAKE', topic, epoch: '000000000000', seq: 0 });
    node.tell(topic, 0, { n: -2 });
    expect(ns(await next)).toEqual([-2]);
    await subscription.return();
  });

  it('skips nothing for whoever resumes from it', async () => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, { n: 1 });
    const subscription = await follow(node, { topic });
    node.tell(topic, 1, { n: -1 });
    const [told] = await take(subscription, 1);
    await subscription.return();
    await node.append(topic, ...upTo(3, 2));
    const resumed = await follow(node, { topic, after: told?.cursor });
    expect(ns(await take(resumed, 2))).toEqual([2, 3]);
    await resumed.return();
  });
});

describe('what a subscriber is behind', () => {
  it.each([
    ['the ring', 1_000_000, 0],
    ['the log', 1, 3],
  ])('is read from %s in pages', async (_, ringBytes, readPage) => {
    const node = start({ ringBytes });
    const topic = freshTopic();
    const early = await follow(node, { topic });
    await node.append(topic, ...upTo(250));
    const deliveries = await take(early, 250);
    expect(ns(deliveries)).toEqual(upTo(250).map(({ n }) => n));
    const batches = [...new Set(deliveries.map(({ batch }) => batch))];
    const sizes = batches.map((batch) => deliveries.filter((delivery) => delivery.batch === batch).length);
    expect(sizes).toEqual([100, 100, 50]);
    expect(node.reads.readPage).toBe(readPage);
    await early.return();
  });

  it('is told at its own pace: nobody else waits for it', async () => {
    const node = start({ ringBytes: 200 });
    const topic = freshTopic();
    const [slow, fast] = [await follow(node, { topic }), await follow(node, { topic })];
    for (const facts of upTo(120)) {
      await node.append(topic, facts);
      expect(ns(await take(fast, 1))).toEqual([facts.n]);
    }
    expect(ns(await take(slow, 120))).toEqual(upTo(120).map(({ n }) => n));
    await slow.return();
    await fast.return();
  });

  it('is executed by itself when it came by itself', async () => {
    const node = start();
    const topic = freshTopic();
    const subscription = await follow(node, { topic, snapshot });
    const taken = await take(subscription, 1);
    await node.append(topic, { n: 1 });
    taken.push(...(await take(subscription, 1)));
    node.tell(topic, 1, { n: -1 });
    taken.push(...(await take(subscription, 1)));
    await node.append(topic, { n: 2 });
    taken.push(...(await take(subscription, 1)));
    expect(new Set(taken.map(({ batch }) => batch)).size).toBe(4);
    await subscription.return();
  });
});

describe('a subscription ends', () => {
  const done = { done: true, value: undefined };

  it('when its reader goes, also while it waits, and again', async () => {
    const node = start();
    const subscription = await follow(node, { topic: freshTopic() });
    const waiting = subscription.next();
    expect(await subscription.return()).toEqual(done);
    expect(await waiting).toEqual(done);
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(await subscription.next()).toEqual(done);
    expect(await subscription.return()).toEqual(done);
  });

  it('with the loop that reads it', async () => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    for await (const { event } of await follow(node, { topic, after: 'START' }))
      if (event.facts.n === 2) break;
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
  });

  it('without telling the rest of its page', async () => {
    const node = start();
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    const subscription = await follow(node, { topic, after: 'START' });
    await take(subscription, 1);
    await subscription.return();
    expect(await subscription.next()).toEqual(done);
  });

  it('when it is ended from outside, also while it waits', async () => {
    const node = start();
    const ending = new AbortController();
    const topic = freshTopic();
    const [one, two] = [
      await follow(node, { topic, signal: ending.signal }),
      await follow(node, { topic, signal: ending.signal }),
    ];
    const waiting = one.next();
    await two.return();
    expect(getEventListeners(ending.signal, 'abort')).toHaveLength(1);
    ending.abort();
    expect(await waiting).toEqual(done);
    expect(getEventListeners(ending.signal, 'abort')).toHaveLength(0);
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
  });

  it('at once when it had been ended before it began', async () => {
    const node = start();
    const topic = freshTopic();
    const subscription = await follow(node, { topic, snapshot, signal: AbortSignal.abort() });
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(await subscription.next()).toEqual(done);
  });

  /** A node whose log, when a page is read, first waits, and then fails. */
  function nodeThatFails() {
    const broken = new Error('the database is away');
    let fail = () => {};
    const node = start({
      ringBytes: 1,
      faults: () => ({
        readPage: () =>
          new Promise((_resolve, reject) => {
            fail = () => reject(broken);
          }),
      }),
    });
    return { node, broken, fail: () => fail() };
  }

  it('when the log cannot be read', async () => {
    const { node, broken, fail } = nodeThatFails();
    const topic = freshTopic();
    await node.append(topic, ...upTo(2));
    const subscription = await follow(node, { topic, after: 'START' });
    const reading = expect(subscription.next()).rejects.toBe(broken);
    await until('the log to be read', () => node.reads.readPage === 1);
    fail();
    await reading;
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(await subscription.next()).toEqual(done);
  });

  it('not while the database does not answer: it goes on once that does, or its reader goes', async () => {
    let away = 2;
    const node = start({
      ringBytes: 1,
      faults: (log) => ({
        async readPage(...page) {
          away -= 1;
          if (away >= 0) throw unavailable('The database does not answer.', 1_000);
          return log.readPage(...page);
        },
      }),
    });
    const topic = freshTopic();
    await node.append(topic, ...upTo(3));
    const subscription = await follow(node, { topic, after: 'START' });
    expect(ns(await take(subscription, 2))).toEqual([1, 2]);

    away = Number.POSITIVE_INFINITY;
    const before = node.reads.readPage;
    const another = await follow(node, { topic, after: 'START' });
    const reading = another.next();
    await until('another attempt', () => node.reads.readPage > before + 1);
    await another.return();
    expect(await reading).toEqual(done);
    await subscription.return();
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
  });

  it('quietly when the log cannot be read and its reader has gone', async () => {
    const { node, fail } = nodeThatFails();
    const topic = freshTopic();
    await node.append(topic, ...upTo(2));
    const subscription = await follow(node, { topic, after: 'START' });
    const reading = subscription.next();
    await until('the log to be read', () => node.reads.readPage === 1);
    await subscription.return();
    fail();
    expect(await reading).toEqual(done);
  });
});
