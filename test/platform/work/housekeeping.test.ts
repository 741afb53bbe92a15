import { expect, it } from 'vitest';
import {
  createHousekeeping,
  housekeepingWork,
  scheduleHousekeeping,
} from '../../../src/platform/work/housekeeping.ts';
import { createWorkQueue, type LeasedWork } from '../../../src/platform/work/queue.ts';
import { standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';

const db = useDatabase();
const clock = standingClock();
const work = {} as LeasedWork;

it('does every step until nothing more is left of it, and is due again in a minute', async () => {
  const left = { first: 3, second: 1 };
  const steps: string[] = [];
  const step = (name: keyof typeof left) => async () => {
    steps.push(name);
    left[name] -= 1;
    return left[name] > 0;
  };
  const { run } = createHousekeeping(clock, [step('first'), step('second')]);
  expect(await run(work, new AbortController().signal)).toEqual(new Date(clock.now() + 60_000));
  expect(steps).toEqual(['first', 'first', 'first', 'second']);
});

it('stops in the middle when the server does', async () => {
  const stopping = new AbortController();
  let steps = 0;
  const { run } = createHousekeeping(clock, [
    async () => {
      steps += 1;
      if (steps === 3) stopping.abort();
      return true;
    },
    async () => {
      steps += 1;
      return true;
    },
  ]);
  await run(work, stopping.signal);
  expect(steps).toBe(3);
});

it('is scheduled once, however often a server is started, and stays with the one that has it', async () => {
  const queue = createWorkQueue({ db: db(), clock });
  const lease = () => queue.lease(housekeepingWork, 5, 'test:', 1_000);
  await scheduleHousekeeping(db(), queue, clock);
  await scheduleHousekeeping(db(), queue, clock);
  const [work] = await lease();
  expect(work).toMatchObject({ key: 'all' });
  await scheduleHousekeeping(db(), queue, clock);
  expect(await lease()).toEqual([]);
  // Nor does another node's start bring forward what is due later.
  await queue.postpone(work as LeasedWork, new Date(clock.now() + 60_000));
  await scheduleHousekeeping(db(), queue, clock);
  expect(await lease()).toEqual([]);
});
