import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { UnknownEventError } from '../../src/graphql/errors.ts';
import type { Viewer } from '../../src/platform/auth/viewer.ts';
import { badInput, unavailable } from '../../src/platform/errors.ts';
import { Subscription } from '../../src/platform/feed/subscription.ts';
import { encodeCursor, parseCursor } from '../../src/platform/log/cursor.ts';
import { useDatabase } from '../support/database.ts';
import { type Resolvers, type Started, startDelivery } from '../support/deliveries.ts';
import { type FeedNode, startFeedNode } from '../support/feeds.ts';
import { until } from '../support/until.ts';
import { anonymous } from '../support/viewers.ts';

const db = useDatabase();
const ends: Array<() => Promise<void> | void> = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Delivery on a node of its own; everything is ended after the test. */
function start(resolvers: Resolvers = {}) {
  const node = startFeedNode(db(), { repairEveryMs: 3_600_000 });
  const system = startDelivery(node, resolvers);
  const started: Started[] = [];
  ends.push(async () => {
    for (const { subscription } of started) subscription.end();
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
    expect(node.errors).toEqual([]);
    system.connections.close();
    await node.close();
  });
  return {
    ...system,
    node,
    get notShareable() {
      return system.notShareable;
    },
    async subscribe(...args: Parameters<typeof system.subscribe>): Promise<Started> {
      const one = await system.subscribe(...args);
      started.push(one);
      return one;
    },
  };
}

const freshTopic = () => `topic:${randomUUID()}`;
const hasTold = ({ taker }: Started, count: number) =>
  until(`${count} results`, () => taker.told.length >= count);
const user = (id: string): Viewer => ({
  ...anonymous,
  user: { id, roles: ['USER'], tokenId: id, issuedAt: new Date(0), expiresAt: new Date(4e12) },
});

async function cursorAt({ log }: FeedNode, topic: string, seq: number): Promise<string> {
  return encodeCursor({ ...parseCursor(await log.cursor(topic), topic), seq });
}

const watchTopic =
  'subscription ($topic: ID!, $after: String) { watched(topic: $topic, after: $after) { n } }';

