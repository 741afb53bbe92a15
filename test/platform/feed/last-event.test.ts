import { randomUUID } from 'node:crypto';
import { setImmediate as othersTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Delivery, Rendering } from '../../../src/platform/feed/rendering.ts';
import { subscribe } from '../../../src/platform/feed/subscribe.ts';
import type { Subscription } from '../../../src/platform/feed/subscription.ts';
import { useDatabase } from '../../support/database.ts';
import { startFeedNode } from '../../support/feeds.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();

/** For whoever is told everything up to the event that is marked as theirs. */
const rendering = (whose: string, types?: readonly string[]): Rendering<Delivery> => ({
  key: `${whose} ${types ?? ''}`,
  types,
  isLast: ({ facts }) => facts.endsFor === whose,
  render: async (deliveries) => deliveries,
  sizeOf: () => 8,
});

const nobody = { alone: (shared: Rendering<Delivery>) => shared };

interface Watching {
  readonly subscription: Subscription<Delivery>;
  readonly told: Delivery[];
  /** How often it was heard to be over. */
  readonly ends: number;
  /** Takes what there is, and from then on what comes. */
  resume(): void;
  stall(): void;
}

/** Takes as a socket does: as much as there is, while there is room. */
function taking(subscription: Subscription<Delivery>): Watching {
  const told: Delivery[] = [];
  let hasRoom = true;
  let isTaking = false;
  let ends = 0;
  const changed = () => {
    if (isTaking) return;
    isTaking = true;
    while (!subscription.isOver && hasRoom) {
      const next = subscription.take();
      if (!next) break;
      told.push(next);
    }
    isTaking = false;
    if (subscription.isOver) ends += 1;
  };
  subscription.taker = { changed };
  changed();
  return {
    subscription,
    told,
    get ends() {
      return ends;
    },
    resume() {
      hasRoom = true;
      if (!subscription.isOver) changed();
    },
    stall() {
      hasRoom = false;
    },
  };
}

const ns = ({ told }: Watching) => told.map(({ event }) => event.facts.n);
const upTo = (last: number, from = 1) =>
  Array.from({ length: Math.max(0, last - from + 1) }, (_, index) => from + index);

it('is the last that is told, whether it is taken at once, behind a stall, or from the log', async () => {
  const runs = fc.record({
    before: fc.integer({ min: 0, max: 150 }),
    between: fc.integer({ min: 0, max: 150 }),
    behind: fc.integer({ min: 0, max: 150 }),
    ringBytes: fc.constantFrom(1, 600, 20_000),
    stalls: fc.boolean(),
    forgets: fc.boolean(),
    isOnTheOtherNode: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      runs,
      async ({ before, between, behind, ringBytes, stalls, forgets, isOnTheOtherNode }) => {
        const topic = `topic:${randomUUID()}`;
        const [node, other] = [startFeedNode(db(), { ringBytes, repairEveryMs: 10 }), startFeedNode(db())];
        const writer = isOnTheOtherNode ? other : node;
        const numbered = (first: number, many: number) =>
          Array.from({ length: many }, (_, index) => ({ n: first + index }));
        if (before > 0) await node.append(topic, ...numbered(1, before));
        const watch = async (whose: string, types?: readonly string[]) =>
          taking(
            await subscribe(
              node,
              { topic, after: 'START' },
              { shared: rendering(whose, types), personal: nobody },
            ),
          );
        const [theirs, filtered, others] = [
          await watch('her'),
          await watch('her', ['Never']),
          await watch('him'),
        ];
        if (stalls) theirs.stall();
        if (between > 0) await writer.append(topic, ...numbered(before + 1, between));
        const last = before + between + 1;
        await writer.append(topic, { n: last, endsFor: 'her' });
        if (behind > 0) await writer.append(topic, ...numbered(last + 1, behind));
        await othersTurn();
        if (forgets) theirs.subscription.forget();
        theirs.resume();
        await until('both to end', () => theirs.subscription.isOver && filtered.subscription.isOver);
        expect(ns(theirs)).toEqual(upTo(last));
        expect([theirs.subscription.failure, theirs.ends]).toEqual([undefined, 1]);
        expect([ns(filtered), filtered.ends]).toEqual([[], 1]);
        await until('the other to be told all', () => others.told.length === last + behind);
        expect(others.subscription.isOver).toBe(false);
        others.subscription.end();
        for (const each of [node, other]) await each.close();
      },
    ),
    { numRuns: 40 },
  );
});

it('is none that lies before the place at which they were found to have the right', async () => {
  const topic = `topic:${randomUUID()}`;
  const node = startFeedNode(db());
  const ends = { endsFor: 'her' };
  await node.append(topic, { n: 1 }, { n: 2, ...ends }, { n: 3 });
  const subscription = await subscribe(
    node,
    { topic, after: 'START' },
    { shared: rendering('her'), personal: nobody },
  );
  subscription.rightfulAt(3);
  const watching = taking(subscription);
  await until('the past', () => watching.told.length === 3);
  // Also when it is looked for again by another rendering.
  subscription.rerender({ shared: rendering('her', ['Kept']), personal: nobody });
  await node.append(topic, { n: 4, ...ends }, { n: 5 });
  await until('it to end', () => subscription.isOver);
  expect(ns(watching)).toEqual([1, 2, 3, 4]);
  await node.close();
});

it('may lie in what is no longer kept: who misses that has to come back', async () => {
  for (const types of [undefined, ['Kept']]) {
    const topic = `topic:${randomUUID()}`;
    const node = startFeedNode(db(), { ringBytes: 1 });
    await node.append(topic, { n: 1 });
    const watching = taking(
      await subscribe(
        node,
        { topic, snapshot: { type: 'Snapshot', facts: {} } },
        { shared: rendering('her', types), personal: nobody },
      ),
    );
    watching.stall();
    await node.append(topic, ...upTo(300, 2).map((n) => (n === 9 ? { n, endsFor: 'her' } : { n })));
    await db().query('DELETE FROM topic_events WHERE topic = $1 AND seq <= 200', [topic]);
    await db().query('UPDATE topics SET trimmed_to = 200 WHERE topic = $1', [topic]);
    watching.resume();
    await until('it to end', () => watching.subscription.isOver);
    expect(watching.subscription.failure).toMatchObject({ code: 'CURSOR_EXPIRED' });
    expect(ns(watching).filter((n) => Number(n) > 1)).toEqual([]);
    await node.close();
  }
});
