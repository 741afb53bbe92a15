import { randomUUID } from 'node:crypto';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { unavailable } from '../../../src/platform/errors.ts';
import { type SubscribeOptions, subscribe } from '../../../src/platform/feed/subscribe.ts';
import { encodeCursor, parseCursor } from '../../../src/platform/log/cursor.ts';
import type { TopicHead } from '../../../src/platform/log/event.ts';
import { trimBatch } from '../../../src/platform/log/trim.ts';
import { useDatabase } from '../../support/database.ts';
import { type FeedNode, faultyBus, startFeedNode } from '../../support/feeds.ts';
import {
  gate,
  notShareable,
  type RecordedRendering,
  recordedRendering,
  type Shown,
  sharing,
} from '../../support/renderings.ts';
import { type Pushed, push } from '../../support/takers.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();
const nodes: FeedNode[] = [];
const pushed: Pushed<Shown>[] = [];

afterEach(async () => {
  for (const { subscription } of pushed.splice(0)) subscription.end();
  for (const node of nodes.splice(0)) {
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(node.bus.listening).toBe(0);
    expect(node.errors).toEqual([]);
    await node.close();
  }
});

function start(options: Parameters<typeof startFeedNode>[1] = {}): FeedNode {
  const node = startFeedNode(db(), { repairEveryMs: 3_600_000, ringBytes: 1_000_000, ...options });
  nodes.push(node);
  return node;
}

const silentNode = () => start({ bus: Object.assign(faultyBus(), { loses: () => true }) });
const freshTopic = () => `topic:${randomUUID()}`;
const upTo = (last: number, from = 1) =>
  Array.from({ length: last - from + 1 }, (_, index) => ({ n: from + index }));
const numbers = (last: number, from = 1) => upTo(last, from).map(({ n }) => n);
const ns = ({ told }: Pushed<Shown>) => told.map(({ n }) => n);
const snapshot = { type: 'Snapshot', facts: { n: 'now' } };

interface WatchOptions extends Partial<SubscribeOptions> {
  /** Behind which sequence it begins. */
  readonly behind?: number;
  readonly isStalled?: boolean;
  readonly alone?: RecordedRendering;
}

/** Somebody who takes what they are told as a socket does. */
async function watch(
  node: FeedNode,
  topic: string,
  rendering: RecordedRendering,
  { behind, isStalled = false, alone = rendering, ...options }: WatchOptions = {},
): Promise<Pushed<Shown>> {
  const after = behind === undefined ? options.after : await cursorAt(node, topic, behind);
  const subscription = await subscribe(node, { topic, ...options, after }, sharing(rendering, alone));
  const one = push(subscription, isStalled);
  pushed.push(one);
  return one;
}

async function cursorAt(node: FeedNode, topic: string, seq: number): Promise<string> {
  return encodeCursor({ topic, epoch: await epochOf(node), seq });
}

async function epochOf({ log }: FeedNode): Promise<string> {
  const topic = freshTopic();
  return parseCursor(await log.cursor(topic), topic).epoch;
}

const hasTold = (one: Pushed<Shown>, count: number) =>
  until(`${count} events, not ${one.told.length}`, () => one.told.length >= count);

/** Leaves the newest rows of a topic. */
const keepNewest = (topic: string, rows: number) =>
  trimBatch(db(), topic, { keep: { ms: 0, rows }, now: Date.now() + 1_000, limit: 1_000 });

/** That somebody was told these events, each once, with its own cursor, and no earlier state behind a later one. */
function expectTold(one: Pushed<Shown>, topic: string, expected: readonly number[]): void {
  expect(ns(one)).toEqual(expected);
  expect(one.told.map(({ cursor }) => parseCursor(cursor, topic).seq)).toEqual(expected);
  const stamps = one.told.map(({ stamp }) => stamp);
  expect(stamps).toEqual(stamps.toSorted((a, b) => a - b));
}

