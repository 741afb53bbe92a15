import { describe, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { As, Json, Received } from '../support/clients.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { createJob, watchJob } from '../support/operations.ts';

const app = useTestApp();

const jobQuery = `
  query ($id: ID!) {
    job(id: $id) {
      ... on AgentJob {
        state reason result refundableSats
        evalInvoice { state receivedSats } workInvoice { state amountSats receivedSats }
      }
    }
  }`;

const readJob = async (id: string, as: As): Promise<Json> => (await app().ask(jobQuery, { id }, as)).job;

const walletOf = async (as: As): Promise<number> =>
  (await app().ask('{ viewer { wallet { balanceSats } } }', {}, as)).viewer.wallet.balanceSats;

const revenue = async () => (await app().services.ledger.all(app().services.db)).get('revenue') ?? 0n;

const kept = (received: Received) =>
  received.events.filter(({ __typename }) => __typename !== 'JobProgressed' && __typename !== 'JobSnapshot');

const typesOf = (received: Received) => kept(received).map(({ __typename }) => __typename);

/** The history of a job, from its beginning, once it has this many events. */
async function history(id: string, as: As, events: number): Promise<Json[]> {
  const replayed = app().watch(watchJob, { id, after: 'START' }, as);
  await replayed.count(events);
  replayed.unsubscribe();
  return kept(replayed);
}

async function start(prompt: string, as: As = {}) {
  const made = await createJob(app(), prompt, as);
  const watched = app().watch(watchJob, { id: made.job.id }, made.as);
  await watched.event('JobSnapshot');
  return { ...made, watched };
}

describe('a job', () => {
  it('that is done is paid for, and tells its owner each step', async () => {
    const before = await revenue();
    const { job, as, watched } = await start('Count to three.');
    await app().pay(job.evalInvoice.paymentHash);
    const { workInvoice } = await watched.event('JobEvaluated');
    expect(workInvoice).toMatchObject({ amountSats: 50 });
    await app().pay(workInvoice.paymentHash);
    await watched.event('JobCompleted');
    expect(kept(watched)).toMatchObject([
      { __typename: 'JobPaymentConfirmed', state: 'EVALUATING', invoice: { state: 'PAID' } },
      { __typename: 'JobEvaluated', state: 'AWAITING_WORK_PAYMENT' },
      { __typename: 'JobPaymentConfirmed', state: 'EXECUTING', invoice: { state: 'PAID' } },
      { __typename: 'JobWorkStarted', state: 'EXECUTING' },
      { __typename: 'JobCompleted', result: 'The stub agent has done: Count to three.' },
    ]);
    expect(await readJob(job.id, as)).toEqual({
      state: 'COMPLETE',
      reason: null,
      result: 'The stub agent has done: Count to three.',
      refundableSats: 0,
      evalInvoice: { state: 'PAID', receivedSats: 10 },
      workInvoice: { state: 'PAID', amountSats: 50, receivedSats: 50 },
    });
    expect(await revenue()).toBe(before + 60n);
  });

  it('that is rejected costs its evaluation', async () => {
    const before = await revenue();
    const { job, as, watched } = await start('reject: too vague');
    await app().pay(job.evalInvoice.paymentHash);
    expect(await watched.event('JobRejected')).toMatchObject({
      why: 'too vague',
      job: { state: 'REJECTED', reason: 'too vague' },
    });
    expect(typesOf(watched)).toEqual(['JobPaymentConfirmed', 'JobRejected']);
    expect(await readJob(job.id, as)).toMatchObject({ refundableSats: 0, workInvoice: null });
    expect(await revenue()).toBe(before + 10n);
  });

  it('that fails gives the price of the work back: to an anonymous owner as refundable balance', async () => {
    const before = await revenue();
    const { job, as, watched } = await start('fail: no idea');
    await app().pay(job.evalInvoice.paymentHash);
    const { workInvoice } = await watched.event('JobEvaluated');
    await app().pay(workInvoice.paymentHash);
    expect(await watched.event('JobPaymentReturned')).toMatchObject({
      returnedSats: 50,
      returnReason: 'WORK_FAILED',
      job: { state: 'FAILED', refundableSats: 50 },
    });
    expect(typesOf(watched)).toEqual([
      'JobPaymentConfirmed',
      'JobEvaluated',
      'JobPaymentConfirmed',
      'JobWorkStarted',
      'JobFailed',
      'JobPaymentReturned',
    ]);
    expect(await readJob(job.id, as)).toMatchObject({ state: 'FAILED', reason: 'no idea', result: null });
    expect(await revenue()).toBe(before + 10n);
  });

  it('that fails gives the price of the work back: to a user into the wallet', async () => {
    const as = { token: await app().token('owner of what fails') };
    const activity = app().watch(
      `subscription {
        activity(after: "START") {
          __typename id
          ... on WalletEvent { balanceAfter }
          ... on WalletCredited { amountSats why: reason }
        }
      }`,
      {},
      as,
    );
    const { job, watched } = await start('fail: no idea', as);
    await app().pay(job.evalInvoice.paymentHash);
    const { workInvoice } = await watched.event('JobEvaluated');
    await app().pay(workInvoice.paymentHash);
    await watched.event('JobPaymentReturned');
    expect(await walletOf(as)).toBe(50);
    expect(await readJob(job.id, as)).toMatchObject({ refundableSats: 0 });
    await activity.event('JobPaymentReturned');
    const [credited] = activity.events.filter(({ __typename }) => __typename === 'WalletCredited');
    expect(credited).toMatchObject({ amountSats: 50, balanceAfter: 50, why: 'WORK_FAILED' });
    expect(activity.events.filter((event) => event !== credited).map(({ id }) => id)).toEqual(
      kept(watched).map(({ id }) => id),
    );
  });
});

describe('a payment', () => {
  it('that is made twice is booked once', async () => {
    const { job, as, watched } = await start('Count to three.');
    const { paymentHash } = job.evalInvoice;
    await Promise.all([app().pay(paymentHash), app().pay(paymentHash), app().pay(paymentHash)]);
    const { workInvoice } = await watched.event('JobEvaluated');
    await Promise.all([app().pay(workInvoice.paymentHash), app().pay(paymentHash)]);
    await watched.event('JobCompleted');
    await app().pay(workInvoice.paymentHash);
    await app().pay(paymentHash);
    expect((await history(job.id, as, 5)).map(({ id }) => id)).toEqual(kept(watched).map(({ id }) => id));
    expect(typesOf(watched)).toHaveLength(5);
    expect(await readJob(job.id, as)).toMatchObject({ refundableSats: 0 });
    await expectMoneyAddsUp(app().services.db);
  });

  it('that is higher than asked gives the surplus back', async () => {
    const { job, as, watched } = await start('Count to three.');
    const lightning = app().services.stubLightning;
    await lightning?.pay(job.evalInvoice.paymentHash, 15n);
    const { workInvoice } = await watched.event('JobEvaluated');
    await lightning?.pay(workInvoice.paymentHash, 51n);
    await watched.event('JobCompleted');
    expect(
      kept(watched).map(({ __typename, returnedSats, returnReason }) => [
        __typename,
        returnedSats,
        returnReason,
      ]),
    ).toEqual([
      ['JobPaymentConfirmed', undefined, undefined],
      ['JobPaymentReturned', 5, 'SURPLUS'],
      ['JobEvaluated', undefined, undefined],
      ['JobPaymentConfirmed', undefined, undefined],
      ['JobWorkStarted', undefined, undefined],
      ['JobPaymentReturned', 1, 'SURPLUS'],
      ['JobCompleted', undefined, undefined],
    ]);
    expect(await readJob(job.id, as)).toMatchObject({
      refundableSats: 6,
      evalInvoice: { receivedSats: 15 },
      workInvoice: { receivedSats: 51 },
    });
    await expectMoneyAddsUp(app().services.db);
  });
});
