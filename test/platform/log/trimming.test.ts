import { randomUUID } from 'node:crypto';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { PublicError } from '../../../src/platform/errors.ts';
import { type Followed, type FollowOptions, follow } from '../../../src/platform/feed/follow.ts';
import { encodeCursor, parseCursor } from '../../../src/platform/log/cursor.ts';
import type { TopicHead } from '../../../src/platform/log/event.ts';
import { trimBatch } from '../../../src/platform/log/trim.ts';
import { useDatabase } from '../../support/database.ts';
import { type FeedNode, faultyBus, startFeedNode } from '../../support/feeds.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();
const nodes: FeedNode[] = [];

afterEach(async () => {
  for (const node of nodes.splice(0)) {
    expect(node.errors).toEqual([]);
    await node.close();
  }
});

/** A node that has nothing but the log: its ring holds one event. */
function start(options: Parameters<typeof startFeedNode>[1] = {}): FeedNode {
  const node = startFeedNode(db(), { ringBytes: 1, ...options });
  nodes.push(node);
  return node;
}

const freshTopic = () => `topic:${randomUUID()}`;
const snapshot = { type: 'Snapshot', facts: {} };

/** Leaves the newest rows of a topic. */
const keepNewest = (topic: string, rows: number, limit = 1_000) =>
  trimBatch(db(), topic, { keep: { ms: 0, rows }, now: Date.now() + 1_000, limit });

/** Appends events numbered as their topic numbers them, each of one of the types. */
const append = (node: FeedNode, topic: string, from: number, to: number, types = ['Kept']) =>
  db().transaction(async (tx) => {
    for (let n = from; n <= to; n += 1)
      node.log.append(tx, { type: String(types[n % types.length]), facts: { n }, topics: [topic] });
  });

async function cursorAt(node: FeedNode, topic: string, seq: number): Promise<string> {
  const { epoch } = parseCursor(await node.log.cursor(topic), topic);
  return encodeCursor({ topic, epoch, seq });
}

/** The first event that a new subscription is told, or with what it is refused or ends. */
async function first(node: FeedNode, options: FollowOptions): Promise<Followed['event'] | unknown> {
  try {
    const subscription = await follow(node, options);
    const { value } = await subscription.next();
    await subscription.return();
    return value.event;
  } catch (error) {
    return error;
  }
}

describe('who comes back to where the log was trimmed', () => {
  it('gets what follows if all of that is kept, and else is told that it is not', async () => {
    const node = start();
    const topic = freshTopic();
    await append(node, topic, 1, 10);
    expect(await keepNewest(topic, 6)).toBe(4);
    const at = (seq: number) => cursorAt(node, topic, seq);
    expect(await first(node, { topic, after: await at(4) })).toMatchObject({ facts: { n: 5 } });
    expect(await first(node, { topic, after: 'START' })).toMatchObject({ facts: { n: 5 } });
    expect(await first(node, { topic, after: await at(3) })).toMatchObject({
      code: 'CURSOR_EXPIRED',
      details: { cursor: await at(10) },
    });
    expect(await first(node, { topic, after: await at(3), snapshot })).toMatchObject({
      type: 'Snapshot',
      facts: { reason: 'GAP' },
    });
  });

  it('goes on where only events were trimmed that it does not watch', async () => {
    const node = start();
    const topic = freshTopic();
    // Odd and even numbers in turn; 7 and 8 are the last to go.
    await append(node, topic, 1, 12, ['Even', 'Odd']);
    expect(await keepNewest(topic, 4)).toBe(8);
    expect(await node.log.lastTrimmed(topic, ['Odd'])).toBe(7);
    const resumed = async (seq: number, types: string[]) =>
      first(node, { topic, after: await cursorAt(node, topic, seq), types });
    expect(await resumed(7, ['Odd'])).toMatchObject({ facts: { n: 9 } });
    expect(await resumed(6, ['Odd'])).toMatchObject({ code: 'CURSOR_EXPIRED' });
    expect(await resumed(7, ['Even'])).toMatchObject({ code: 'CURSOR_EXPIRED' });
    expect(await resumed(8, ['Even'])).toMatchObject({ facts: { n: 10 } });
    expect(await resumed(7, ['Odd', 'Even'])).toMatchObject({ code: 'CURSOR_EXPIRED' });
    // Nothing of this type was trimmed, since there was none.
    await append(node, topic, 13, 13, ['Late']);
    expect(await resumed(0, ['Late'])).toMatchObject({ facts: { n: 13 } });
  });

  it.each([1, 2])('is told so when the rows go after the heads were read the %i. time', async (time) => {
    const node = start({
      faults: (log) => ({
        async heads(topics) {
          const heads = await log.heads(topics);
          if (node.reads.heads === time) await keepNewest(topic, 2);
          return heads;
        },
      }),
    });
    const topic = freshTopic();
    await append(node, topic, 1, 10);
    const after = encodeCursor({ topic, epoch: String(await epochOf(topic)), seq: 3 });
    expect(await first(node, { topic, after })).toMatchObject({ code: 'CURSOR_EXPIRED' });
  });

  it('reads a page whole, or learns that its beginning is gone', async () => {
    const node = start({
      faults: (log) => ({
        async readPage(of, seq, limit) {
          if (node.reads.readPage === 1) await keepNewest(topic, 2);
          return log.readPage(of, seq, limit);
        },
      }),
    });
    const topic = freshTopic();
    await append(node, topic, 1, 10);
    expect(await first(node, { topic, after: await cursorAt(node, topic, 3), snapshot })).toMatchObject({
      facts: { reason: 'GAP' },
    });
  });
});