describe('those who watch alike', () => {
  it('are told the very same results, each event rendered once', async () => {
    const node = start();
    const topic = freshTopic();
    const rendering = recordedRendering('alike');
    const all: Pushed<Shown>[] = [];
    for (let count = 0; count < 5; count += 1)
      all.push(await watch(node, topic, recordedRendering('alike')), await watch(node, topic, rendering));
    const first = all[0] as Pushed<Shown>;
    await node.append(topic, { n: 1 }, { n: 2 });
    await hasTold(first, 2);
    await node.append(topic, { n: 3 });
    for (const one of all) {
      await hasTold(one, 3);
      expectTold(one, topic, [1, 2, 3]);
      for (const [index, shown] of one.told.entries()) expect(shown).toBe(first.told[index]);
    }
    // It is the first comer's that is used; those behind it only have to have the same key.
    expect(rendering.asked).toEqual([]);
  });

  it('share nothing with those who watch the same topic differently', async () => {
    const node = start();
    const topic = freshTopic();
    const renderings = [recordedRendering('one'), recordedRendering('two')];
    const both = [];
    for (const rendering of renderings) both.push(await watch(node, topic, rendering));
    await node.append(topic, { n: 1 });
    for (const one of both) await hasTold(one, 1);
    expect(both.map(({ told }) => told[0]?.by)).toEqual(['one', 'two']);
    expect(renderings.map(({ asked }) => asked)).toEqual([[[1]], [[1]]]);
  });

  it('are told of a page that is rendered while more comes in turn', async () => {
    const node = start();
    const topic = freshTopic();
    const held = gate();
    const rendering = recordedRendering('alike', { before: () => held.pass() });
    const one = await watch(node, topic, rendering);
    await node.append(topic, { n: 1 });
    await until('the rendering', () => held.arrived === 1);
    await node.append(topic, { n: 2 });
    await node.append(topic, { n: 3 });
    held.open();
    await hasTold(one, 3);
    expect(rendering.asked).toEqual([[1], [2, 3]]);
  });

  it('are not rendered for ahead of all of them', async () => {
    const node = start();
    const topic = freshTopic();
    const rendering = recordedRendering('alike');
    const all = [await watch(node, topic, rendering), await watch(node, topic, rendering)];
    for (const one of all) one.isStalled = true;
    for (const facts of upTo(5)) {
      await node.append(topic, facts);
      await othersTurn();
    }
    // Both had been told everything when they stalled, and so wanted the next.
    expect(rendering.asked).toEqual([[1]]);
    node.tell(topic, 5, { n: -1 });
    await othersTurn();
    expect(rendering.asked).toEqual([[1]]);
    all[0]?.resume();
    await hasTold(all[0] as Pushed<Shown>, 6);
    expect(rendering.asked).toEqual([[1], [2, 3, 4, 5], [-1]]);
    all[1]?.resume();
    expect(all[1]?.told).toEqual(all[0]?.told);
    expect(rendering.asked).toHaveLength(3);
  });
});

