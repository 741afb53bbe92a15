import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Followed, type Following, follow } from '../../../src/platform/feed/follow.ts';
import { parseCursor } from '../../../src/platform/log/cursor.ts';
import { useDatabase } from '../../support/database.ts';
import { type FeedNode, faultyBus, startFeedNode } from '../../support/feeds.ts';

const db = useDatabase();

const readers = ['near', 'near, filtered', 'far', 'far, filtered'] as const;
const someReader = fc.constantFrom(...readers);

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ append: fc.integer({ min: 1, max: 4 }), far: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ tell: fc.integer({ min: -1, max: 1 }) }) },
  { weight: 6, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 5 }), reader: someReader }) },
  { weight: 2, arbitrary: fc.record({ wait: someReader }) },
  { weight: 2, arbitrary: fc.record({ detach: someReader }) },
  { weight: 2, arbitrary: fc.record({ resume: someReader }) },
  { weight: 1, arbitrary: fc.record({ busLoses: fc.boolean() }) },
);

const passes = (filtered: boolean, n: number) => !filtered || n % 3 !== 0;

const typed = (n: number) => ({ n, type: passes(true, n) ? 'Wanted' : 'Other' });

/** A reader that checks each thing it is told against what was appended. */
async function startReader(node: FeedNode, topic: string, filtered: boolean, head: () => number) {
  const types = filtered ? ['Wanted'] : undefined;
  let subscription: Following | undefined = await follow(node, { topic, types });
  let cursor = subscription.position;
  let waiting: Promise<IteratorResult<Followed>> | undefined;
  const seq = () => parseCursor(cursor, topic).seq;

  /** What it has still to be told: event number n of the topic has `n` as its fact. */
  const outstanding = () => {
    const behind = Array.from({ length: head() - seq() }, (_, index) => seq() + 1 + index);
    return behind.filter((n) => passes(filtered, n));
  };

  function receive({ event, cursor: next }: Followed): void {
    const [expected = Number.POSITIVE_INFINITY] = outstanding();
    const at = parseCursor(next, topic).seq;
    if (event.facts.n !== -1) {
      expect([event.facts.n, at]).toEqual([expected, expected]);
    } else {
      expect(event.facts.at).toBe(at);
      expect(at).toBeGreaterThanOrEqual(seq());
      expect(at).toBeLessThan(expected);
    }
    cursor = next;
  }

  async function next(): Promise<void> {
    const step = await (waiting ?? subscription?.next());
    waiting = undefined;
    if (step && !step.done) receive(step.value);
  }

  const reader = {
    outstanding,

    async read(most: number): Promise<void> {
      for (let n = 0; n < most && subscription && outstanding().length > 0; n += 1) {
        waiting ??= subscription.next();
        // What the timer does in its time: the wake-up may have been lost.
        await node.hub.compareHeads();
        await next();
      }
    },

    wait(): void {
      waiting ??= subscription?.next();
    },

    async detach(): Promise<void> {
      await subscription?.return();
      if (waiting) await next();
      subscription = undefined;
    },

    async resume(): Promise<void> {
      subscription ??= await follow(node, { topic, types, after: cursor });
    },
  };
  return reader;
}

it('misses, repeats and swaps nothing, however appending, telling, reading, going and coming interleave', async () => {
  const runs = fc.record({
    steps: fc.array(step, { minLength: 10, maxLength: 70 }),
    ringBytes: fc.constantFrom(1, 60, 10_000),
  });
  await fc.assert(
    fc.asyncProperty(runs, async ({ steps, ringBytes }) => {
      const topic = `topic:${randomUUID()}`;
      const bus = faultyBus();
      const near = startFeedNode(db(), { bus, ringBytes });
      const far = startFeedNode(db(), { bus, ringBytes });
      let head = 0;
      const started = await Promise.all(
        readers.map(async (name) => {
          const node = name.startsWith('near') ? near : far;
          return [name, await startReader(node, topic, name.endsWith('filtered'), () => head)] as const;
        }),
      );
      const of = Object.fromEntries(started) as Record<(typeof readers)[number], (typeof started)[0][1]>;
      for (const step of steps) {
        if ('append' in step) {
          const facts = Array.from({ length: step.append }, (_, index) => typed(head + 1 + index));
          head += step.append;
          await (step.far ? far : near).append(topic, ...facts);
        } else if ('tell' in step) {
          const at = Math.max(0, head + step.tell);
          near.tell(topic, at, { ...typed(-1), at });
        } else if ('read' in step) await of[step.reader].read(step.read);
        else if ('wait' in step) of[step.wait].wait();
        else if ('detach' in step) await of[step.detach].detach();
        else if ('resume' in step) await of[step.resume].resume();
        else bus.loses = () => step.busLoses;
      }
      for (const [, reader] of started) {
        await reader.resume();
        await reader.read(Number.POSITIVE_INFINITY);
        expect(reader.outstanding()).toEqual([]);
        await reader.detach();
      }
      for (const node of [near, far]) {
        expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
        expect(node.errors).toEqual([]);
        await node.close();
      }
      expect(bus.listening).toBe(0);
    }),
    { numRuns: 40, timeout: 20_000 },
  );
});