describe('an event', () => {
  it('is executed once for all who watch alike, and each of them is given the very same frame', async () => {
    const { node, subscribe, executed } = start();
    const topic = freshTopic();
    const all: Started[] = [];
    for (const id of ['alice', 'bob', 'carol'])
      all.push(await subscribe(watchTopic, { variables: { topic }, viewer: user(id) }));
    await node.append(topic, { n: 1, text: 'ä€🙂' });
    for (const one of all) {
      await hasTold(one, 1);
      expect(one.taker.told[0]).toBe(all[0]?.taker.told[0]);
    }
    expect(executed).toHaveLength(1);
    expect(all[0]?.taker.told[0]).toEqual({
      cursor: await cursorAt(node, topic, 1),
      payload: '{"data":{"watched":{"n":1}}}',
    });
    expect(all[0]?.subscription.rendering.sizeOf(all[0].taker.told[0] as never)).toBe(28);
  });

  it('is one character for each byte of its result in UTF-8', async () => {
    const { node, subscribe } = start();
    const topic = freshTopic();
    const one = await subscribe(
      'subscription ($topic: ID!) { watched(topic: $topic) { ... on Kept { text } } }',
      {
        variables: { topic },
      },
    );
    await node.append(topic, { n: 1, text: 'ä€🙂' }, { n: 2, text: 'plain' });
    await hasTold(one, 2);
    expect(one.results()).toEqual(['ä€🙂', 'plain'].map((text) => ({ data: { watched: { text } } })));
    expect(one.taker.told[0]?.payload).toMatch(/^[\0-\xff]*$/);
    expect(one.taker.told[0]?.payload).toHaveLength(
      Buffer.byteLength('{"data":{"watched":{"text":"ä€🙂"}}}'),
    );
  });

  it('has a context that is that of its batch alone, with nothing in it of who began', async () => {
    const { node, subscribe, executed } = start();
    const topic = freshTopic();
    const one = await subscribe(watchTopic, {
      variables: { topic },
      context: { address: '192.0.2.1', resumeAfter: 'START', onPosition: () => {} },
    });
    for (const batch of [[{ n: 1 }, { n: 2 }], [{ n: 3 }], [{ n: 4 }]]) {
      await node.append(topic, ...batch);
      await hasTold(one, Number(batch.at(-1)?.n));
    }
    const loaders = executed.map(({ context }) => context.loaders);
    expect(loaders[0]).toBe(loaders[1]);
    expect(new Set(loaders).size).toBe(3);
    expect(loaders).not.toContain((one.args.contextValue as { loaders: unknown }).loaders);
    for (const { context } of executed)
      expect([context.address, context.resumeAfter, context.onPosition]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    expect(executed[0]?.context.view).toEqual({ access: 'OWNER', objectId: 'job_1' });
  });

  it('waits until what it needs answers, and then is loaded anew', async () => {
    let failures = 2;
    const loaders: unknown[] = [];
    const { node, subscribe } = start({
      away: (_delivery, context) => {
        loaders.push(context.loaders);
        failures -= 1;
        if (failures >= 0) throw unavailable('The database does not answer.', 1_000);
        return 7;
      },
    });
    const topic = freshTopic();
    const query = 'subscription ($topic: ID!) { watched(topic: $topic) { n ... on Kept { away } } }';
    const both = [
      await subscribe(query, { variables: { topic } }),
      await subscribe(query, { variables: { topic } }),
    ];
    await node.append(topic, { n: 1 }, { n: 2 });
    for (const one of both) {
      await hasTold(one, 2);
      expect(one.results()).toEqual([1, 2].map((n) => ({ data: { watched: { n, away: 7 } } })));
    }
    expect(new Set(loaders).size).toBe(3);
    expect(loaders).toHaveLength(4);
  });

  it('that waits in the middle of a page keeps nothing back that comes before', async () => {
    let isAway = true;
    const { node, subscribe } = start({
      away: ({ event }) => {
        if (event.facts.n === 3 && isAway) throw unavailable('The database does not answer.', 1_000);
        return 7;
      },
    });
    const topic = freshTopic();
    const one = await subscribe(
      'subscription ($topic: ID!) { watched(topic: $topic) { n ... on Kept { away } } }',
      {
        variables: { topic },
      },
    );
    await node.append(topic, { n: 1 }, { n: 2 }, { n: 3 }, { n: 4 });
    await hasTold(one, 2);
    expect(one.results()).toHaveLength(2);
    isAway = false;
    await hasTold(one, 4);
    expect(one.results().map(({ data }) => data.watched.n)).toEqual([1, 2, 3, 4]);
  });

  it('has its errors masked, and its bugs are heard of', async () => {
    const bug = new Error('a secret');
    const { node, subscribe, bugs } = start({
      bug: ({ event }) => {
        throw event.facts.n === 1 ? bug : badInput('least', 'Too small.');
      },
    });
    const topic = freshTopic();
    const one = await subscribe(
      'subscription ($topic: ID!) { watched(topic: $topic) { n ... on Kept { bug } } }',
      {
        variables: { topic },
      },
    );
    await node.append(topic, { n: 1 }, { n: 2 });
    await hasTold(one, 2);
    expect(one.results()).toMatchObject([
      {
        data: { watched: { n: 1, bug: null } },
        errors: [{ message: 'Unexpected error.', extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
      },
      {
        data: { watched: { n: 2, bug: null } },
        errors: [{ message: 'Too small.', path: ['watched', 'bug'], extensions: { code: 'BAD_USER_INPUT' } }],
      },
    ]);
    expect(bugs).toEqual([bug]);
    expect(one.taker.told[0]?.payload).not.toContain('secret');
  });

  it.each([
    ['of a type that is not known', { type: 'Unheard' }],
    ['of a name that is no type of events', { type: 'Watched' }],
  ])('%s ends the subscriptions, behind what comes before it: it is not skipped', async (_, event) => {
    const { node, subscribe, bugs } = start();
    const topic = freshTopic();
    await node.append(topic, { n: 1 }, { n: 2 }, { n: 3, ...event }, { n: 4 });
    const live = await subscribe(watchTopic, { variables: { topic } });
    const replay = await subscribe(watchTopic, { variables: { topic, after: 'START' } });
    await until('the end', () => replay.subscription.isOver);
    expect(replay.results().map(({ data }) => data.watched.n)).toEqual([1, 2]);
    expect(replay.subscription.failure).toBeInstanceOf(UnknownEventError);
    expect(live.subscription.isOver).toBe(false);
    await node.append(topic, { n: 5 }, { n: 6, ...event });
    await until('the end', () => live.subscription.isOver);
    expect(live.results().map(({ data }) => data.watched.n)).toEqual([5]);
    expect(live.subscription.failure).toBeInstanceOf(UnknownEventError);
    const last = live.taker.told.at(-1)?.cursor;
    const again = await subscribe(watchTopic, { variables: { topic, after: last } });
    await until('the end', () => again.subscription.isOver);
    expect(again.taker.told).toEqual([]);
    expect(bugs).toEqual([]);
  });

  it('in a shape that is not known ends them too', async () => {
    const { node, subscribe } = start();
    const topic = freshTopic();
    const one = await subscribe(watchTopic, { variables: { topic } });
    await db().transaction(async (tx) =>
      node.log.append(tx, { type: 'Kept', version: 2, facts: { n: 1 }, topics: [topic] }),
    );
    await until('the end', () => one.subscription.isOver);
    expect(one.subscription.failure).toBeInstanceOf(UnknownEventError);
    expect(one.taker.told).toEqual([]);
  });
});

/** An operation that is asked for; a variable CURSOR stands for one of its topic. */
interface Asked {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly operationName?: string;
}

describe('what is shared', () => {
  const plain = { query: watchTopic, variables: {} };
  const filtered =
    'subscription ($topic: ID!, $filter: Filter) { watched(topic: $topic, filter: $filter) { n } }';
  const viewed = `
    subscription ($topic: ID!, $access: String = "OWNER", $objectId: ID = "job_1", $userId: ID) {
      watched(topic: $topic, access: $access, objectId: $objectId, userId: $userId) { n }
    }`;
  const named = `subscription A($topic: ID!) { watched(topic: $topic) { n } }
    subscription B($topic: ID!) { watched(topic: $topic) { n } }`;

  /** How often one event is executed for two who watch these. */
  async function executions(one: Asked, two: Asked): Promise<number> {
    const { node, subscribe, executed } = start();
    const topic = freshTopic();
    await node.append(topic, { n: 0 });
    const place = await cursorAt(node, topic, 1);
    const both = [];
    for (const { query, variables, ...rest } of [one, two]) {
      const given = Object.fromEntries(
        Object.entries(variables).map(([name, value]) => [name, value === 'CURSOR' ? place : value]),
      );
      both.push(await subscribe(query, { ...rest, variables: { topic, ...given } }));
    }
    await node.append(topic, { n: 1 });
    for (const each of both) {
      await hasTold(each, 1);
      each.subscription.end();
    }
    return executed.filter(({ n }) => n === 1).length;
  }

  it.each<[string, Asked, Asked]>([
    ['the same', plain, plain],
    ['the same, from another cursor', plain, { ...plain, variables: { after: 'CURSOR' } }],
    [
      'the same, from a cursor of any name, also with a default',
      {
        query:
          'subscription ($topic: ID!, $from: String = null) { watched(topic: $topic, after: $from) { n } }',
        variables: {},
      },
      {
        query:
          'subscription ($topic: ID!, $from: String = null) { watched(topic: $topic, after: $from) { n } }',
        variables: { from: 'CURSOR' },
      },
    ],
    [
      'the same variables in another order, and with defaults',
      { query: filtered, variables: { filter: { name: 'x', least: 0 } } },
      { query: filtered, variables: { filter: { name: 'x' } } },
    ],
    [
      'the same operation of a document',
      { query: named, variables: {}, operationName: 'A' },
      { query: named, variables: { unused: 1 }, operationName: 'A' },
    ],
  ])('is %s', async (_, one, two) => {
    expect(await executions(one, two)).toBe(1);
  });

  it.each<[string, Asked, Asked]>([
    ['another document', plain, { ...plain, query: `${watchTopic} ` }],
    [
      'another operation of a document',
      { query: named, variables: {}, operationName: 'A' },
      { query: named, variables: {}, operationName: 'B' },
    ],
    [
      'other variables',
      { query: filtered, variables: { filter: { name: 'x' } } },
      { query: filtered, variables: { filter: { name: 'y' } } },
    ],
    [
      'another cursor that is used elsewhere too',
      {
        query:
          'subscription ($topic: ID!, $from: String) { watched(topic: $topic, after: $from, other: $from) { n } }',
        variables: {},
      },
      {
        query:
          'subscription ($topic: ID!, $from: String) { watched(topic: $topic, after: $from, other: $from) { n } }',
        variables: { from: 'CURSOR' },
      },
    ],
    ...Object.entries({ access: 'SERVICE', objectId: 'job_2', userId: 'usr_1' }).map(
      ([name, value]): [string, Asked, Asked] => [
        `another view (${name})`,
        { query: viewed, variables: {} },
        { query: viewed, variables: { [name]: value } },
      ],
    ),
  ])('is not %s', async (_, one, two) => {
    expect(await executions(one, two)).toBe(2);
  });

  it('is not what another view makes of the very same document and variables', async () => {
    const { node, subscribe, executed, rights } = start();
    const topic = freshTopic();
    const one = await subscribe(watchTopic, { variables: { topic } });
    rights.access = 'SERVICE';
    const two = await subscribe(watchTopic, { variables: { topic } });
    await node.append(topic, { n: 1 });
    for (const each of [one, two]) await hasTold(each, 1);
    expect(executed.map(({ context }) => context.view?.access).sort()).toEqual(['OWNER', 'SERVICE']);
  });

  it('is nothing of another topic', async () => {
    const { node, subscribe, executed } = start();
    const query = 'subscription { watched(topic: "t") { n } }';
    const topics = [freshTopic(), freshTopic()];
    const both = [];
    for (const topic of topics) both.push(await subscribe(query.replace('"t"', JSON.stringify(topic))));
    await node.append(topics[0] as string, { n: 1 });
    await node.append(topics[1] as string, { n: 2 });
    for (const each of both) await hasTold(each, 1);
    expect(both.map((each) => each.results()[0].data.watched.n)).toEqual([1, 2]);
    expect(executed).toHaveLength(2);
  });
});

describe('a field that asks who watches', () => {
  const asksFor = (field: string) =>
    `subscription ($topic: ID!) { watched(topic: $topic) { n ... on Kept { ${field} } } }`;

  it.each(['viewer', 'connection'] as const)(
    'by %s is executed for each viewer alone, with nothing of one told to another',
    async (field) => {
      const system = start({
        viewer: (_delivery, { viewer }) => viewer.user?.id,
        connection: (_delivery, { connection }) => connection.isOver,
      });
      const { node, subscribe, executed, bugs } = system;
      const topic = freshTopic();
      const names = ['alice', 'bob', 'carol'];
      const all: Started[] = [];
      for (const id of names)
        all.push(await subscribe(asksFor(field), { variables: { topic }, viewer: user(id) }));
      await node.append(topic, { n: 1 });
      const expected = (id: string, n: number) => ({
        data: { watched: { n, [field]: field === 'viewer' ? id : false } },
      });
      for (const [index, one] of all.entries()) {
        await hasTold(one, 1);
        expect(one.results()).toEqual([expected(String(names[index]), 1)]);
      }
      expect(system.notShareable).toBe(1);
      expect(executed).toHaveLength(4);
      // Who comes later is executed alone from the start.
      const late = await subscribe(asksFor(field), { variables: { topic }, viewer: user('dave') });
      await node.append(topic, { n: 2 });
      for (const one of [...all, late]) await hasTold(one, one === late ? 1 : 2);
      expect(late.results()).toEqual([expected('dave', 2)]);
      expect(system.notShareable).toBe(1);
      expect(executed).toHaveLength(8);
      expect(bugs).toEqual([]);
    },
  );

  it('is found out in a replay and in a snapshot as well', async () => {
    const system = start({ viewer: (_delivery, { viewer }) => viewer.user?.id });
    const { node, subscribe } = system;
    const topic = freshTopic();
    await node.append(topic, { n: 1 }, { n: 2 });
    // Somebody who is up to date, so that what follows is a replay.
    await subscribe(watchTopic, { variables: { topic } });
    const query =
      'subscription ($topic: ID!, $after: String) { watched(topic: $topic, after: $after) { ... on Kept { viewer } } }';
    const one = await subscribe(query, { variables: { topic, after: 'START' }, viewer: user('alice') });
    await hasTold(one, 2);
    expect(one.results().map(({ data }) => data.watched.viewer)).toEqual(['alice', 'alice']);
    expect(system.notShareable).toBe(1);
  });

  it('is told of by another operation of the same document no more than it asks', async () => {
    const system = start({ viewer: (_delivery, { viewer }) => viewer.user?.id });
    const { node, subscribe, executed } = system;
    const topic = freshTopic();
    const query = `subscription Who($topic: ID!) { watched(topic: $topic) { ... on Kept { viewer } } }
      subscription What($topic: ID!) { watched(topic: $topic) { n } }`;
    const options = { variables: { topic } };
    const who = await subscribe(query, { ...options, operationName: 'Who', viewer: user('alice') });
    const what = [
      await subscribe(query, { ...options, operationName: 'What', viewer: user('alice') }),
      await subscribe(query, { ...options, operationName: 'What', viewer: user('bob') }),
    ];
    await node.append(topic, { n: 1 });
    for (const one of [who, ...what]) await hasTold(one, 1);
    expect(what[0]?.taker.told[0]).toBe(what[1]?.taker.told[0]);
    expect(executed).toHaveLength(3);
  });

  it('follows whoever is on the connection now, and shares with them on the same connection', async () => {
    const { node, subscribe, connections } = start({
      viewer: (_delivery, { viewer }) => viewer.user?.id,
    });
    const topic = freshTopic();
    const connection = connections.open(user('alice'));
    const options = { variables: { topic }, connection };
    const first = await subscribe(asksFor('viewer'), options);
    await node.append(topic, { n: 1 });
    await hasTold(first, 1);
    const second = await subscribe(asksFor('viewer'), options);
    connection.refresh(user('alice anew'));
    await node.append(topic, { n: 2 });
    for (const one of [first, second]) await hasTold(one, one === first ? 2 : 1);
    expect(first.results().map(({ data }) => data.watched.viewer)).toEqual(['alice', 'alice anew']);
    expect(second.taker.told[0]).toBe(first.taker.told[1]);
  });
});

describe('a subscription', () => {
  it('that is refused is answered, not begun', async () => {
    const { begin, node } = start();
    const refused = await begin('subscription { watched(topic: "t", isRefused: true) { n } }');
    expect(refused).toMatchObject({ errors: [{ message: 'not yours' }] });
    expect(refused).not.toBeInstanceOf(Subscription);
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
  });

  it('behind what is no cursor is refused as well', async () => {
    const { begin } = start();
    expect(await begin('subscription { watched(topic: "t", after: "nonsense") { n } }')).toMatchObject({
      errors: [{ message: 'The cursor is malformed.' }],
    });
  });

  it('tells where it begins, and begins where its transport knows better than its argument', async () => {
    const { node, subscribe } = start();
    const topic = freshTopic();
    await node.append(topic, { n: 1 }, { n: 2 });
    const positions: string[] = [];
    const resumeAfter = await cursorAt(node, topic, 1);
    const one = await subscribe(watchTopic, {
      variables: { topic, after: 'START' },
      context: { resumeAfter, onPosition: (cursor) => positions.push(cursor) },
    });
    await hasTold(one, 1);
    expect(one.results()).toEqual([{ data: { watched: { n: 2 } } }]);
    expect(positions).toEqual([resumeAfter]);
  });

  it('is over at once when its connection is', async () => {
    const { subscribe, connections, node } = start();
    const connection = connections.open(anonymous);
    connection.closed();
    const one = await subscribe(watchTopic, { variables: { topic: freshTopic() }, connection });
    expect(one.subscription.isOver).toBe(true);
    expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
  });

  it('of some types passes over the others', async () => {
    const { node, subscribe, executed } = start();
    const topic = freshTopic();
    const one = await subscribe(
      'subscription ($topic: ID!) { watched(topic: $topic, types: ["Other"]) { n } }',
      {
        variables: { topic },
      },
    );
    await node.append(topic, { n: 1 }, { n: 2, type: 'Other' }, { n: 3, type: 'Unheard' });
    await node.append(topic, { n: 4, type: 'Other' });
    await hasTold(one, 2);
    expect(one.results().map(({ data }) => data.watched.n)).toEqual([2, 4]);
    expect(executed).toHaveLength(2);
  });

  it('is shown the present by an execution like any other', async () => {
    const { node, subscribe, executed } = start();
    const topic = freshTopic();
    await node.append(topic, { n: 1 });
    const one = await subscribe('subscription ($topic: ID!) { watched(topic: $topic) { __typename n } }', {
      variables: { topic },
      snapshot: true,
    });
    await hasTold(one, 1);
    expect(one.results()).toEqual([{ data: { watched: { __typename: 'Snapshot', n: null } } }]);
    expect(one.taker.told[0]?.cursor).toBe(await cursorAt(node, topic, 1));
    expect(executed[0]?.context.view).toEqual({ access: 'OWNER', objectId: 'job_1' });
    node.tell(topic, 1, { n: 5, type: 'Kept' });
    await hasTold(one, 2);
    expect(one.results()[1]).toEqual({ data: { watched: { __typename: 'Kept', n: 5 } } });
  });
});

describe('when rights are decided anew', () => {
  it('a subscription goes on in the view that is now its own, without a gap or a repetition', async () => {
    const { node, subscribe, executed, rights, delivery } = start();
    const topic = freshTopic();
    const one = await subscribe(watchTopic, { variables: { topic } });
    await node.append(topic, { n: 1 });
    await hasTold(one, 1);
    rights.access = 'ADMIN';
    expect(await delivery.authorize(one.args, one.subscription)).toBeUndefined();
    await node.append(topic, { n: 2 });
    await hasTold(one, 2);
    expect(one.results().map(({ data }) => data.watched.n)).toEqual([1, 2]);
    expect(executed.map(({ context }) => context.view?.access)).toEqual(['OWNER', 'ADMIN']);
    expect(node.hub.size()).toEqual({ topics: 1, members: 1 });
  });

  it('a subscription that is not allowed any more is answered why, and is left to its caller to end', async () => {
    const { node, subscribe, rights, delivery } = start();
    const one = await subscribe(watchTopic, { variables: { topic: freshTopic() } });
    rights.isRefused = true;
    expect(await delivery.authorize(one.args, one.subscription)).toMatchObject({
      errors: [{ message: 'not yours' }],
    });
    expect(one.subscription.isOver).toBe(false);
    expect(node.hub.size()).toEqual({ topics: 1, members: 1 });
  });

  it('one that nothing has changed for goes on in its group', async () => {
    const { node, subscribe, executed, delivery } = start();
    const topic = freshTopic();
    const both = [
      await subscribe(watchTopic, { variables: { topic } }),
      await subscribe(watchTopic, { variables: { topic } }),
    ];
    const [one] = both as [Started, Started];
    expect(await delivery.authorize(one.args, one.subscription)).toBeUndefined();
    await node.append(topic, { n: 1 });
    for (const each of both) await hasTold(each, 1);
    expect(executed).toHaveLength(1);
  });
});
