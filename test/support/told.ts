import { expect } from 'vitest';
import type { Json } from './clients.ts';
import type { Resuming } from './resuming.ts';
import { until } from './until.ts';

/** That a session's history is its activation, and then each of these debits of one sat, once, in an order that adds up. */
export function expectDebitedOnce(history: readonly Json[], depositSats: number, memos: readonly string[]) {
  const [activated, ...debits] = history;
  expect(activated?.__typename).toBe('SessionActivated');
  expect(debits.map(({ memo }) => memo).sort()).toEqual([...memos].sort());
  expect(debits.map(({ balanceAfter }) => balanceAfter)).toEqual(
    debits.map((_, index) => depositSats - 1 - index),
  );
}

/** That each subscriber is told exactly the history, and nothing of what failed; it is closed then. */
export async function expectToldExactly(subscribers: readonly Resuming[], history: readonly Json[]) {
  const placesOf = (events: readonly Json[]) => events.map(({ id, cursor }) => ({ id, cursor }));
  for (const subscriber of subscribers) {
    await until('the last event', () => subscriber.events.at(-1)?.id === history.at(-1)?.id);
    expect(placesOf(subscriber.events)).toEqual(placesOf(history));
    expect(subscriber.failures).toEqual([]);
    subscriber.close();
  }
}
