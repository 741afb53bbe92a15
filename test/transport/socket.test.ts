import { randomUUID } from 'node:crypto';
import { parse } from 'graphql';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Frame } from '../../src/graphql/delivery.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { subscribe } from '../../src/platform/feed/subscribe.ts';
import { createOutboxes, frameOf } from '../../src/transport/outbox.ts';
import { RefusedOperation, SocketSubscription } from '../../src/transport/socket-subscription.ts';
import { useDatabase } from '../support/database.ts';
import { type FeedNode, startFeedNode } from '../support/feeds.ts';
import { type Linked, linkSockets, moreThanALineTakes } from '../support/sockets.ts';
import { until } from '../support/until.ts';

const db = useDatabase();
const args = { schema: buildSchema(), document: parse('subscription { activity { id } }') };
let node: FeedNode;

beforeAll(() => {
  node = startFeedNode(db());
  return () => node.close();
});

async function link(socketBytes = 262_144): Promise<Linked> {
  const [linked] = await linkSockets(1, createOutboxes({ socketBytes, totalBytes: 0 }));
  return linked as Linked;
}

const freshTopic = () => `topic:${randomUUID()}`;
const upTo = (last: number, size = 0) =>
  Array.from({ length: last }, (_, index) => ({ n: index + 1, text: 'x'.repeat(size) }));

/** A subscription to everything in a topic, that is running on a socket; `over` settles when it is. */
async function run({ socket }: Linked, id: string, topic: string) {
  const rendering = {
    key: 'all',
    render: async (deliveries: readonly { event: { facts: object }; cursor: string }[]): Promise<Frame[]> =>
      deliveries.map(({ event, cursor }) => ({ cursor, payload: JSON.stringify(event.facts) })),
    sizeOf: ({ payload }: Frame) => payload.length,
  };
  const subscription = await subscribe<Frame>(
    node,
    { topic, after: 'START' },
    { shared: rendering, personal: { alone: () => rendering } },
  );
  const running = new SocketSubscription(socket, id, args, subscription);
  return { running, subscription, over: running[Symbol.asyncIterator]().next() };
}

const toldTo = ({ peer }: Linked, id: string) => peer.of(id).map(({ payload }) => payload.n);
const ns = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe('a subscription on a socket', () => {
  it('is told all there is, each with its id, and is over when it is returned', async () => {
    const linked = await link();
    const topic = freshTopic();
    await node.append(topic, ...upTo(250));
    const id = 'é"\n€';
    const { running, over } = await run(linked, id, topic);
    await until('all of it', () => toldTo(linked, id).length === 250);
    expect(linked.peer.messages[0]).toEqual({ id, type: 'next', payload: { n: 1, text: '' } });
    expect(toldTo(linked, id)).toEqual(ns(250));
    expect(linked.socket.subscriptions).toEqual([running]);
    expect(await running.return()).toEqual({ done: true, value: undefined });
    expect(await over).toEqual({ done: true, value: undefined });
    expect(linked.socket.subscriptions).toEqual([]);
  });

  it('that is refused is over with that', async () => {
    const linked = await link();
    const { running, over } = await run(linked, '1', freshTopic());
    running.refuse({ errors: [] });
    await expect(over).rejects.toThrow(new RefusedOperation({ errors: [] }));
    expect(linked.socket.subscriptions).toEqual([]);
    // Whatever may still come changes nothing.
    running.changed();
    await running.return();
  });

  it('writes all that there is in one turn at once', async () => {
    const linked = await link();
    const topics = [freshTopic(), freshTopic()];
    for (const [index, topic] of topics.entries()) await run(linked, String(index), topic);
    await node.append(topics[0] as string, ...upTo(1));
    await until('the first', () => linked.peer.messages.length === 1);
    const write = vi.spyOn(linked.stream, 'write');
    await node.append(topics[0] as string, ...upTo(50));
    await until('all of it', () => linked.peer.messages.length === 51);
    expect(write.mock.calls.length).toBeLessThanOrEqual(2);
  });
});

