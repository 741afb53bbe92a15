import { createSourceEventStream, type ExecutionArgs, type ExecutionResult, execute } from 'graphql';
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

  /** Nothing when the subscription ends first: an event without its data must not be taken for delivered. */
  async function executeOnceAnswered(delivery: Delivery): Promise<DeliveredResult | undefined> {
    for (let attempts = 1; ; attempts += 1) {
      const result = await executeEvent(delivery);
      if (!result.errors?.some((error) => isUnavailable(rootCause(error)))) return result;
      // What was not loaded is loaded anew.
      batch = undefined;
      if (!(await deliveries.pause(attempts))) return undefined;
    }
  }

  const results: AsyncIterableIterator<DeliveredResult> = {
    async next() {
      const step = await deliveries.next();
      if (step.done) return { done: true, value: undefined };
      try {
        const value = await executeOnceAnswered(step.value);
        return value ? { done: false, value } : { done: true, value: undefined };
      } catch (error) {
        await deliveries.return();
        throw error;
      }
    },
    async return() {
      await deliveries.return();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => results,
  };
  return results;
}
