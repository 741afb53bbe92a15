import { beforeAll, describe, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { faultyLightning } from '../support/lightning.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import {
  closeSession,
  debitSession,
  key,
  openSession,
  topUpSession,
  watchSession,
} from '../support/operations.ts';
import { until } from '../support/until.ts';

const line = faultyLightning();
const app = useTestApp({ AGENT: 'external' }, { lightning: line.wrap });

const createJob = `
  mutation ($input: CreateJobInput!) {
    createJob(input: $input) { accessToken job { id state evalInvoice { id paymentHash bolt11 } } }
  }`;
const open = `
  mutation ($input: OpenSessionInput!) {
    openSession(input: $input) { accessToken session { id state depositInvoice { id paymentHash bolt11 } } }
  }`;

let service: As;
let user: As;
let otherUser: As;
let owner: As;
let sessionId: string;
let depositHash: string;
beforeAll(async () => {
  service = { token: await app().token('a service', ['SERVICE', 'USER']) };
  user = { token: await app().token('a user') };
  otherUser = { token: await app().token('another user') };
});

/** Opens a session that the next requests are about. */
async function freshSession(): Promise<void> {
  const { session, as } = await openSession(app(), 500);
  sessionId = session.id;
  depositHash = session.depositInvoice.paymentHash;
  owner = as;
  await app().pay(depositHash);
}

async function send(document: string, input: object, as: As): Promise<Json> {
  const { data, errors } = await app().send(document, { input }, as);
  return errors?.[0]?.extensions ?? Object.values(data)[0];
}

/** How many rows a request may add to. */
async function counts(): Promise<unknown> {
  const [row] = await app().services.db.query(
    `SELECT (SELECT count(*) FROM agent_jobs) AS jobs, (SELECT count(*) FROM sessions) AS sessions,
       (SELECT count(*) FROM invoices) AS invoices, (SELECT count(*) FROM transfers) AS transfers,
       (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM access_tokens) AS tokens,
       (SELECT count(*) FROM idempotency_keys) AS keys`,
  );
  return row;
}

const keyReused = { code: 'CONFLICT', reason: 'IDEMPOTENCY_KEY_REUSED' };

/** Each request that has a key, who may make it, and the same with another input. */
const requests: ReadonlyArray<{
  name: string;
  document: string;
  input: () => object;
  other: () => object;
  as: () => As;
}> = [
  {
    name: 'createJob of a user',
    document: createJob,
    input: () => ({ prompt: 'Count.' }),
    other: () => ({ prompt: 'Count!' }),
    as: () => user,
  },
  {
    name: 'createJob of nobody known',
    document: createJob,
    input: () => ({ prompt: 'Count.' }),
    other: () => ({ prompt: 'Count!' }),
    as: () => ({}),
  },
  {
    name: 'createJob of the holder of an access token',
    document: createJob,
    input: () => ({ prompt: 'Count.' }),
    other: () => ({ prompt: 'Count!' }),
    as: () => owner,
  },
  {
    name: 'openSession of a user',
    document: open,
    input: () => ({ depositSats: 500 }),
    other: () => ({ depositSats: 501 }),
    as: () => user,
  },
  {
    name: 'openSession of nobody known',
    document: open,
    input: () => ({ depositSats: 500 }),
    other: () => ({ depositSats: 501 }),
    as: () => ({}),
  },
  {
    name: 'topUpSession',
    document: topUpSession,
    input: () => ({ sessionId, amountSats: 50 }),
    other: () => ({ sessionId, amountSats: 51 }),
    as: () => owner,
  },
  {
    name: 'debitSession',
    document: debitSession,
    input: () => ({ sessionId, amountSats: 50, memo: 'x' }),
    other: () => ({ sessionId, amountSats: 50, memo: 'y' }),
    as: () => service,
  },
];

describe.each(requests)('$name', ({ document, input, other, as }) => {
  it('does nothing again, and answers the same, when it is repeated', async () => {
    await freshSession();
    const request = { ...input(), idempotencyKey: key() };
    const before = await counts();
    const first = await send(document, request, as());
    const after = await counts();
    expect(after).not.toEqual(before);
    expect(first).not.toHaveProperty('code');
    for (let n = 0; n < 3; n += 1) expect(await send(document, request, as())).toEqual(first);
    expect(await counts()).toEqual(after);
  });

  it('is done once when it comes many times at the same moment', async () => {
    await freshSession();
    const request = { ...input(), idempotencyKey: key() };
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(document, request, as())));
    expect(answers).toEqual(Array(6).fill(answers[0]));
    expect(answers[0]).not.toHaveProperty('code');
    const after = await counts();
    expect(await send(document, request, as())).toEqual(answers[0]);
    expect(await counts()).toEqual(after);
    await expectMoneyAddsUp(app().services.db);
  });

  it('is done once when all were begun before any was done', async () => {
    await freshSession();
    const request = { ...input(), idempotencyKey: key() };
    let begun = 0;
    line.beforeInvoice = async () => {
      begun += 1;
      await until('all of them', () => begun >= 3);
    };
    const answers = await Promise.all(Array.from({ length: 3 }, () => send(document, request, as())));
    line.beforeInvoice = async () => {};
    expect(begun).toBe(document === debitSession ? 0 : 3);
    expect(answers).toEqual(Array(3).fill(answers[0]));
    expect(answers[0]).not.toHaveProperty('code');
    await expectMoneyAddsUp(app().services.db);
  });

  it('conflicts when its key comes with another input, and does nothing', async () => {
    await freshSession();
    const idempotencyKey = key();
    await send(document, { ...input(), idempotencyKey }, as());
    const after = await counts();
    expect(await send(document, { ...other(), idempotencyKey }, as())).toMatchObject(keyReused);
    expect(await counts()).toEqual(after);
  });

  it.each(['short', 'x'.repeat(15), 'x'.repeat(129)])('refuses the key %s', async (idempotencyKey) => {
    const before = await counts();
    expect(await send(document, { ...input(), idempotencyKey }, as())).toMatchObject({
      code: 'BAD_USER_INPUT',
      argument: 'idempotencyKey',
    });
    expect(await counts()).toEqual(before);
  });
});

