import { expect, it } from 'vitest';
import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import { startTestApp, type TestApp, temporaryFolder } from '../support/app.ts';
import { movableClock } from '../support/clock.ts';
import { faultyLightning } from '../support/lightning.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { createJob, key, openSession, topUpSession, watchSession } from '../support/operations.ts';
import { until } from '../support/until.ts';

const hourMs = 3_600_000;

async function statesOf({ services }: TestApp, paymentHashes: readonly string[]): Promise<string[]> {
  const rows = await services.db.query<{ paymentHash: string; state: string }>(
    'SELECT payment_hash AS "paymentHash", state FROM invoices',
  );
  const states = new Map(rows.map((row) => [row.paymentHash, row.state]));
  return paymentHashes.map((paymentHash) => states.get(paymentHash) as string);
}

/** The Lightning node takes a payment of which the server hears nothing. */
const payUnheard = ({ services }: TestApp, paymentHash: string, receivedSats: number, at: number) =>
  services.db.query('UPDATE stub_invoices SET received_sats = $2, paid_at = $3 WHERE payment_hash = $1', [
    paymentHash,
    receivedSats,
    new Date(at),
  ]);

it('books what was paid while the server was down, although it has expired meanwhile', async () => {
  const env = { DATA_DIR: await temporaryFolder(), AGENT: 'external' };
  const clock = movableClock();
  const before = await startTestApp(env, { clock });
  const { job, as: jobOwner } = await createJob(before, 'Wait.');
  const opened = [];
  for (let n = 0; n < 6; n += 1) opened.push(await openSession(before, 500));
  const hashes = [job.evalInvoice, ...opened.map(({ session }) => session.depositInvoice)].map(
    ({ paymentHash }) => paymentHash as string,
  );
  await payUnheard(before, hashes[0]!, 10, clock.now());
  await payUnheard(before, hashes[1]!, 512, clock.now());
  await before.stop();

  clock.advance(2 * hourMs);
  const line = faultyLightning();
  const app = await startTestApp(env, { clock, lightning: line.wrap });
  const unpaid = hashes.slice(2);
  await until('the expiries', async () =>
    (await statesOf(app, unpaid)).every((state) => state === 'EXPIRED'),
  );
  for (const hash of hashes) expect(line.lookedUp).toContain(hash);
  expect(await statesOf(app, hashes)).toEqual(['PAID', 'PAID', ...unpaid.map(() => 'EXPIRED')]);

  const { job: paidJob } = await app.ask(
    'query ($id: ID!) { job(id: $id) { ... on AgentJob { state } } }',
    { id: job.id },
    jobOwner,
  );
  expect(paidJob).toEqual({ state: 'EVALUATING' });
  const { session, as: sessionOwner } = opened[0]!;
  const watched = app.watch(watchSession, { id: session.id, after: 'START' }, sessionOwner);
  expect(await watched.count(2)).toMatchObject([
    { __typename: 'SessionActivated', balanceSats: 500 },
    { __typename: 'SessionPaymentReturned', returnedSats: 12, returnReason: 'SURPLUS' },
  ]);
  await expectMoneyAddsUp(app.services.db);
});

it('starts while the Lightning node is away, lets nothing expire, and catches up when it is back', async () => {
  const env = { DATA_DIR: await temporaryFolder(), AGENT: 'external' };
  const clock = movableClock();
  const before = await startTestApp(env, { clock });
  const { session: paid } = await openSession(before, 500);
  const { session: unpaid } = await openSession(before, 500);
  const hashes: string[] = [paid.depositInvoice.paymentHash, unpaid.depositInvoice.paymentHash];
  await payUnheard(before, hashes[0]!, 500, clock.now());
  await before.stop();

  clock.advance(2 * hourMs);
  const line = faultyLightning();
  line.unreachable.add('*');
  const app = await startTestApp(env, { clock, lightning: line.wrap });
  // Each was asked for at the start, and again because its time is up.
  await until('the look-ups', () => line.lookedUp.length >= 4);
  expect(await statesOf(app, hashes)).toEqual(['OPEN', 'OPEN']);
  expect(app.logged.join()).toMatch(/The line is cut/);

  line.unreachable.clear();
  await until('the settlement', async () => (await statesOf(app, hashes))[0] === 'PAID');
  await until('the expiry', async () => (await statesOf(app, hashes))[1] === 'EXPIRED');
  await expectMoneyAddsUp(app.services.db);
});

it('says when to try again, and leaves nothing half made, when no invoice can be made', async () => {
  const line = faultyLightning();
  const app = await startTestApp({}, { lightning: line.wrap });
  const { session, as } = await openSession(app, 500);
  await app.pay(session.depositInvoice.paymentHash);

  const count = async () =>
    (
      await app.services.db.query(
        `SELECT (SELECT count(*) FROM agent_jobs) AS jobs, (SELECT count(*) FROM sessions) AS sessions,
           (SELECT count(*) FROM invoices) AS invoices, (SELECT count(*) FROM work) AS work,
           (SELECT count(*) FROM access_tokens) AS tokens, (SELECT count(*) FROM idempotency_keys) AS keys`,
      )
    )[0];
  const before = await count();
  const requests = [
    {
      document: `mutation ($input: CreateJobInput!) { createJob(input: $input) { job { state } } }`,
      input: { prompt: 'Count.', idempotencyKey: key() },
    },
    {
      document: `mutation ($input: OpenSessionInput!) { openSession(input: $input) { session { state } } }`,
      input: { depositSats: 500, idempotencyKey: key() },
    },
    { document: topUpSession, input: { sessionId: session.id, amountSats: 5, idempotencyKey: key() } },
  ];
  line.refuseInvoices = new LightningUnavailableError('The line is cut.');
  for (const { document, input } of requests) {
    const { errors } = await app.send(document, { input }, as);
    expect(errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE', retryAfterMs: 5_000 } }]);
  }
  expect(await count()).toEqual(before);

  line.refuseInvoices = undefined;
  for (const { document, input } of requests) await app.ask(document, { input }, as);
  expect(await count()).toEqual({
    jobs: 1n,
    sessions: 2n,
    invoices: 4n,
    work: (before as { work: bigint }).work + 3n,
    tokens: 3n,
    keys: 4n,
  });
});

it('books nothing, and logs it, when the Lightning node took less than was asked', async () => {
  const app = await startTestApp();
  const { session } = await openSession(app, 500);
  const { paymentHash } = session.depositInvoice;
  await app.services.stubLightning?.pay(paymentHash, 499n);
  await until('the log line', () => app.logged.some((line) => line.includes('took less')));
  expect(await statesOf(app, [paymentHash])).toEqual(['OPEN']);
  await expectMoneyAddsUp(app.services.db);
});
