import { beforeAll, describe, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { As, Json, Received } from '../support/clients.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import {
  closeSession,
  createJob,
  debitSession,
  key,
  openSession,
  topUpSession,
  watchSession,
} from '../support/operations.ts';

const app = useTestApp({ AGENT: 'external' });

let service: As;
beforeAll(async () => {
  service = { token: await app().token('a service', ['SERVICE']) };
});

const ask = (document: string, input: object, as: As): Promise<Json> => app().ask(document, { input }, as);

async function refusal(document: string, input: object, as: As): Promise<object | undefined> {
  return (await app().send(document, { input }, as)).errors?.[0]?.extensions;
}

const readSession = async (id: string, as: As): Promise<Json> =>
  (
    await app().ask(
      'query ($id: ID!) { session(id: $id) { state balanceSats refundableSats expiresAt depositInvoice { state } } }',
      { id },
      as,
    )
  ).session;

/** A session whose deposit is paid, and what its owner sees of it. */
async function activeSession(depositSats = 500, as: As = {}) {
  const made = await openSession(app(), depositSats, as);
  const id = made.session.id as string;
  const watched = app().watch(watchSession, { id }, made.as);
  await watched.count(1);
  await app().pay(made.session.depositInvoice.paymentHash);
  await watched.event('SessionActivated');
  return { id, as: made.as, watched, depositHash: made.session.depositInvoice.paymentHash as string };
}

async function topUp(id: string, amountSats: number, as: As): Promise<string> {
  const input = { sessionId: id, amountSats, idempotencyKey: key() };
  return (await ask(topUpSession, input, as)).topUpSession.invoice.paymentHash;
}

const debit = (id: string, amountSats: number, memo?: string) =>
  ask(debitSession, { sessionId: id, amountSats, memo, idempotencyKey: key() }, service);

const kept = (received: Received) =>
  received.events.filter(({ __typename }) => __typename !== 'SessionSnapshot');

const typesOf = (received: Received) => kept(received).map(({ __typename }) => __typename);

describe('opening', () => {
  it.each([99, 10_001, 0])('refuses a deposit of %i sats', async (depositSats) => {
    await expect(openSession(app(), depositSats)).rejects.toThrow(/"argument":"depositSats"/);
  });

  it.each([100, 10_000])('takes a deposit of %i sats', async (depositSats) => {
    const { session, as } = await openSession(app(), depositSats);
    expect(session).toMatchObject({
      id: expect.stringMatching(/^ses_/),
      state: 'AWAITING_PAYMENT',
      depositInvoice: { amountSats: depositSats, state: 'OPEN' },
    });
    await app().pay(session.depositInvoice.paymentHash);
    expect(await readSession(session.id, as)).toEqual({
      state: 'ACTIVE',
      balanceSats: depositSats,
      refundableSats: 0,
      expiresAt: expect.any(String),
      depositInvoice: { state: 'PAID' },
    });
  });

  it('waits for the deposit before anything can be done', async () => {
    const { session, as } = await openSession(app(), 500);
    const input = { sessionId: session.id, amountSats: 1, idempotencyKey: key() };
    expect(await refusal(debitSession, input, service)).toMatchObject({
      code: 'CONFLICT',
      reason: 'INVALID_STATE',
    });
    expect(await refusal(topUpSession, input, as)).toMatchObject({
      code: 'CONFLICT',
      reason: 'INVALID_STATE',
    });
    expect(await readSession(session.id, as)).toMatchObject({ expiresAt: null, balanceSats: 0 });
  });
});

it('goes from its deposit to its end, and tells its owner each step', async () => {
  const { id, as, watched } = await activeSession(500);
  expect(await debit(id, 120, 'a page')).toEqual({
    debitSession: { id, state: 'ACTIVE', balanceSats: 380 },
  });
  await debit(id, 380);
  const hash = await topUp(id, 60, as);
  await app().pay(hash);
  await watched.event('SessionToppedUp');
  await debit(id, 1);
  const { closeSession: closed } = await ask(closeSession, { sessionId: id, idempotencyKey: key() }, as);
  expect(closed.session).toEqual({ id, state: 'CLOSED', balanceSats: 0, refundableSats: 59 });
  await watched.event('SessionClosed');
  expect(kept(watched)).toMatchObject([
    { __typename: 'SessionActivated', balanceSats: 500 },
    { __typename: 'SessionDebited', debitedSats: 120, balanceAfter: 380, memo: 'a page' },
    { __typename: 'SessionDebited', debitedSats: 380, balanceAfter: 0, memo: null },
    { __typename: 'SessionPaused', balanceSats: 0 },
    { __typename: 'SessionToppedUp', creditedSats: 60, balanceAfter: 60 },
    { __typename: 'SessionDebited', debitedSats: 1, balanceAfter: 59 },
    { __typename: 'SessionClosed', refundedSats: 59 },
  ]);
  await expectMoneyAddsUp(app().services.db);
});