describe('five thousand who come back', () => {
  const many = Array.from({ length: 5_000 }, (_, index) => index);

  /** A cursor for each of them: `seqOf` says where. */
  async function cursorsOf(node: FeedNode, topic: string, seqOf: (index: number) => number) {
    const start = parseCursor(await cursorAt(node, topic, 0), topic);
    return many.map((index) => encodeCursor({ ...start, seq: seqOf(index) }));
  }

  it('inside the ring are served without a query and without a rendering', async () => {
    const node = start();
    const topic = freshTopic();
    const rendering = recordedRendering('alike');
    const stays = await watch(node, topic, rendering);
    for (const facts of upTo(300)) await node.append(topic, facts);
    await hasTold(stays, 300);
    const cursors = await cursorsOf(node, topic, (index) => index % 301);
    const reads = { ...node.reads };
    const rendered = rendering.asked.length;
    const back = await Promise.all(cursors.map((after) => watch(node, topic, rendering, { after })));
    for (const [index, one] of back.entries()) expect(ns(one)).toEqual(numbers(300, (index % 301) + 1));
    expect(node.reads).toEqual(reads);
    expect(rendering.asked).toHaveLength(rendered);
    await node.append(topic, { n: 301 });
    for (const one of [stays, ...back]) await hasTold(one, 1);
    expect(rendering.asked).toHaveLength(rendered + 1);
    expect(new Set(back.map(({ told }) => told.at(-1))).size).toBe(1);
  });

  it.each([
    ['one page', 80],
    ['several pages', 420],
  ])(
    'to a fresh node, over %s, have each page of the log read once and rendered about once',
    async (_, rows) => {
      const topic = freshTopic();
      await silentNode().append(topic, ...upTo(rows));
      const node = start();
      const rendering = recordedRendering('alike');
      const cursors = await cursorsOf(node, topic, (index) => (index * 7) % (rows + 1));
      const before = node.reads.heads;
      const back = await Promise.all(cursors.map((after) => watch(node, topic, rendering, { after })));
      for (const [index, one] of back.entries()) {
        const seq = (index * 7) % (rows + 1);
        await hasTold(one, rows - seq);
        expectTold(one, topic, numbers(rows, seq + 1));
      }
      const pages = Math.ceil(rows / 100);
      expect(node.reads.readPage).toBeLessThanOrEqual(pages);
      expect(node.reads.readPages).toBe(0);
      // The feed's own, and theirs together: 500 are asked for at once.
      expect(node.reads.heads - before).toBeLessThanOrEqual(2 + many.length / 500);
      expect(rendering.asked.length).toBeLessThanOrEqual(3 * pages);
    },
  );
});

describe('the ring', () => {
  const facts = { n: 1 };
  const factsBytes = JSON.stringify(facts).length;

  it('is bounded with the results beside it', async () => {
    const node = start({ ringBytes: 1_000 });
    const topic = freshTopic();
    const renderings = [
      recordedRendering('one', { bytes: 60 }),
      recordedRendering('two', { bytes: 100 - factsBytes }),
    ];
    const both = [];
    for (const rendering of renderings) both.push(await watch(node, topic, rendering));
    const { feed, leave } = await node.hub.attach(topic);
    for (let count = 1; count <= 30; count += 1) {
      await node.append(topic, facts);
      for (const one of both) await hasTold(one, count);
      const held = feed.after((feed.first ?? 1) - 1, 1_000)?.length ?? 0;
      expect(held).toBe(Math.min(count, Math.floor(1_000 / 160)));
    }
    leave();
  });

  it('has room again when those have gone whose results were kept', async () => {
    const node = start({ ringBytes: 1_000 });
    const topic = freshTopic();
    const one = await watch(node, topic, recordedRendering('large', { bytes: 500 }));
    const { feed, leave } = await node.hub.attach(topic);
    for (let count = 1; count <= 5; count += 1) {
      await node.append(topic, facts);
      await hasTold(one, count);
    }
    expect(feed.first).toBe(5);
    one.subscription.end();
    for (let count = 1; count <= 50; count += 1) await node.append(topic, facts);
    expect(feed.first).toBe(5);
    leave();
  });

  it('has room again when those have gone whose results were being made', async () => {
    const node = start({ ringBytes: 1_000 });
    const topic = freshTopic();
    const held = gate();
    const rendering = recordedRendering('large', { bytes: 500, before: () => held.pass() });
    const one = await watch(node, topic, rendering);
    const { feed, leave } = await node.hub.attach(topic);
    await node.append(topic, facts, facts, facts);
    await until('the rendering', () => held.arrived === 1);
    one.subscription.end();
    held.open();
    await othersTurn();
    for (let count = 1; count <= 50; count += 1) await node.append(topic, facts);
    expect(feed.first).toBe(1);
    expect(one.told).toEqual([]);
    leave();
  });

  it('is given up when more is missing than is worth reading at once: all is told from the log', async () => {
    const node = start({ bus: Object.assign(faultyBus(), { loses: () => true }) });
    const topic = freshTopic();
    const rendering = recordedRendering('alike');
    const [live, slow] = [await watch(node, topic, rendering), await watch(node, topic, rendering)];
    slow.isStalled = true;
    await node.append(topic, ...upTo(3));
    await hasTold(live, 3);
    await silentNode().append(topic, ...upTo(703, 4));
    await node.hub.compareHeads();
    await hasTold(live, 703);
    expectTold(live, topic, numbers(703));
    slow.resume();
    await hasTold(slow, 703);
    expectTold(slow, topic, numbers(703));
    expect(node.reads.readPages).toBe(1);
  });
});