describe('a socket that its peer does not read', () => {
  it('goes on with all of its subscriptions when it is, each in its order and complete', async () => {
    const linked = await link(4_096);
    const topics = [freshTopic(), freshTopic(), freshTopic()];
    linked.peer.pause();
    linked.stream.write(frameOf(JSON.stringify('x'.repeat(moreThanALineTakes))), 'latin1');
    for (const [index, topic] of topics.entries()) await run(linked, String(index), topic);
    for (const topic of topics) await node.append(topic, ...upTo(300, 1_000));
    await until('all wait', () => node.hub.size().members === 3);
    expect(linked.socket.hasRoom).toBe(false);
    expect(linked.stream.writableLength).toBeLessThan(moreThanALineTakes + 4_096 + 3 * 1_200);
    linked.socket.forget();
    linked.socket.looksStalled = 7;
    linked.peer.resume();
    for (const index of ['0', '1', '2']) await until('all of it', () => toldTo(linked, index).length === 300);
    for (const index of ['0', '1', '2']) expect(toldTo(linked, index)).toEqual(ns(300));
    expect(linked.socket.looksStalled).toBe(0);
    linked.socket.gone();
    await until('nobody is left', () => node.hub.size().members === 0);
  });
});

describe('the end of a socket', () => {
  it('comes behind what was sent before, and ends its subscriptions without a word', async () => {
    const linked = await link();
    const { subscription } = await run(linked, '1', freshTopic());
    linked.socket.sendText('"é€😀"');
    linked.socket.close([4401, 'Token revoked']);
    linked.socket.sendText('"too late"');
    linked.socket.close([1001, 'Going away']);
    expect(subscription.isOver).toBe(true);
    expect(linked.socket.isOpen).toBe(false);
    expect(await linked.peer.closed()).toBe(4401);
    expect(linked.peer.closeReason).toBe('Token revoked');
    expect(linked.peer.messages).toEqual(['é€😀']);
  });

  it.each([
    ['of a hundred and twenty-three bytes is told as it is', 'x'.repeat(123), 'x'.repeat(123)],
    ['is cut when it is longer', 'x'.repeat(124), `${'x'.repeat(40)}…`],
    ['is cut between characters', '€'.repeat(1_000), `${'€'.repeat(40)}…`],
    ['of few characters and many bytes is cut too', '€'.repeat(42), `${'€'.repeat(40)}…`],
  ])('with a reason that %s', async (_name, reason, told) => {
    const { socket, peer } = await link();
    socket.close([4409, reason]);
    expect(await peer.closed()).toBe(4409);
    expect(peer.closeReason).toBe(told);
  });

  it('at once forgets what was not handed to the line', async () => {
    const linked = await link();
    const { subscription } = await run(linked, '1', freshTopic());
    linked.socket.sendText('"forgotten"');
    linked.socket.shed();
    expect(subscription.isOver).toBe(true);
    expect(await linked.peer.closed()).toBe(1013);
    expect(linked.peer.closeReason).toBe('Slow consumer');
    expect(linked.peer.messages).toEqual([]);
  });

  it('by a line that is cut ends its subscriptions, and has done what was to be done then, once', async () => {
    const linked = await link();
    const { subscription } = await run(linked, '1', freshTopic());
    const done: number[] = [];
    linked.socket.onGone(() => done.push(1));
    linked.socket.onGone(() => done.push(2));
    linked.peer.destroy();
    await until('it is gone', () => done.length > 0);
    expect(subscription.isOver).toBe(true);
    linked.socket.gone();
    expect(done).toEqual([1, 2]);
  });
});

it('is idle while no operation runs on it', async () => {
  const { socket } = await link();
  expect(socket.isIdle).toBe(true);
  socket.running = Object.assign(Object.create(null), { id: null });
  expect(socket.isIdle).toBe(false);
  socket.running = Object.create(null);
  expect(socket.isIdle).toBe(true);
});