describe('a debit', () => {
  it('never takes more than the balance', async () => {
    const { id, as } = await activeSession(500);
    const input = { sessionId: id, amountSats: 501, idempotencyKey: key() };
    expect(await refusal(debitSession, input, service)).toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    expect(await readSession(id, as)).toMatchObject({ state: 'ACTIVE', balanceSats: 500 });
    await debit(id, 500);
    expect(await readSession(id, as)).toMatchObject({ state: 'PAUSED', balanceSats: 0 });
    expect(await refusal(debitSession, { ...input, amountSats: 1 }, service)).toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
  });

  it('that was refused can be sent again with its key once there is enough', async () => {
    const { id, as } = await activeSession(100);
    const input = { sessionId: id, amountSats: 150, idempotencyKey: key() };
    expect(await refusal(debitSession, input, service)).toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    await app().pay(await topUp(id, 50, as));
    expect((await ask(debitSession, input, service)).debitSession).toMatchObject({ balanceSats: 0 });
  });

  it('never takes more than the balance when two hundred come at once', async () => {
    const { id, as, watched } = await activeSession(10_000);
    const results = await Promise.all(
      Array.from({ length: 200 }, () =>
        app().send(
          debitSession,
          { input: { sessionId: id, amountSats: 70, idempotencyKey: key() } },
          service,
        ),
      ),
    );
    const codes = results.map(({ errors }) => errors?.[0]?.extensions.code ?? 'DONE').sort();
    expect(codes).toEqual([...Array(142).fill('DONE'), ...Array(58).fill('INSUFFICIENT_FUNDS')]);
    expect(await readSession(id, as)).toMatchObject({ state: 'ACTIVE', balanceSats: 60 });
    await watched.count(144);
    const left = kept(watched).slice(1);
    expect(left.map(({ balanceAfter }) => balanceAfter)).toEqual(
      Array.from({ length: 142 }, (_, debits) => 10_000 - 70 * (debits + 1)),
    );
  });

  it('is at least one sat, with a short memo', async () => {
    const { id } = await activeSession(100);
    const input = { sessionId: id, amountSats: 1, idempotencyKey: key() };
    expect(await refusal(debitSession, { ...input, amountSats: 0 }, service)).toMatchObject({
      code: 'BAD_USER_INPUT',
      argument: 'amountSats',
    });
    expect(await refusal(debitSession, { ...input, memo: 'x'.repeat(641) }, service)).toMatchObject({
      code: 'BAD_USER_INPUT',
      argument: 'memo',
    });
    await ask(debitSession, { ...input, memo: 'x'.repeat(640) }, service);
  });

  it('is for SERVICE alone', async () => {
    const { id, as } = await activeSession(100);
    const input = { sessionId: id, amountSats: 1, idempotencyKey: key() };
    const user = { token: await app().token('a user') };
    for (const who of [user, as])
      expect(await refusal(debitSession, input, who)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await refusal(debitSession, input, {})).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('a top-up', () => {
  it.each([0, 10_001])('of %i sats is refused', async (amountSats) => {
    const { id, as } = await activeSession(100);
    const input = { sessionId: id, amountSats, idempotencyKey: key() };
    expect(await refusal(topUpSession, input, as)).toMatchObject({
      code: 'BAD_USER_INPUT',
      argument: 'amountSats',
    });
  });

  it('is of an amount that a deposit may not have', async () => {
    const { id, as } = await activeSession(10_000);
    await app().pay(await topUp(id, 1, as));
    await app().pay(await topUp(id, 10_000, as));
    expect(await readSession(id, as)).toMatchObject({ balanceSats: 20_001 });
  });

  it('that is paid twice or with a surplus counts once, and the surplus goes back', async () => {
    const { id, as, watched } = await activeSession(100);
    const hash = await topUp(id, 40, as);
    await app().services.stubLightning?.pay(hash, 47n);
    await app().pay(hash);
    await watched.event('SessionPaymentReturned');
    expect(kept(watched)).toMatchObject([
      { __typename: 'SessionActivated' },
      { __typename: 'SessionToppedUp', creditedSats: 40, balanceAfter: 140 },
      { __typename: 'SessionPaymentReturned', returnedSats: 7, returnReason: 'SURPLUS' },
    ]);
    expect(await readSession(id, as)).toMatchObject({ balanceSats: 140, refundableSats: 7 });
  });

  it('that is paid after the end goes back whole', async () => {
    const { id, as, watched } = await activeSession(100);
    const hashes = [await topUp(id, 40, as), await topUp(id, 41, as)];
    await ask(closeSession, { sessionId: id, idempotencyKey: key() }, as);
    const { session } = await app().ask(
      'query ($id: ID!) { session(id: $id) { topUps { edges { node { amountSats state } } } } }',
      { id },
      as,
    );
    expect(session.topUps.edges.map(({ node }: Json) => node)).toEqual([
      { amountSats: 41, state: 'CANCELLED' },
      { amountSats: 40, state: 'CANCELLED' },
    ]);
    await app().pay(hashes[0]!);
    await app().services.stubLightning?.pay(hashes[1]!, 42n);
    await watched.count(5);
    expect(typesOf(watched)).toEqual([
      'SessionActivated',
      'SessionClosed',
      'SessionPaymentReturned',
      'SessionPaymentReturned',
    ]);
    expect(kept(watched).slice(2)).toMatchObject([
      { returnedSats: 40, returnReason: 'NOT_NEEDED' },
      { returnedSats: 42, returnReason: 'NOT_NEEDED' },
    ]);
    expect(await readSession(id, as)).toMatchObject({ state: 'CLOSED', refundableSats: 100 + 40 + 42 });
    await expectMoneyAddsUp(app().services.db);
  });

  it('and closing are for the owner alone', async () => {
    const { id } = await activeSession(100);
    const user = { token: await app().token('a user') };
    for (const who of [user, service]) {
      const input = { sessionId: id, amountSats: 1, idempotencyKey: key() };
      expect(await refusal(topUpSession, input, who)).toMatchObject({ code: 'FORBIDDEN' });
      const closing = { sessionId: id, idempotencyKey: key() };
      expect(await refusal(closeSession, closing, who)).toMatchObject({ code: 'FORBIDDEN' });
    }
  });
});

describe('closing', () => {
  it('moves what is left into the wallet of a user', async () => {
    const as = { token: await app().token('closes a session') };
    const { id } = await activeSession(500, as);
    await debit(id, 80);
    const { closeSession: closed } = await ask(closeSession, { sessionId: id, idempotencyKey: key() }, as);
    expect(closed.session).toMatchObject({ state: 'CLOSED', balanceSats: 0, refundableSats: 0 });
    const { viewer } = await app().ask('{ viewer { wallet { balanceSats } } }', {}, as);
    expect(viewer.wallet.balanceSats).toBe(420);
  });

  it('is final', async () => {
    const { id, as } = await activeSession(500);
    await ask(closeSession, { sessionId: id, idempotencyKey: key() }, as);
    const input = { sessionId: id, amountSats: 1, idempotencyKey: key() };
    const ended = { code: 'CONFLICT', reason: 'INVALID_STATE' };
    expect(await refusal(closeSession, { sessionId: id, idempotencyKey: key() }, as)).toMatchObject(ended);
    expect(await refusal(debitSession, input, service)).toMatchObject(ended);
    expect(await refusal(topUpSession, input, as)).toMatchObject(ended);
  });

  it('ends also a session that was never paid, and its deposit goes back when it is', async () => {
    const { session, as } = await openSession(app(), 500);
    const watched = app().watch(watchSession, { id: session.id }, as);
    await watched.count(1);
    await ask(closeSession, { sessionId: session.id, idempotencyKey: key() }, as);
    expect(await readSession(session.id, as)).toMatchObject({
      state: 'CLOSED',
      refundableSats: 0,
      depositInvoice: { state: 'CANCELLED' },
    });
    await app().pay(session.depositInvoice.paymentHash);
    expect(await watched.event('SessionPaymentReturned')).toMatchObject({
      returnedSats: 500,
      returnReason: 'NOT_NEEDED',
      session: { state: 'CLOSED', refundableSats: 500 },
    });
    expect(typesOf(watched)).toEqual(['SessionClosed', 'SessionPaymentReturned']);
    expect(await readSession(session.id, as)).toMatchObject({ depositInvoice: { state: 'PAID' } });
  });
});

it('gives a deposit with a surplus its amount, and the rest back', async () => {
  const { session, as } = await openSession(app(), 500);
  const watched = app().watch(watchSession, { id: session.id }, as);
  await watched.count(1);
  await app().services.stubLightning?.pay(session.depositInvoice.paymentHash, 530n);
  await app().pay(session.depositInvoice.paymentHash);
  await watched.event('SessionPaymentReturned');
  expect(kept(watched)).toMatchObject([
    { __typename: 'SessionActivated', balanceSats: 500 },
    { __typename: 'SessionPaymentReturned', returnedSats: 30, returnReason: 'SURPLUS' },
  ]);
  expect(await readSession(session.id, as)).toMatchObject({ balanceSats: 500, refundableSats: 30 });
});

it('feeds sessionDebited with the debits alone, behind a cursor of either feed', async () => {
  const { id, as, watched } = await activeSession(500);
  const debits = `
    subscription ($id: ID!, $after: Cursor) {
      sessionDebited(id: $id, after: $after) { id cursor debitedSats balanceAfter memo session { state } }
    }`;
  const all = app().watch(debits, { id, after: 'START' }, as);
  await debit(id, 100, 'one');
  await app().pay(await topUp(id, 50, as));
  await debit(id, 450, 'two');
  await all.count(2);
  expect(all.events).toMatchObject([
    { debitedSats: 100, balanceAfter: 400, memo: 'one' },
    { debitedSats: 450, balanceAfter: 0, memo: 'two' },
  ]);
  const toppedUp = await watched.event('SessionToppedUp');
  const rest = app().watch(debits, { id, after: toppedUp.cursor }, as);
  await rest.count(1);
  expect(rest.events).toEqual([all.events[1]]);
  const behind = app().watch(watchSession, { id, after: all.events[0].cursor }, as);
  await behind.count(3);
  expect(behind.events.map(({ __typename }) => __typename)).toEqual([
    'SessionToppedUp',
    'SessionDebited',
    'SessionPaused',
  ]);
});

it('feeds activity with all that concerns a user: jobs, sessions and the wallet', async () => {
  const as = { token: await app().token('does both') };
  const activity = `
    subscription ($after: Cursor) {
      activity(after: $after) {
        __typename id cursor
        ... on JobEvent { job { id } }
        ... on SessionEvent { session { id } }
      }
    }`;
  const { viewer } = await app().ask('{ viewer { activityCursor } }', {}, as);
  const all = app().watch(activity, { after: viewer.activityCursor }, as);
  const { id } = await activeSession(500, as);
  const { job } = await createJob(app(), 'Count.', as);
  await app().pay(job.evalInvoice.paymentHash);
  await debit(id, 1);
  // Another's events are not theirs.
  await activeSession(500, { token: await app().token('another') });
  await ask(closeSession, { sessionId: id, idempotencyKey: key() }, as);
  await all.event('SessionClosed');
  expect(
    all.events.map(({ __typename, job: ofJob, session }) => [__typename, ofJob?.id ?? session?.id]),
  ).toEqual([
    ['SessionActivated', id],
    ['JobPaymentConfirmed', job.id],
    ['SessionDebited', id],
    ['WalletCredited', undefined],
    ['SessionClosed', id],
  ]);
  const resumed = app().watch(activity, { after: all.events[1].cursor }, as);
  await resumed.count(3);
  expect(resumed.events.map((event) => event.id)).toEqual(all.events.slice(2).map((event) => event.id));
});

it('lists the sessions of a user, the newest first', async () => {
  const as = { token: await app().token('opens three') };
  const opened = [];
  for (const depositSats of [100, 200, 300]) opened.push(await openSession(app(), depositSats, as));
  const list = `query ($after: String) {
    viewer { sessions(first: 2, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }
  }`;
  const ids = (page: Json) => page.viewer.sessions.edges.map(({ node }: Json) => node.id);
  const first = await app().ask(list, {}, as);
  const second = await app().ask(list, { after: first.viewer.sessions.pageInfo.endCursor }, as);
  expect([...ids(first), ...ids(second)]).toEqual(opened.map(({ session }) => session.id).reverse());
  expect(second.viewer.sessions.pageInfo.hasNextPage).toBe(false);
});

it('shows the history of a session, and its feed position', async () => {
  const { id, as, watched } = await activeSession(500);
  await debit(id, 1);
  const { node } = await app().ask(
    'query ($id: ID!) { node(id: $id) { ... on Session { cursor events { edges { node { __typename id } } } } } }',
    { id },
    as,
  );
  await watched.event('SessionDebited');
  expect(node.events.edges.map((edge: Json) => edge.node.id)).toEqual(kept(watched).map((event) => event.id));
  expect(node.cursor).toBe(watched.events.at(-1).cursor);
});