describe('who is far behind', () => {
  it.each(['before them', 'behind them'])(
    'does not delay the others while what it is behind cannot be rendered, come %s',
    async (when) => {
      const topic = freshTopic();
      await silentNode().append(topic, ...upTo(1_000));
      const node = start();
      const held = gate();
      const rendering = recordedRendering('alike', {
        before: ([first]) => (Number(first?.event.facts.n) <= 1_000 ? held.pass() : undefined),
      });
      const first =
        when === 'before them' ? await watch(node, topic, rendering, { after: 'START' }) : undefined;
      const live = await watch(node, topic, rendering);
      const far = first ?? (await watch(node, topic, rendering, { after: 'START' }));
      await until('the rendering', () => held.arrived === 1);
      for (let n = 1_001; n <= 1_010; n += 1) {
        await node.append(topic, { n });
        await hasTold(live, n - 1_000);
      }
      expect(far.told).toEqual([]);
      held.open();
      await hasTold(far, 1_010);
      expectTold(far, topic, numbers(1_010));
    },
  );

  it('is passed over when it stalls, and others want what comes much later', async () => {
    const node = start();
    const topic = freshTopic();
    const rendering = recordedRendering('alike');
    const stalled = await watch(node, topic, rendering, { isStalled: true });
    await node.append(topic, ...upTo(500));
    const live = await watch(node, topic, rendering);
    await node.append(topic, { n: 501 });
    await hasTold(live, 1);
    expect(rendering.asked).toEqual([[501]]);
    stalled.resume();
    await hasTold(stalled, 501);
    expectTold(stalled, topic, numbers(501));
  });

  it('shares its pages with others who are, and forgets what it holds when it is told to', async () => {
    const topic = freshTopic();
    await silentNode().append(topic, ...upTo(250));
    const node = start({ ringBytes: 1 });
    const rendering = recordedRendering('alike');
    const live = await watch(node, topic, rendering);
    const both = [
      await watch(node, topic, rendering, { after: 'START', isStalled: true }),
      await watch(node, topic, rendering, { after: 'START', isStalled: true }),
    ];
    for (const { subscription } of both) expect(subscription.take()).toBeUndefined();
    await until('a page', () => rendering.asked.length === 1);
    await othersTurn();
    const [one, two] = both as [Pushed<Shown>, Pushed<Shown>];
    const first = one.subscription.take();
    expect(two.subscription.take()).toBe(first);
    expect(rendering.asked).toHaveLength(1);
    one.subscription.forget();
    one.told.push(first as Shown);
    two.told.push(first as Shown);
    for (const each of both) each.resume();
    for (const each of both) {
      await hasTold(each, 250);
      expectTold(each, topic, numbers(250));
    }
    expect(live.told).toEqual([]);
    // The page that was given up is rendered once more, and those behind it once for both.
    expect(rendering.asked.map(({ length }) => length)).toEqual([100, 100, 100, 50]);
  });

  it('has nothing kept for it once nobody else is', async () => {
    const topic = freshTopic();
    await silentNode().append(topic, ...upTo(250));
    const node = start({ ringBytes: 1 });
    const rendering = recordedRendering('alike');
    const live = await watch(node, topic, rendering);
    const behind = async () => {
      const one = await watch(node, topic, rendering, { after: 'START' });
      await hasTold(one, 250);
      expectTold(one, topic, numbers(250));
      one.subscription.end();
    };
    await behind();
    await behind();
    expect(rendering.asked).toHaveLength(3);
    await until('it to be forgotten', async () => {
      await behind();
      return rendering.asked.length > 3;
    });
    expect(live.told).toEqual([]);
  });

  it('is told nothing of what was rendered before what it was shown last', async () => {
    const topic = freshTopic();
    const node = start({ ringBytes: 3_000 });
    const rendering = recordedRendering('alike');
    await node.append(topic, ...upTo(100));
    const live = await watch(node, topic, rendering);
    // A page is rendered, and stays at hand.
    const far = await watch(node, topic, rendering, { after: 'START' });
    await hasTold(far, 100);
    // Somebody takes the middle of it later, rendered anew for them, and stalls.
    const near = await watch(node, topic, rendering, { behind: 60, isStalled: true });
    expect(near.subscription.take()).toBeUndefined();
    await until('a rendering', () => near.subscription.take() !== undefined);
    const stamp = near.subscription.take()?.stamp as number;
    // Then all of that is forgotten, and they go on.
    for (const facts of upTo(600, 101)) await node.append(topic, facts);
    await hasTold(live, 500);
    near.resume();
    await hasTold(near, 538);
    expect(ns(near)).toEqual(numbers(600, 63));
    for (const shown of near.told) expect(shown.stamp).toBeGreaterThanOrEqual(stamp);
  });

  it('passes over what was trimmed if it was not for them, and else is told that it has gone', async () => {
    const node = start({ ringBytes: 1 });
    const topic = freshTopic();
    const typed = numbers(250).map((n) => ({ n, type: n <= 120 ? 'Other' : 'Wanted' }));
    await node.append(topic, ...typed);
    const choosy = await watch(node, topic, recordedRendering('choosy', { types: ['Wanted'] }), {
      after: 'START',
      isStalled: true,
    });
    const all = recordedRendering('all');
    const [strict, shown] = [
      await watch(node, topic, all, { after: 'START', isStalled: true }),
      await watch(node, topic, all, { after: 'START', isStalled: true, snapshot }),
    ];
    const live = await watch(node, topic, all);
    await keepNewest(topic, 130);
    for (const one of [choosy, strict, shown]) one.resume();
    await hasTold(choosy, 130);
    expectTold(choosy, topic, numbers(250, 121));
    await until('the end', () => strict.subscription.isOver);
    expect(strict.subscription.failure).toMatchObject({
      code: 'CURSOR_EXPIRED',
      details: { cursor: await cursorAt(node, topic, 250) },
    });
    await hasTold(shown, 1);
    expect(shown.told[0]).toMatchObject({ n: 'now', cursor: await cursorAt(node, topic, 250) });
    await node.append(topic, { n: 251, type: 'Wanted' });
    for (const one of [choosy, shown, live]) {
      await until('the next', () => one.told.at(-1)?.n === 251);
      one.subscription.end();
    }
  });
});

