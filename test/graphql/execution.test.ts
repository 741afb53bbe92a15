import { buildSchema, type ExecutionResult, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import type { Context } from '../../src/graphql/context.ts';
import { UnknownEventError } from '../../src/graphql/errors.ts';
import { cursorOf, type DeliveredResult, subscribeFresh } from '../../src/graphql/execution.ts';
import { unavailable } from '../../src/platform/errors.ts';
import type { Delivery, Subscription } from '../../src/platform/feed/subscribe.ts';
import { until } from '../support/until.ts';

const schema = buildSchema(`
  type Query { nothing: Int }
  type Subscription { watched: Watched }
  interface Watched { context: Int }
  type Kept implements Watched { context: Int }
`);

const delivery = (batch: object, event: Partial<Delivery['event']> = {}, cursor = 'cursor'): Delivery => ({
  event: { id: 'evt_1', type: 'Kept', version: 1, facts: {}, occurredAt: new Date(0), ...event },
  cursor,
  batch,
});

/** A subscription to a list of deliveries. */
function source(deliveries: readonly Delivery[]) {
  const left = [...deliveries];
  const state = { returned: 0 };
  const subscription: Subscription = {
    position: 'position',
    pause: () => new Promise((resolve) => setImmediate(() => resolve(state.returned === 0))),
    async next() {
      const value = left.shift();
      return value ? { done: false, value } : { done: true, value: undefined };
    },
    async return() {
      state.returned += 1;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => subscription,
  };
  return { subscription, state };
}

/** Runs `subscription { watched { context } }`; `context` counts the loaders that executions were given. */
function run(
  subscribed: () => unknown,
  onPosition?: (cursor: string) => void,
  onExecution: (executed: Context) => void = () => {},
) {
  const context = { loaders: new Map(), onPosition, secret: 42 } as unknown as Context & { secret: number };
  const contexts: object[] = [context.loaders];
  const field = schema.getSubscriptionType()?.getFields().watched;
  if (field) {
    field.subscribe = subscribed;
    field.resolve = () => ({
      __typename: 'Kept',
      context: (_args: unknown, executed: typeof context) => {
        onExecution(executed);
        if (executed.secret !== 42) throw new Error('The context has lost a field.');
        if (!contexts.includes(executed.loaders)) contexts.push(executed.loaders);
        return contexts.indexOf(executed.loaders);
      },
    });
  }
  const document = parse('subscription { watched { context } }');
  return subscribeFresh({ schema, document, contextValue: context });
}

const stream = (deliveries: readonly Delivery[]) => {
  const { subscription, state } = source(deliveries);
  const results = run(() => subscription) as Promise<AsyncIterableIterator<DeliveredResult>>;
  return { results, state };
};

describe('a subscription', () => {
  it('gives each batch of events a context of its own, none of them the one that it began with', async () => {
    const [first, second] = [{}, {}];
    const batches = [first, first, second, first, first];
    const { results } = stream(batches.map((batch) => delivery(batch)));
    const seen: unknown[] = [];
    for await (const { data, errors } of await results) seen.push(errors ?? data?.watched);
    expect(seen).toEqual([1, 1, 2, 3, 3].map((context) => ({ context })));
  });

  it('gives each result the cursor of its event, and leaves it out of what is sent', async () => {
    const { results } = stream([delivery({}, {}, 'one'), delivery({}, {}, 'two')]);
    const cursors: string[] = [];
    for await (const result of await results) {
      cursors.push(result[cursorOf]);
      expect(Object.keys(JSON.parse(JSON.stringify(result)))).toEqual(['data']);
    }
    expect(cursors).toEqual(['one', 'two']);
  });

  it('tells where it begins', async () => {
    const positions: string[] = [];
    const { subscription } = source([]);
    await run(
      () => subscription,
      (cursor) => positions.push(cursor),
    );
    expect(positions).toEqual(['position']);
  });

  it('that is refused is answered, not begun', async () => {
    const refused = (await run(() => {
      throw new Error('not yours');
    })) as ExecutionResult;
    expect(refused.errors?.map(({ message }) => message)).toEqual(['not yours']);
  });

  it('ends with its source, and ends its source', async () => {
    const { results, state } = stream([delivery({}), delivery({})]);
    for await (const _ of await results) break;
    expect(state.returned).toBe(1);
    const iterator = await results;
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(state.returned).toBe(2);
  });

  it('waits with an event for what does not answer, and loads it anew', async () => {
    const { subscription } = source([delivery({}, {}, 'one'), delivery({}, {}, 'two')]);
    const loaders: unknown[] = [];
    const results = (await run(
      () => subscription,
      undefined,
      (executed) => {
        loaders.push(executed.loaders);
        if (loaders.length <= 2) throw unavailable('The database does not answer.', 1_000);
      },
    )) as AsyncIterableIterator<DeliveredResult>;
    const seen: unknown[] = [];
    for await (const { data, errors, [cursorOf]: cursor } of results)
      seen.push([cursor, errors, data?.watched !== null]);
    expect(seen).toEqual([
      ['one', undefined, true],
      ['two', undefined, true],
    ]);
    expect(new Set(loaders.slice(0, 3)).size).toBe(3);
  });

  it('waits no longer for it once its reader has gone', async () => {
    const { subscription } = source([delivery({})]);
    let executions = 0;
    const results = (await run(
      () => subscription,
      undefined,
      () => {
        executions += 1;
        throw unavailable('The database does not answer.', 1_000);
      },
    )) as AsyncIterableIterator<DeliveredResult>;
    const reading = results.next();
    await until('the first attempts', () => executions > 1);
    await results.return?.();
    expect(await reading).toEqual({ done: true, value: undefined });
    const before = executions;
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect(executions).toBe(before);
  });

  it.each([
    ['of a type that is not known', { type: 'Unheard' }],
    ['of a name that is no type of events', { type: 'Watched' }],
    ['in a shape that is not known', { version: 2 }],
  ])('ends at an event %s: it does not skip it', async (_, event) => {
    const { results, state } = stream([delivery({}), delivery({}, event), delivery({})]);
    const iterator = await results;
    expect((await iterator.next()).done).toBe(false);
    await expect(iterator.next()).rejects.toBeInstanceOf(UnknownEventError);
    expect(state.returned).toBe(1);
  });
});
