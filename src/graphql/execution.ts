import { setTimeout as pause } from 'node:timers/promises';
import { createSourceEventStream, type ExecutionArgs, type ExecutionResult, execute } from 'graphql';
import { backoffMs } from '../platform/backoff.ts';
import { isUnavailable } from '../platform/errors.ts';
import type { Delivery, Subscription } from '../platform/feed/subscribe.ts';
import { type Context, freshContext } from './context.ts';
import { rootCause } from './errors.ts';
import { typeOfEvent } from './event-types.ts';

/** Where a result of a subscription carries its cursor; left out of what is sent, as symbols are. */
export const cursorOf: unique symbol = Symbol('cursor');

/** A result of a subscription with the cursor of its event. */
export interface DeliveredResult extends ExecutionResult {
  readonly [cursorOf]: string;
}

/** While an event cannot be executed, it is tried again at least this often; ms. */
const longestRetryMs = 5_000;

/**
 * Runs a subscription. Other than graphql-js, each batch of events is executed with a context of its own: one
 * context for all would answer the second event with what was loaded for the first. An event for which something
 * does not answer waits until it does: without its data, the client would not know where to resume.
 */
export async function subscribeFresh(
  args: ExecutionArgs,
): Promise<AsyncIterableIterator<DeliveredResult> | ExecutionResult> {
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) return source;
  const deliveries = source as Subscription;
  const context = args.contextValue as Context;
  context.onPosition?.(deliveries.position);
  let batch: object | undefined;
  let batchContext = context;
  const over = new AbortController();

  async function executeEvent(delivery: Delivery): Promise<DeliveredResult> {
    // Within the execution it would be an error at a place of the result, and the event would be skipped.
    typeOfEvent(delivery.event, args.schema);
    if (delivery.batch !== batch) {
      batch = delivery.batch;
      batchContext = freshContext(context);
    }
    const result = await execute({ ...args, rootValue: delivery, contextValue: batchContext });
    return Object.assign(result, { [cursorOf]: delivery.cursor });
  }

  async function executeOnceAnswered(delivery: Delivery): Promise<DeliveredResult> {
    for (let attempts = 1; ; attempts += 1) {
      const result = await executeEvent(delivery);
      if (over.signal.aborted || !result.errors?.some((error) => isUnavailable(rootCause(error))))
        return result;
      // What was not loaded is loaded anew.
      batch = undefined;
      const pauseMs = Math.min(backoffMs(attempts), longestRetryMs);
      await pause(pauseMs, undefined, { signal: over.signal }).catch(() => {});
    }
  }

  const results: AsyncIterableIterator<DeliveredResult> = {
    async next() {
      const step = await deliveries.next();
      if (step.done) return { done: true, value: undefined };
      try {
        return { done: false, value: await executeOnceAnswered(step.value) };
      } catch (error) {
        await deliveries.return();
        throw error;
      }
    },
    async return() {
      over.abort();
      await deliveries.return();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => results,
  };
  return results;
}