describe('what cannot be rendered for now', () => {
  const away = () => {
    throw unavailable('The database does not answer.', 1_000);
  };

  it('is rendered when it can be, for those who are up to date', async () => {
    const node = start();
    const topic = freshTopic();
    let failures = 2;
    const rendering = recordedRendering('alike', {
      before() {
        failures -= 1;
        if (failures >= 0) away();
      },
    });
    const one = await watch(node, topic, rendering);
    await node.append(topic, { n: 1 });
    await hasTold(one, 1);
    expect(rendering.asked).toEqual([[1], [1], [1]]);
  });

  it('is waited for no longer once they have gone', async () => {
    const node = start();
    const topic = freshTopic();
    const rendering = recordedRendering('alike', { before: away });
    const one = await watch(node, topic, rendering);
    await node.append(topic, { n: 1 });
    await until('attempts', () => rendering.asked.length > 1);
    one.subscription.end();
    const attempts = rendering.asked.length;
    // Another of the same key is another group.
    const other = await watch(node, topic, recordedRendering('alike'));
    await node.append(topic, { n: 2 });
    await hasTold(other, 1);
    expect(rendering.asked).toHaveLength(attempts);
  });

  it.each([
    ['far behind', 1],
    ['near', 1_000_000],
  ])('in the middle of a page is told before it, and then from there, to who is %s', async (_, ringBytes) => {
    const node = start({ ringBytes });
    const topic = freshTopic();
    await node.append(topic, ...upTo(150));
    let failures = 2;
    const rendering = recordedRendering('alike', {
      before([first]) {
        if (first?.event.facts.n !== 31) return;
        failures -= 1;
        if (failures >= 0) away();
      },
      most: (deliveries) => {
        const at = deliveries.findIndex(({ event }) => event.facts.n === 31);
        return at > 0 && failures > 0 ? at : deliveries.length;
      },
    });
    const live = await watch(node, topic, rendering);
    // Two at the beginning, one in the middle, one right before it, and two who begin behind it.
    const all = [];
    for (const behind of [0, 0, 12, 30, 31, 77])
      all.push([behind, await watch(node, topic, rendering, { behind })] as const);
    for (const [behind, one] of all) {
      await hasTold(one, 150 - behind);
      expectTold(one, topic, numbers(150, behind + 1));
      expect(one.subscription.isOver).toBe(false);
    }
    expect(live.told).toEqual([]);
  });

  it('also while the present is shown, or a gap is passed over', async () => {
    let failures = 1;
    const node = start({
      ringBytes: 1,
      faults: (log) => ({
        async heads(topics) {
          failures -= 1;
          if (failures === 0) away();
          return log.heads(topics);
        },
      }),
    });
    failures = 0;
    const topic = freshTopic();
    await node.append(topic, ...upTo(150));
    let attempts = 0;
    const rendering = recordedRendering('alike', {
      before([first]) {
        attempts += 1;
        if (attempts === 1 && first?.event.type === 'Snapshot') away();
      },
    });
    const one = await watch(node, topic, rendering, { snapshot });
    await hasTold(one, 1);
    expect(rendering.asked).toEqual([['now'], ['now']]);
    const far = await watch(node, topic, rendering, { behind: 0, snapshot, isStalled: true });
    await keepNewest(topic, 10);
    failures = 1;
    far.resume();
    await hasTold(far, 1);
    expect(far.told[0]).toMatchObject({ type: 'Snapshot', cursor: await cursorAt(node, topic, 150) });
    expect(failures).toBeLessThan(0);
  });
});