async function epochOf(topic: string): Promise<string | undefined> {
  const [row] = await db().query<{ epoch: string }>('SELECT epoch FROM topics WHERE topic = $1', [topic]);
  return row?.epoch;
}

describe('who reads while the log is trimmed', () => {
  const total = 400;
  const kept = 20;

  /** Reads to the end, in turns between which it is away; answers what it was told, gaps as undefined. */
  async function readAll(
    node: FeedNode,
    topic: string,
    options: Partial<FollowOptions>,
    turn: number,
    began: () => void,
  ) {
    const told: Array<number | undefined> = [];
    let after: string | undefined = 'START';
    let seq = 0;
    while (seq < total)
      try {
        const subscription = await follow(node, { topic, after, ...options });
        began();
        for (let taken = 0; taken < turn && seq < total; taken += 1) {
          const { event, cursor } = ((await subscription.next()) as IteratorYieldResult<Followed>).value;
          told.push(event.facts.n as number | undefined);
          after = cursor;
          seq = parseCursor(cursor, topic).seq;
        }
        await subscription.return();
        await until('some rows have gone that it has not read, or nothing more goes', async () => {
          const { trimmedTo } = (await node.log.heads([topic])).get(topic) as TopicHead;
          return trimmedTo > seq || trimmedTo === total - kept;
        });
      } catch (error) {
        if (!(error instanceof PublicError)) throw error;
        expect(error.code).toBe('CURSOR_EXPIRED');
        told.push(undefined);
        after = error.details.cursor as string;
        seq = parseCursor(after, topic).seq;
      }
    return told;
  }

  it('is never led past a row in silence', async () => {
    const bus = faultyBus();
    const [writer, reader, other] = [start({ bus }), start({ bus }), start({ bus })];
    const topic = freshTopic();
    const reading = new Set<number>();
    let done = false;

    async function write(): Promise<void> {
      await until('all read', () => reading.size === 4);
      for (let n = 1; n <= total; n += 4) await append(writer, topic, n, n + 3);
    }
    async function trim(): Promise<void> {
      while (!done) {
        await keepNewest(topic, kept, 7);
        await othersTurn();
      }
    }
    const trimming = trim();
    const [, ...all] = await Promise.all([
      write(),
      readAll(reader, topic, {}, 10, () => reading.add(0)),
      readAll(reader, topic, { snapshot }, 25, () => reading.add(1)),
      readAll(other, topic, {}, total, () => reading.add(2)),
      readAll(other, topic, { snapshot }, total, () => reading.add(3)),
    ]).finally(() => {
      done = true;
    });
    await trimming;
    for (const told of all) {
      for (const [index, n] of told.entries()) {
        const before = told[index - 1];
        if (n !== undefined && before !== undefined) expect(n).toBe(before + 1);
      }
      const numbers = told.filter((n) => n !== undefined);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(told[told.length - 1] ?? total).toBe(total);
    }
    // Those who were away have missed something, and know it.
    expect(all[0]).toContain(undefined);
    expect(all[1]).toContain(undefined);
  });
});
