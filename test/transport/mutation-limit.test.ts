import { type ExecutionResult, getOperationAST, parse } from 'graphql';
import { createSchema, createYoga } from 'graphql-yoga';
import { afterEach, describe, expect, it } from 'vitest';
import type { Context } from '../../src/graphql/context.ts';
import { createMaskError } from '../../src/graphql/errors.ts';
import type { Viewer } from '../../src/platform/auth/viewer.ts';
import { createInProcessBus } from '../../src/platform/bus/in-process.ts';
import { createSharedRate, type SharedRate } from '../../src/platform/limits/keyed-rate.ts';
import { countRootFields, useMutationLimit } from '../../src/transport/mutation-limit.ts';
import { standingClock } from '../support/clock.ts';
import { anonymous } from '../support/viewers.ts';

const open: SharedRate[] = [];

afterEach(() => {
  for (const rate of open.splice(0)) rate.close();
});

/** A server whose only mutation notes that it was executed. */
async function startServer(perMinute: number) {
  const clock = standingClock();
  const executed: string[] = [];
  const rate = { clock, amount: perMinute, perMs: 60_000, burst: perMinute };
  const mutations = await createSharedRate(rate, createInProcessBus(), 'mutations');
  open.push(mutations);
  const yoga = createYoga<Pick<Context, 'viewer' | 'address'>>({
    schema: createSchema({
      typeDefs: 'type Query { read: Boolean } type Mutation { write(what: String): Boolean }',
      resolvers: {
        Mutation: { write: (_root: unknown, { what }: { what: string }) => executed.push(what) > 0 },
      },
    }),
    maskedErrors: { maskError: createMaskError((error) => expect.fail(String(error))) },
    logging: false,
    plugins: [useMutationLimit({ mutations, perMinute })],
  });

  /** Over HTTP: the status, and the answer. */
  async function post(query: string, context: Pick<Context, 'viewer' | 'address'>) {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    };
    const response = await yoga.fetch('http://localhost/graphql', init, context);
    return [response.status, await response.json()];
  }

  /** As a WebSocket executes it. */
  async function execute(query: string, context: Pick<Context, 'viewer' | 'address'>) {
    const enveloped = yoga.getEnveloped(context);
    const args = { schema: enveloped.schema, document: enveloped.parse(query) };
    return (await enveloped.execute({
      ...args,
      contextValue: await enveloped.contextFactory(),
    })) as ExecutionResult;
  }

  return { clock, executed, post, execute };
}

const userOf = (id: string, ...roles: Array<'USER' | 'SERVICE'>): Viewer => ({
  user: { id, roles, tokenId: 't', issuedAt: new Date(0), expiresAt: new Date(1) },
  objects: new Set(),
  bearerObject: undefined,
});
const alice = { viewer: userOf('usr_alice', 'USER'), address: '203.0.113.7' };
const write = 'mutation { write(what: "one") }';

describe('mutations beyond their number per minute', () => {
  it('are refused over HTTP, with the time until they are not', async () => {
    const { post, clock, executed } = await startServer(2);
    for (let n = 0; n < 2; n += 1) expect(await post(write, alice)).toEqual([200, { data: { write: true } }]);
    expect(await post(write, alice)).toEqual([
      429,
      {
        errors: [
          {
            message: 'At most 2 mutations a minute.',
            extensions: { code: 'RATE_LIMITED', retryAfterMs: 30_000 },
          },
        ],
      },
    ]);
    expect(executed).toHaveLength(2);
    clock.advance(30_000);
    expect(await post(write, alice)).toEqual([200, { data: { write: true } }]);
  });

  it('are refused on a WebSocket, and counted with those over HTTP', async () => {
    const { post, execute, executed } = await startServer(2);
    await post(write, alice);
    expect(await execute(write, alice)).toMatchObject({ data: { write: true } });
    const { data, errors } = await execute(write, alice);
    expect(data).toBeUndefined();
    expect(errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 30_000 } }]);
    expect(executed).toHaveLength(2);
  });

  it('are refused as a whole: each root field counts, and none is executed', async () => {
    const { execute, executed } = await startServer(3);
    const four =
      'mutation { a: write(what: "a") b: write(what: "b") c: write(what: "c") d: write(what: "d") }';
    expect((await execute(four, alice)).errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
    expect(executed).toEqual([]);
    const three =
      'mutation { a: write(what: "a") ...F } fragment F on Mutation { b: write ... { c: write } }';
    expect((await execute(three, alice)).errors).toBeUndefined();
    expect((await execute(write, alice)).errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
  });

  it('are counted for each viewer, wherever from, and without credentials for each address', async () => {
    const { execute } = await startServer(1);
    const isRefused = async (viewer: Viewer, address: string | undefined) =>
      (await execute(write, { viewer, address })).errors !== undefined;
    const holder = { user: undefined, objects: new Set(['job_1']), bearerObject: 'job_1' };
    const asked = [
      [alice.viewer, '203.0.113.7', false],
      [alice.viewer, '203.0.113.8', true],
      [userOf('usr_bob', 'USER'), '203.0.113.7', false],
      [holder, '203.0.113.7', false],
      [holder, '203.0.113.8', true],
      [anonymous, '203.0.113.7', false],
      [anonymous, '203.0.113.7', true],
      [anonymous, '203.0.113.8', false],
      [anonymous, undefined, false],
      [anonymous, undefined, false],
    ] as const;
    for (const [viewer, address, refused] of asked) expect(await isRefused(viewer, address)).toBe(refused);
  });

  it('are executed for services, and so is all that changes nothing', async () => {
    const { execute } = await startServer(1);
    const service = { viewer: userOf('usr_service', 'SERVICE'), address: undefined };
    for (let n = 0; n < 5; n += 1) expect((await execute(write, service)).errors).toBeUndefined();
    for (let n = 0; n < 5; n += 1) expect((await execute('{ read }', alice)).errors).toBeUndefined();
  });

  it('are executed without a limit', async () => {
    const { execute } = await startServer(0);
    for (let n = 0; n < 50; n += 1) expect((await execute(write, alice)).errors).toBeUndefined();
  });
});

it.each([
  ['mutation { a }', 1],
  ['mutation { a a }', 1],
  ['mutation { a b: a c: a }', 3],
  ['mutation { ... { a ... { b } } ... on Mutation { a c } }', 3],
  [
    'mutation { ...F ...F } fragment F on Mutation { a ...G } fragment G on Mutation { b } fragment H on Q { c }',
    2,
  ],
])('counts the root fields of %s', (text, count) => {
  const document = parse(text);
  expect(countRootFields(document, getOperationAST(document) as never)).toBe(count);
});