describe('what can never be rendered', () => {
  const broken = new Error('a bug');
  const failsAt = (n: unknown) => ({
    before([first]: readonly { readonly event: { readonly facts: { readonly [name: string]: unknown } } }[]) {
      if (first?.event.facts.n === n) throw broken;
    },
    most(
      deliveries: readonly { readonly event: { readonly facts: { readonly [name: string]: unknown } } }[],
    ) {
      const at = deliveries.findIndex(({ event }) => event.facts.n === n);
      return at > 0 ? at : deliveries.length;
    },
  });

  it('ends all who are about to be told it, behind what comes before', async () => {
    const node = start();
    const topic = freshTopic();
    const rendering = recordedRendering('alike', failsAt(3));
    const all = [await watch(node, topic, rendering), await watch(node, topic, rendering)];
    const other = await watch(node, topic, recordedRendering('other'));
    await node.append(topic, ...upTo(5));
    for (const one of all) {
      await until('the end', () => one.subscription.isOver);
      expectTold(one, topic, [1, 2]);
      expect(one.subscription.failure).toBe(broken);
      expect(one.subscription.take()).toBeUndefined();
    }
    await hasTold(other, 5);
    expect(node.hub.size()).toEqual({ topics: 1, members: 1 });
  });

  it('ends those who read it alone, and nobody who is past it', async () => {
    const topic = freshTopic();
    await silentNode().append(topic, ...upTo(350));
    const node = start();
    const rendering = recordedRendering('alike', failsAt(130));
    const live = await watch(node, topic, rendering);
    const past = await watch(node, topic, rendering, { behind: 140 });
    const first = await watch(node, topic, rendering, { behind: 0 });
    await until('the end', () => first.subscription.isOver);
    expectTold(first, topic, numbers(129));
    // Also who comes right before it when the page is at hand.
    const second = await watch(node, topic, rendering, { behind: 129 });
    await until('the end', () => second.subscription.isOver);
    expect(second.told).toEqual([]);
    for (const one of [first, second]) expect(one.subscription.failure).toBe(broken);
    await hasTold(past, 210);
    expectTold(past, topic, numbers(350, 141));
    await node.append(topic, { n: 351 });
    await hasTold(past, 211);
    await hasTold(live, 1);
    expect([past, live].map(({ subscription }) => subscription.isOver)).toEqual([false, false]);
  });

  it('ends who was to be shown the present', async () => {
    const node = start();
    const topic = freshTopic();
    const one = await watch(node, topic, recordedRendering('alike', failsAt('now')), { snapshot });
    await until('the end', () => one.subscription.isOver);
    expect(one.subscription.failure).toBe(broken);
  });

  it('ends nobody twice, nor who has gone meanwhile', async () => {
    const node = start({ ringBytes: 1 });
    const topic = freshTopic();
    await node.append(topic, ...upTo(120));
    const held = gate();
    const rendering = recordedRendering('alike', {
      async before() {
        await held.pass();
        throw broken;
      },
    });
    const live = await watch(node, topic, rendering);
    const far = await watch(node, topic, rendering, { after: 'START' });
    const present = await watch(node, topic, rendering, { snapshot });
    await node.append(topic, { n: 121 });
    await until('all to be under way', () => held.arrived === 3);
    for (const { subscription } of [live, far, present]) subscription.end();
    held.open();
    await othersTurn();
    for (const { subscription, told } of [live, far, present]) {
      subscription.fail(broken);
      expect([subscription.isOver, subscription.failure, told]).toEqual([true, undefined, []]);
    }
  });
});

