import { randomUUID } from 'node:crypto';
import { setImmediate as othersTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { subscribe } from '../../../src/platform/feed/subscribe.ts';
import { parseCursor } from '../../../src/platform/log/cursor.ts';
import { useDatabase } from '../../support/database.ts';
import { faultyBus, startFeedNode } from '../../support/feeds.ts';
import { recordedRendering, type Shown, sharing } from '../../support/renderings.ts';
import { type Pushed, push } from '../../support/takers.ts';
import { until } from '../../support/until.ts';

const db = useDatabase();

const which = fc.nat({ max: 5 });
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ append: fc.constantFrom(1, 2, 5, 40, 130), far: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ tell: fc.integer({ min: -1, max: 1 }) }) },
  { weight: 4, arbitrary: fc.record({ join: fc.constantFrom('live', 'START', 'snapshot') }) },
  { weight: 3, arbitrary: fc.record({ stall: which }) },
  { weight: 4, arbitrary: fc.record({ takeOne: which }) },
  { weight: 4, arbitrary: fc.record({ resume: which }) },
  { weight: 2, arbitrary: fc.record({ forget: which }) },
  { weight: 2, arbitrary: fc.record({ rerender: which, to: fc.constantFrom('a', 'b') }) },
  { weight: 1, arbitrary: fc.record({ separate: which }) },
  { weight: 1, arbitrary: fc.record({ end: which }) },
  { weight: 4, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 6 }) }) },
);

/** That what somebody was told is each event once, in order, with its cursor, and no earlier state behind a later. */
function expectInOrder({ told }: Pushed<Shown>, topic: string, begun: number): number {
  let seq = begun;
  let stamp = 0;
  for (const shown of told) {
    const at = parseCursor(shown.cursor, topic).seq;
    if (shown.type === 'Kept') {
      expect([shown.n, at]).toEqual([seq + 1, seq + 1]);
      seq = at;
    } else {
      expect(at).toBe(seq);
    }
    expect(shown.stamp).toBeGreaterThanOrEqual(stamp);
    stamp = shown.stamp;
  }
  return seq;
}

it('those who take at once, stall, forget, change and go are told each event once, and never an earlier state', async () => {
  const runs = fc.record({
    steps: fc.array(step, { minLength: 10, maxLength: 60 }),
    ringBytes: fc.constantFrom(1, 600, 20_000),
    delays: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 7 }),
  });
  await fc.assert(
    fc.asyncProperty(runs, async ({ steps, ringBytes, delays }) => {
      const topic = `topic:${randomUUID()}`;
      const bus = faultyBus();
      const [near, far] = [startFeedNode(db(), { bus, ringBytes }), startFeedNode(db(), { bus, ringBytes })];
      let rendered = 0;
      /** Waits as long as the run says, before the state is read and behind that. */
      const wait = async () => {
        rendered += 1;
        for (let turn = delays[rendered % delays.length] ?? 0; turn > 0; turn -= 1) await othersTurn();
      };
      const rendering = (key: string) => recordedRendering(key, { bytes: 20, before: wait, after: wait });
      const of = { a: rendering('a'), b: rendering('b') };
      const all: Array<{ readonly one: Pushed<Shown>; readonly begun: number }> = [];
      let head = 0;
      const chosen = (index: number) => all[index % Math.max(1, all.length)]?.one;
      for (const step of steps) {
        if ('append' in step) {
          const facts = Array.from({ length: step.append }, (_, index) => ({ n: head + 1 + index }));
          head += step.append;
          await (step.far ? far : near).append(topic, ...facts);
        } else if ('tell' in step) near.tell(topic, Math.max(0, head + step.tell), { n: -1 });
        else if ('join' in step) {
          const options = step.join === 'START' ? { after: 'START' } : {};
          const snapshot =
            step.join === 'snapshot' ? { snapshot: { type: 'Snapshot', facts: { n: 'now' } } } : {};
          const alone = rendering(`alone ${all.length}`);
          const subscription = await subscribe(
            near,
            { topic, ...options, ...snapshot },
            sharing(of.a, alone),
          );
          const begun = parseCursor(subscription.position, topic).seq;
          all.push({ one: push(subscription), begun });
        } else if ('turns' in step) for (let turn = 0; turn < step.turns; turn += 1) await othersTurn();
        else if ('stall' in step) {
          const one = chosen(step.stall);
          if (one) one.isStalled = true;
        } else if ('takeOne' in step) {
          const one = chosen(step.takeOne);
          const shown = one?.isStalled ? one.subscription.take() : undefined;
          if (shown) one?.told.push(shown);
        } else if ('resume' in step) chosen(step.resume)?.resume();
        else if ('forget' in step) chosen(step.forget)?.subscription.forget();
        else if ('separate' in step) chosen(step.separate)?.subscription.separate();
        else if ('end' in step) chosen(step.end)?.subscription.end();
        else chosen(step.rerender)?.subscription.rerender(sharing(of[step.to]));
      }
      await near.hub.compareHeads();
      for (const { one, begun } of all) {
        one.resume();
        const { subscription } = one;
        await until('everything to be told', () => subscription.isOver || subscription.seq === head);
        const last = expectInOrder(one, topic, begun);
        if (!subscription.isOver) expect(last).toBe(head);
        expect(subscription.failure).toBeUndefined();
        subscription.end();
      }
      for (const node of [near, far]) {
        expect(node.hub.size()).toEqual({ topics: 0, members: 0 });
        expect(node.errors).toEqual([]);
        await node.close();
      }
      expect(bus.listening).toBe(0);
    }),
    {
      // An event that is not kept, rendered before what was rendered anew for who caught up.
      examples: [
        [
          {
            steps: [
              { join: 'live' },
              { join: 'live' },
              { append: 1, far: false },
              { stall: 0 },
              { append: 130, far: false },
              { tell: 1 },
              { resume: 0 },
              { stall: 1 },
              { append: 1, far: false },
              { forget: 0 },
              { join: 'live' },
            ],
            ringBytes: 20_000,
            delays: [0, 1],
          },
        ],
      ],
      numRuns: 40,
      timeout: 20_000,
    },
  );
});
