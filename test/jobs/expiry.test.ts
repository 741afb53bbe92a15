import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { Received } from '../support/clients.ts';
import { movableClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { createJob, watchJob } from '../support/operations.ts';

const hourMs = 3_600_000;

const clock = movableClock();
const app = useTestApp({}, { clock });

const typesOf = (received: Received) =>
  received.events.map(({ __typename }) => __typename).filter((type) => type !== 'JobProgressed');

it('ends a job whose evaluation is not paid in time, and gives back what is paid later', async () => {
  const { job, as } = await createJob(app(), 'Count to three.');
  const watched = app().watch(watchJob, { id: job.id }, as);
  await watched.count(1);
  clock.advance(hourMs + 1_000);
  expect(await watched.event('JobExpired')).toMatchObject({
    why: 'The invoice was not paid in time.',
    job: { state: 'EXPIRED', refundableSats: 0 },
  });
  await app().pay(job.evalInvoice.paymentHash);
  expect(await watched.event('JobPaymentReturned')).toMatchObject({
    returnedSats: 10,
    returnReason: 'NOT_NEEDED',
    job: { state: 'EXPIRED', refundableSats: 10 },
  });
  await app().pay(job.evalInvoice.paymentHash);
  expect(typesOf(watched)).toEqual(['JobSnapshot', 'JobExpired', 'JobPaymentReturned']);
  await expectMoneyAddsUp(app().services.db);
});

it('ends a job whose work is not paid in time, and gives a late payment back whole', async () => {
  const as = { token: await app().token('late payer', ['USER'], 90 * 24 * 3_600) };
  const { job } = await createJob(app(), 'Count to three.', as);
  const watched = app().watch(watchJob, { id: job.id }, as);
  await watched.count(1);
  await app().pay(job.evalInvoice.paymentHash);
  const { workInvoice } = await watched.event('JobEvaluated');
  clock.advance(hourMs + 1_000);
  await watched.event('JobExpired');
  await app().services.stubLightning?.pay(workInvoice.paymentHash, 77n);
  expect(await watched.event('JobPaymentReturned')).toMatchObject({
    returnedSats: 77,
    returnReason: 'NOT_NEEDED',
    job: { state: 'EXPIRED' },
  });
  expect(typesOf(watched)).toEqual([
    'JobSnapshot',
    'JobPaymentConfirmed',
    'JobEvaluated',
    'JobExpired',
    'JobPaymentReturned',
  ]);
  const { viewer } = await app().ask('{ viewer { wallet { balanceSats } } }', {}, as);
  expect(viewer).toEqual({ wallet: { balanceSats: 77 } });
  await expectMoneyAddsUp(app().services.db);
});

it('hears of a late payment by looking the expired invoice up, every hour for a day', async () => {
  const { job, as } = await createJob(app(), 'Count to three.');
  const watched = app().watch(watchJob, { id: job.id }, as);
  await watched.count(1);
  clock.advance(hourMs + 1_000);
  await watched.event('JobExpired');
  await app().services.db.query(
    'UPDATE stub_invoices SET received_sats = 10, paid_at = $2 WHERE payment_hash = $1',
    [job.evalInvoice.paymentHash, new Date(clock.now())],
  );
  clock.advance(hourMs);
  expect(await watched.event('JobPaymentReturned')).toMatchObject({ returnedSats: 10 });
});

it('leaves a job alone that was paid in time', async () => {
  const { job, as } = await createJob(app(), 'Count to three.');
  const watched = app().watch(watchJob, { id: job.id }, as);
  await watched.count(1);
  await app().pay(job.evalInvoice.paymentHash);
  const { workInvoice } = await watched.event('JobEvaluated');
  await app().pay(workInvoice.paymentHash);
  await watched.event('JobCompleted');
  const { job: unpaid, as: other } = await createJob(app(), 'Never paid.');
  const witness = app().watch(watchJob, { id: unpaid.id }, other);
  await witness.count(1);
  clock.advance(25 * hourMs);
  await witness.event('JobExpired');
  expect(typesOf(watched).at(-1)).toBe('JobCompleted');
});