describe('what cannot be shared', () => {
  const shared = () => recordedRendering('shared', { after: notShareable });

  it.each([
    ['live', {}, 1],
    ['far behind', { after: 'START' }, 121],
    ['shown the present', { snapshot }, 2],
  ])('is rendered for each alone: %s', async (_, options, count) => {
    const node = start({ ringBytes: 1 });
    const topic = freshTopic();
    await node.append(topic, ...upTo(120));
    const rendering = shared();
    const live = await watch(node, topic, recordedRendering('other'));
    const alones = [recordedRendering('alone 1'), recordedRendering('alone 2')];
    const all = [];
    for (const alone of alones) all.push(await watch(node, topic, rendering, { ...options, alone }));
    await node.append(topic, { n: 121 });
    for (const [index, one] of all.entries()) {
      await hasTold(one, count);
      expect(new Set(one.told.map(({ by }) => by))).toEqual(new Set([`alone ${index + 1}`]));
      expect(one.told.at(-1)?.n).toBe(121);
      expect(one.subscription.rendering).toBe(alones[index]);
    }
    expect(live.told.map(({ n }) => n)).toEqual([121]);
  });

  it('does not go further when whoever watches leaves as it is found out', async () => {
    const node = start();
    const topic = freshTopic();
    const held = gate();
    const rendering = recordedRendering('shared', { before: () => held.pass(), after: notShareable });
    const alone = recordedRendering('alone');
    const one = await watch(node, topic, rendering, { alone });
    await node.append(topic, { n: 1 });
    await until('the rendering', () => held.arrived === 1);
    one.subscription.end();
    one.subscription.separate();
    held.open();
    await othersTurn();
    expect(alone.asked).toEqual([]);
  });
});

