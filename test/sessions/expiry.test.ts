import { beforeAll, expect, it } from 'vitest';
import { startTestApp, temporaryFolder, useTestApp } from '../support/app.ts';
import type { As, Received } from '../support/clients.ts';
import { movableClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import {
  closeSession,
  debitSession,
  key,
  openSession,
  topUpSession,
  watchSession,
} from '../support/operations.ts';

const hourMs = 3_600_000;
const yearSeconds = 365 * 24 * 3_600;

const clock = movableClock();
const app = useTestApp({}, { clock });

let service: As;
beforeAll(async () => {
  service = { token: await app().token('a service', ['SERVICE'], yearSeconds) };
});

const typesOf = (received: Received) => received.events.slice(1).map(({ __typename }) => __typename);

async function activeSession(as: As = {}) {
  const made = await openSession(app(), 500, as);
  const id = made.session.id as string;
  const watched = app().watch(watchSession, { id }, made.as);
  await watched.count(1);
  await app().pay(made.session.depositInvoice.paymentHash);
  await watched.event('SessionActivated');
  return { id, as: made.as, watched };
}

const stateOf = async (id: string, as: As) =>
  (await app().ask('query ($id: ID!) { session(id: $id) { state expiresAt } }', { id }, as)).session;

it('ends after a day without activity; what is left is refundable to an anonymous owner', async () => {
  const { id, as, watched } = await activeSession();
  clock.advance(24 * hourMs + 1_000);
  expect(await watched.event('SessionExpired')).toMatchObject({
    refundedSats: 500,
    session: { state: 'EXPIRED', balanceSats: 0, refundableSats: 500 },
  });
  expect(await stateOf(id, as)).toEqual({ state: 'EXPIRED', expiresAt: null });
  const input = { sessionId: id, amountSats: 1, idempotencyKey: key() };
  const { errors } = await app().send(debitSession, { input }, service);
  expect(errors).toMatchObject([{ extensions: { code: 'CONFLICT', reason: 'INVALID_STATE' } }]);
});

it('ends after a day without activity; what is left goes into the wallet of a user', async () => {
  const as = { token: await app().token('forgets a session', ['USER'], yearSeconds) };
  const { watched } = await activeSession(as);
  clock.advance(24 * hourMs + 1_000);
  await watched.event('SessionExpired');
  const { viewer } = await app().ask('{ viewer { wallet { balanceSats } } }', {}, as);
  expect(viewer.wallet.balanceSats).toBe(500);
});

it('lives on while it is debited or topped up, each of which gives it a day more', async () => {
  const { id, as, watched } = await activeSession();
  const witness = await activeSession();
  clock.advance(20 * hourMs);
  const debit = { sessionId: id, amountSats: 1, idempotencyKey: key() };
  await app().ask(debitSession, { input: debit }, service);
  clock.advance(5 * hourMs);
  // The other one has ended by now; this one was looked at, too.
  await witness.watched.event('SessionExpired');
  const { expiresAt } = await stateOf(id, as);
  expect(Date.parse(expiresAt) - clock.now()).toBeGreaterThan(18 * hourMs);
  expect(Date.parse(expiresAt) - clock.now()).toBeLessThanOrEqual(19 * hourMs);

  clock.advance(15 * hourMs);
  const input = { sessionId: id, amountSats: 10, idempotencyKey: key() };
  const { topUpSession: made } = await app().ask(topUpSession, { input }, as);
  await app().pay(made.invoice.paymentHash);
  clock.advance(20 * hourMs);
  const second = await activeSession();
  expect(await stateOf(id, as)).toMatchObject({ state: 'ACTIVE' });
  clock.advance(4 * hourMs + 1_000);
  expect(await watched.event('SessionExpired')).toMatchObject({ refundedSats: 509 });
  expect(typesOf(watched)).toEqual([
    'SessionActivated',
    'SessionDebited',
    'SessionToppedUp',
    'SessionExpired',
  ]);
  expect(typesOf(second.watched)).toEqual(['SessionActivated']);
});

it('ends when its deposit is not paid in time, and gives back what is paid later', async () => {
  const { session, as } = await openSession(app(), 500);
  const watched = app().watch(watchSession, { id: session.id }, as);
  await watched.count(1);
  clock.advance(hourMs + 1_000);
  expect(await watched.event('SessionExpired')).toMatchObject({ refundedSats: 0 });
  await app().services.stubLightning?.pay(session.depositInvoice.paymentHash, 501n);
  expect(await watched.event('SessionPaymentReturned')).toMatchObject({
    returnedSats: 501,
    returnReason: 'NOT_NEEDED',
    session: { state: 'EXPIRED', balanceSats: 0, refundableSats: 501 },
  });
  expect(typesOf(watched)).toEqual(['SessionExpired', 'SessionPaymentReturned']);
  await expectMoneyAddsUp(app().services.db);
});

it('is not touched by a top-up that nobody pays; one that is paid after the end goes back', async () => {
  const { id, as, watched } = await activeSession();
  const input = { sessionId: id, amountSats: 10, idempotencyKey: key() };
  const { topUpSession: made } = await app().ask(topUpSession, { input }, as);
  clock.advance(hourMs + 1_000);
  const invoice = 'query ($paymentHash: ID!) { invoice(paymentHash: $paymentHash) { state } }';
  const { paymentHash } = made.invoice;
  await expect
    .poll(async () => (await app().ask(invoice, { paymentHash }, as)).invoice.state, { timeout: 10_000 })
    .toBe('EXPIRED');
  expect(await stateOf(id, as)).toMatchObject({ state: 'ACTIVE' });
  clock.advance(23 * hourMs);
  await watched.event('SessionExpired');
  await app().pay(paymentHash);
  expect(await watched.event('SessionPaymentReturned')).toMatchObject({
    returnedSats: 10,
    returnReason: 'NOT_NEEDED',
    session: { refundableSats: 510 },
  });
  await expectMoneyAddsUp(app().services.db);
});

it('cannot end twice', async () => {
  const { id, as, watched } = await activeSession();
  const { sessions } = app().services;
  expect(await sessions.expireIdle(id)).toBeInstanceOf(Date);
  await app().ask(closeSession, { input: { sessionId: id, idempotencyKey: key() } }, as);
  clock.advance(25 * hourMs);
  expect(await sessions.expireIdle(id)).toBeUndefined();
  await watched.event('SessionClosed');
  expect(await stateOf(id, as)).toEqual({ state: 'CLOSED', expiresAt: null });
  await expect(sessions.expireIdle('ses_none')).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

it('ends at the next start when its day went by while the server was down', async () => {
  const env = { DATA_DIR: await temporaryFolder() };
  const itsClock = movableClock();
  const before = await startTestApp(env, { clock: itsClock });
  const { session, as } = await openSession(before, 500);
  await before.pay(session.depositInvoice.paymentHash);
  await before.stop();
  itsClock.advance(30 * hourMs);
  const after = await startTestApp(env, { clock: itsClock });
  const watched = after.watch(watchSession, { id: session.id, after: 'START' }, as);
  expect(await watched.event('SessionExpired')).toMatchObject({ refundedSats: 500 });
});