it('closes a session once, however often it is asked to', async () => {
  await freshSession();
  const request = { sessionId, idempotencyKey: key() };
  const answers = await Promise.all(Array.from({ length: 5 }, () => send(closeSession, request, owner)));
  expect(answers).toEqual(
    Array(5).fill({ session: { id: sessionId, state: 'CLOSED', balanceSats: 0, refundableSats: 500 } }),
  );
  const watched = app().watch(watchSession, { id: sessionId, after: 'START' }, owner);
  await watched.count(2);
  expect(watched.events.map(({ __typename }) => __typename)).toEqual(['SessionActivated', 'SessionClosed']);
  expect(await send(closeSession, { sessionId, idempotencyKey: key() }, owner)).toMatchObject({
    code: 'CONFLICT',
    reason: 'INVALID_STATE',
  });

  const [one, two] = [await openSession(app(), 500, user), await openSession(app(), 500, user)];
  const idempotencyKey = key();
  await send(closeSession, { sessionId: one.session.id, idempotencyKey }, user);
  expect(await send(closeSession, { sessionId: two.session.id, idempotencyKey }, user)).toMatchObject(
    keyReused,
  );
});

it('keeps the keys of what moves sats for good, all others for seven days', async () => {
  await freshSession();
  const sent = Date.now();
  for (const { document, input, as } of requests)
    await send(document, { ...input(), idempotencyKey: key() }, as());
  await send(closeSession, { sessionId, idempotencyKey: key() }, owner);
  const kept = await app().services.db.query<{ mutation: string; expiresAt: Date | null }>(
    'SELECT mutation, expires_at AS "expiresAt" FROM idempotency_keys',
  );
  const of = (name: string) => kept.filter(({ mutation }) => mutation === name).map((row) => row.expiresAt);
  for (const name of ['debitSession', 'closeSession']) expect(new Set(of(name))).toEqual(new Set([null]));
  for (const name of ['createJob', 'openSession', 'topUpSession'])
    expect(Math.max(...of(name).map(Number))).toBeGreaterThanOrEqual(sent + 7 * 24 * 3_600_000);
});

it('takes the same key of different callers, and for different mutations, as different requests', async () => {
  const input = { prompt: 'Count.', idempotencyKey: key() };
  await freshSession();
  const made: Json[] = [];
  for (const as of [user, otherUser, {}, owner, service]) made.push(await send(createJob, input, as));
  expect(new Set(made.map(({ job }) => job.id)).size).toBe(5);
  const opened = await send(open, { depositSats: 500, idempotencyKey: input.idempotencyKey }, user);
  expect(opened.session.state).toBe('AWAITING_PAYMENT');
});

it('hands an access token to anonymous callers alone: the same again, which opens this object alone', async () => {
  const input = { prompt: 'Count.', idempotencyKey: key() };
  expect((await send(createJob, input, user)).accessToken).toBeNull();
  const { accessToken, job } = await send(createJob, input, {});
  expect(accessToken).toMatch(/^swt_/);
  expect((await send(createJob, input, {})).accessToken).toBe(accessToken);
  const { accessToken: other } = await send(createJob, { ...input, idempotencyKey: key() }, {});
  expect(other).not.toBe(accessToken);
  const query = 'query ($id: ID!) { job(id: $id) { id } }';
  expect((await app().ask(query, { id: job.id }, { token: accessToken })).job).toEqual({ id: job.id });
  expect((await app().send(query, { id: job.id }, { token: other })).errors).toMatchObject([
    { extensions: { code: 'FORBIDDEN' } },
  ]);
  const hashes = await app().services.db.query<{ hash: string }>(
    'SELECT token_hash AS hash FROM access_tokens',
  );
  expect(hashes.map(({ hash }) => hash)).not.toContain(accessToken);
});

it('answers a repeated request with the present state of what it made', async () => {
  const input = { prompt: 'Count.', idempotencyKey: key() };
  const { job } = await send(createJob, input, user);
  await app().pay(job.evalInvoice.paymentHash);
  expect((await send(createJob, input, user)).job).toEqual({ ...job, state: 'EVALUATING' });
  await freshSession();
  const debit = { sessionId, amountSats: 50, idempotencyKey: key() };
  await send(debitSession, debit, service);
  await send(debitSession, { ...debit, idempotencyKey: key() }, service);
  expect(await send(debitSession, debit, service)).toMatchObject({ balanceSats: 400 });
});