describe('who goes on with another rendering', () => {
  it('is told each event once, by the one or the other, and none of an earlier state', async () => {
    const node = start();
    const topic = freshTopic();
    const [before, behind] = [recordedRendering('before'), recordedRendering('behind')];
    const [one, early] = [await watch(node, topic, before), await watch(node, topic, behind)];
    await node.append(topic, { n: 1 }, { n: 2 });
    await hasTold(one, 2);
    one.isStalled = true;
    await node.append(topic, { n: 3 });
    await hasTold(early, 3);
    one.subscription.rerender(sharing(behind));
    expect(one.subscription.rendering).toBe(behind);
    one.resume();
    await node.append(topic, { n: 4 });
    await hasTold(one, 4);
    expectTold(one, topic, [1, 2, 3, 4]);
    expect(one.told.map(({ by }) => by)).toEqual(['before', 'before', 'behind', 'behind']);
    expectTold(early, topic, [1, 2, 3, 4]);
  });

  it('goes on in the same group when that is what it is', async () => {
    const node = start();
    const topic = freshTopic();
    const rendering = recordedRendering('alike');
    const one = await watch(node, topic, rendering);
    one.subscription.rerender(sharing(recordedRendering('alike')));
    expect(one.subscription.rendering).toBe(rendering);
    await node.append(topic, { n: 1 });
    await hasTold(one, 1);
    one.subscription.end();
    one.subscription.rerender(sharing(recordedRendering('other')));
    expect(one.subscription.rendering).toBe(rendering);
  });

  it.each([
    ['a page', { after: 'START' }, 120],
    ['the present', { snapshot }, 1],
  ])('does not get %s of the one before', async (_, options, count) => {
    const node = start({ ringBytes: 1 });
    const topic = freshTopic();
    await node.append(topic, ...upTo(120));
    const held = gate();
    const before = recordedRendering('before', { before: () => held.pass() });
    const live = await watch(node, topic, before);
    const one = await watch(node, topic, before, options);
    await until('the rendering', () => held.arrived === 1);
    one.subscription.rerender(sharing(recordedRendering('behind')));
    held.open();
    await hasTold(one, count);
    expect(new Set(one.told.map(({ by }) => by))).toEqual(new Set(['behind']));
    expect(one.told).toHaveLength(count);
    expect(live.told).toEqual([]);
  });
});

it('an event that is not kept is rendered once, and again for who was shown a later state', async () => {
  const node = start();
  const topic = freshTopic();
  const rendering = recordedRendering('alike');
  const [one, two] = [await watch(node, topic, rendering), await watch(node, topic, rendering)];
  node.tell(topic, 0, { n: -1 });
  for (const each of [one, two]) await hasTold(each, 1);
  expect(one.told[0]).toBe(two.told[0]);
  expect(rendering.asked).toEqual([[-1]]);
  const later = await watch(node, topic, rendering, { snapshot });
  await hasTold(later, 2);
  expect(ns(later)).toEqual(['now', -1]);
  const [present, passing] = later.told as [Shown, Shown];
  expect(passing.stamp).toBeGreaterThan(present.stamp);
  expect(passing.cursor).toBe(one.told[0]?.cursor);
  expect([one, two].map(ns)).toEqual([[-1], [-1]]);
});

it('the head that a far node has passed is read when somebody joins there', async () => {
  const node = start({ bus: Object.assign(faultyBus(), { loses: () => true }) });
  const topic = freshTopic();
  const rendering = recordedRendering('alike');
  const first = await watch(node, topic, rendering);
  await silentNode().append(topic, ...upTo(3));
  const second = await watch(node, topic, rendering);
  await hasTold(first, 3);
  expect(second.told).toEqual([]);
  expect(((await node.log.heads([topic])).get(topic) as TopicHead).head).toBe(3);
  await node.append(topic, { n: 4 });
  for (const one of [first, second]) await until('the fourth', () => one.told.at(-1)?.n === 4);
  expectTold(first, topic, [1, 2, 3, 4]);
  expectTold(second, topic, [4]);
});
