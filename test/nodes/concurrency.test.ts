import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Facts } from '../../src/platform/log/event.ts';
import { startTestApp, type TestApp, temporaryFolder } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { closeSession, debitSession, key, openSession, topUpSession } from '../support/operations.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

/** What is done at the same time as all the rest; `at` says through which node, `on` to which session. */
type Command = { readonly at: number; readonly on: number } & (
  | { readonly do: 'debit'; readonly sats: number; readonly times: number }
  | { readonly do: 'topUp'; readonly sats: number; readonly times: number }
  | { readonly do: 'close' }
);

const place = { at: fc.nat(1), on: fc.nat(2) };
const times = fc.integer({ min: 1, max: 3 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...place,
      do: fc.constant('debit' as const),
      sats: fc.integer({ min: 1, max: 60 }),
      times,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...place,
      do: fc.constant('topUp' as const),
      sats: fc.integer({ min: 1, max: 80 }),
      times,
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...place, do: fc.constant('close' as const) }) },
);

const connections = 16;
const depositSats = 300;
let database: TestDatabase;
let nodes: TestApp[];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Two nodes on one Postgres, with 16 connections each; without Redis they find each other's events in the log. */
async function startTwo(): Promise<TestApp[]> {
  const env = {
    DATABASE_URL: database.url,
    DATABASE_POOL_SIZE: String(connections),
    LIMIT_OPEN_INVOICES: '0',
    AGENT: 'external',
  };
  return Promise.all([1, 2].map(async () => startTestApp({ ...env, DATA_DIR: await temporaryFolder() })));
}

/** What is left of a session after each of its events, as arithmetic has it; what the events say must be that. */
function replay(events: ReadonlyArray<{ readonly type: string; readonly facts: Facts }>): number {
  let balance = 0;
  for (const { type, facts } of events) {
    if (type === 'SessionActivated') balance = Number(facts.balanceSats);
    if (type === 'SessionDebited') balance -= Number(facts.debitedSats);
    if (type === 'SessionToppedUp') balance += Number(facts.creditedSats);
    if (type === 'SessionDebited' || type === 'SessionToppedUp')
      expect(Number(facts.balanceAfter)).toBe(balance);
    if (type === 'SessionClosed') {
      expect(Number(facts.refundedSats)).toBe(balance);
      balance = 0;
    }
    expect(balance).toBeGreaterThanOrEqual(0);
  }
  return balance;
}

it(`adds up, in an order that each event's balance agrees with, whatever ${connections} connections of each node do at once`, async () => {
  nodes = await startTwo();
  const [first] = nodes as [TestApp, TestApp];
  const nodeAt = (n: number) => nodes[n % nodes.length] as TestApp;
  const as = { token: await first.token('walter') };
  const service = { token: await first.token('meter', ['SERVICE']) };
  const { db, feeds, ledger } = first.services;

  async function run(session: Json, next: Command): Promise<number> {
    const node = nodeAt(next.at);
    const idempotencyKey = key();
    if (next.do === 'close') {
      await node.send(closeSession, { input: { sessionId: session.id, idempotencyKey } }, as);
      return 0;
    }
    const input = { sessionId: session.id, amountSats: next.sats, idempotencyKey };
    // The same request several times at once, on both nodes: it is done once.
    const answers = await Promise.all(
      Array.from({ length: next.times }, (_, n) =>
        next.do === 'debit'
          ? nodeAt(next.at + n).send(debitSession, { input }, service)
          : nodeAt(next.at + n).send(topUpSession, { input }, as),
      ),
    );
    const codes = answers.flatMap(({ errors }) => errors?.map(({ extensions }) => extensions.code) ?? []);
    for (const code of codes) expect(['CONFLICT', 'INSUFFICIENT_FUNDS']).toContain(code);
    if (next.do === 'debit') return answers.some(({ data }) => data?.debitSession) ? 1 : 0;
    const hashes = new Set(answers.flatMap(({ data }) => data?.topUpSession?.invoice.paymentHash ?? []));
    expect(hashes.size).toBeLessThanOrEqual(1);
    await Promise.all([...hashes].flatMap((hash) => nodes.map((each) => each.pay(hash))));
    return 0;
  }

  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 60, size: 'max' }), async (commands) => {
      const sessions: Json[] = [];
      for (let n = 0; n < 3; n += 1) {
        const { session } = await openSession(first, depositSats, as);
        await first.pay(session.depositInvoice.paymentHash);
        sessions.push(session);
      }
      const watched = sessions.map(({ id }, n) =>
        nodeAt(n).watch(
          'subscription ($id: ID!) { sessionUpdated(id: $id, after: "START") { id } }',
          { id },
          as,
        ),
      );
      const done = await Promise.all(commands.map((next) => run(sessions[next.on], next)));

      for (const [n, session] of sessions.entries()) {
        const rows = await feeds.log.readPage(`session:${session.id}`, 0, 1_000);
        expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => index + 1));
        const left = replay(rows.map(({ event }) => event));
        expect(Number(await ledger.balance(db, `session:${session.id}`))).toBe(left);
        const debits = rows.filter(({ event }) => event.type === 'SessionDebited').length;
        const answered = commands.flatMap((each, index) => (each.on === n ? (done[index] ?? 0) : 0));
        expect(debits).toBe(answered.reduce((sum, each) => sum + each, 0));
        await until('all its events', () => (watched[n]?.events.length ?? 0) >= rows.length);
        expect(watched[n]?.events.map(({ id }) => id)).toEqual(rows.map(({ event }) => event.id));
        watched[n]?.unsubscribe();
      }
      await expectMoneyAddsUp(db);
    }),
    { numRuns: 15, interruptAfterTimeLimit: 120_000, markInterruptAsFailure: true },
  );
  for (const node of nodes) expect(node.logged.join('')).not.toContain('unexpected error');
}, 180_000);
