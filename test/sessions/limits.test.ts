import { expect, it } from 'vitest';
import { startTestApp } from '../support/app.ts';
import { debitSession, key, openSession, topUpSession, watchSession } from '../support/operations.ts';

it('pauses below the minimum that is configured, and resumes when a top-up reaches it', async () => {
  const app = await startTestApp({
    SESSION_MINIMUM_SATS: '50',
    SESSION_DEPOSIT_MIN_SATS: '60',
    SESSION_DEPOSIT_MAX_SATS: '90',
  });
  await expect(openSession(app, 59)).rejects.toThrow(/60 to 90 sats/);
  await expect(openSession(app, 91)).rejects.toThrow(/60 to 90 sats/);
  const service = { token: await app.token('a service', ['SERVICE']) };
  const { session, as } = await openSession(app, 90);
  const { id } = session;
  const watched = app.watch(watchSession, { id }, as);
  await watched.count(1);
  await app.pay(session.depositInvoice.paymentHash);

  const debit = async (amountSats: number) => {
    const input = { sessionId: id, amountSats, idempotencyKey: key() };
    const { data, errors } = await app.send(debitSession, { input }, service);
    return errors?.[0]?.extensions.code ?? data.debitSession;
  };
  const topUp = async (amountSats: number) => {
    const input = { sessionId: id, amountSats, idempotencyKey: key() };
    const { topUpSession: made } = await app.ask(topUpSession, { input }, as);
    await app.pay(made.invoice.paymentHash);
  };
  expect(await debit(40)).toEqual({ id, state: 'ACTIVE', balanceSats: 50 });
  expect(await debit(1)).toEqual({ id, state: 'PAUSED', balanceSats: 49 });
  expect(await debit(1)).toBe('INSUFFICIENT_FUNDS');
  await topUp(1);
  expect(await debit(2)).toEqual({ id, state: 'PAUSED', balanceSats: 48 });
  await topUp(1);
  expect(await debit(1)).toBe('INSUFFICIENT_FUNDS');
  await topUp(60);
  expect(await debit(1)).toEqual({ id, state: 'ACTIVE', balanceSats: 108 });

  await watched.count(11);
  expect(watched.events.slice(1).map(({ __typename, session: shown }) => [__typename, shown.id])).toEqual(
    [
      'SessionActivated',
      'SessionDebited',
      'SessionDebited',
      'SessionPaused',
      'SessionToppedUp',
      'SessionDebited',
      'SessionPaused',
      'SessionToppedUp',
      'SessionToppedUp',
      'SessionDebited',
    ].map((type) => [type, id]),
  );
});
