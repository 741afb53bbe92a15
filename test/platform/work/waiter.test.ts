import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { createWaiter } from '../../../src/platform/work/waiter.ts';

it('waits until it is woken, until the time is over, or until its signal ends it', async () => {
  const ending = new AbortController();
  const waiter = createWaiter(ending.signal);
  const woken = waiter.wait(3_600_000);
  waiter.wake();
  await woken;
  await waiter.wait(1);
  const ended = waiter.wait(3_600_000);
  ending.abort();
  await ended;
  await waiter.wait(3_600_000);
});

it('leaves nothing on its signal, however often it and others wait', async () => {
  const { signal } = new AbortController();
  for (let n = 0; n < 50; n += 1) await createWaiter(signal).wait(0);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
