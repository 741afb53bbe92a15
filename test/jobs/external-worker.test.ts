import { beforeAll, describe, expect, it } from 'vitest';
import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import { startTestApp, useTestApp } from '../support/app.ts';
import type { As, Json, Result } from '../support/clients.ts';
import { movableClock } from '../support/clock.ts';
import { faultyLightning } from '../support/lightning.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { createJob, key, watchJob } from '../support/operations.ts';
import {
  claimAgentJob,
  failJob,
  reportProgress,
  submitEvaluation,
  submitResult,
  watchAgentJobs,
} from '../support/service-operations.ts';
import { until } from '../support/until.ts';

const yearSeconds = 365 * 24 * 3_600;

const clock = movableClock();
const line = faultyLightning();
const app = useTestApp({ AGENT: 'external' }, { clock, lightning: line.wrap });

let worker: As;
let other: As;
beforeAll(async () => {
  worker = { token: await app().token('a worker', ['SERVICE'], yearSeconds) };
  other = { token: await app().token('another worker', ['SERVICE'], yearSeconds) };
});

const ask = (document: string, input: object, as: As): Promise<Json> => app().ask(document, { input }, as);

/** The error of an operation, which must have one. */
async function refusal(document: string, input: object, as: As): Promise<object | undefined> {
  const { errors } = (await app().send(document, { input }, as)) as Result;
  return errors?.[0]?.extensions;
}

const conflict = (reason: string) => ({ code: 'CONFLICT', reason });

/** A job whose evaluation is paid. */
async function paidJob(prompt = 'Count to three.') {
  const made = await createJob(app(), prompt);
  await app().pay(made.job.evalInvoice.paymentHash);
  return { id: made.job.id as string, as: made.as };
}

/** A job whose work is paid, and that the worker has taken. */
async function claimedWork(workPriceSats = 70) {
  const job = await paidJob();
  await ask(claimAgentJob, { jobId: job.id }, worker);
  const evaluation = { jobId: job.id, accepted: true, workPriceSats, idempotencyKey: key() };
  const { submitEvaluation: submitted } = await ask(submitEvaluation, evaluation, worker);
  await app().pay(submitted.job.workInvoice.paymentHash);
  await ask(claimAgentJob, { jobId: job.id }, worker);
  return job;
}

const readJob = async ({ id, as }: { id: string; as: As }) =>
  (
    await app().ask(
      'query ($id: ID!) { job(id: $id) { ... on AgentJob { state reason result refundableSats workInvoice { id } } } }',
      { id },
      as,
    )
  ).job;

/** Takes every job that is due, so that none is left. */
async function claimAll(): Promise<void> {
  while ((await ask(claimAgentJob, {}, other)).claimAgentJob.job !== null);
}

it('hears of what is due, takes it, prices it, reports on it, and earns its price', async () => {
  await claimAll();
  const { agentJobs } = await app().ask('{ agentJobs(first: 1) { feedCursor } }', {}, worker);
  const ready = app().watch(watchAgentJobs, { after: agentJobs.feedCursor }, worker);
  const { id, as } = await paidJob('Count to three.');
  const watched = app().watch(watchJob, { id }, as);
  await watched.count(1);
  await ready.count(1);
  const { claimAgentJob: evaluating } = await ask(claimAgentJob, { jobId: id }, worker);
  expect(evaluating).toEqual({
    job: { id, state: 'EVALUATING', prompt: 'Count to three.' },
    leasedUntil: expect.any(String),
  });
  const leaseMs = Date.parse(evaluating.leasedUntil) - clock.now();
  expect(leaseMs).toBeGreaterThan(30_000);
  expect(leaseMs).toBeLessThanOrEqual(60_000);

  const evaluation = { jobId: id, accepted: true, workPriceSats: 120, idempotencyKey: key() };
  const { submitEvaluation: submitted } = await ask(submitEvaluation, evaluation, worker);
  expect(submitted.job).toMatchObject({
    state: 'AWAITING_WORK_PAYMENT',
    workInvoice: { amountSats: 120, state: 'OPEN' },
  });
  expect((await ask(claimAgentJob, {}, worker)).claimAgentJob).toEqual({ job: null, leasedUntil: null });

  await app().pay(submitted.job.workInvoice.paymentHash);
  await ready.count(2);
  expect(ready.events).toMatchObject([
    { __typename: 'JobPaymentConfirmed', job: { id } },
    { __typename: 'JobWorkStarted', job: { id, state: 'EXECUTING' } },
  ]);
  const { claimAgentJob: executing } = await ask(claimAgentJob, {}, worker);
  expect(executing.job).toMatchObject({ id, state: 'EXECUTING' });

  const started = await watched.event('JobWorkStarted');
  await ask(reportProgress, { jobId: id, percent: 30, message: 'three is next' }, worker);
  expect(await watched.event('JobProgressed')).toMatchObject({
    percent: 30,
    message: 'three is next',
    cursor: started.cursor,
  });
  await ask(reportProgress, { jobId: id }, worker);
  await until('the second report', () => watched.events.at(-1)?.percent === null);
  expect(watched.events.at(-1)).toMatchObject({ __typename: 'JobProgressed', message: null });

  const { submitResult: done } = await ask(
    submitResult,
    { jobId: id, result: '1, 2, 3', idempotencyKey: key() },
    worker,
  );
  expect(done.job).toEqual({ id, state: 'COMPLETE', result: '1, 2, 3' });
  expect(await watched.event('JobCompleted')).toMatchObject({ result: '1, 2, 3' });
  await expectMoneyAddsUp(app().services.db);
});

it('may reject a job, with a reason', async () => {
  const job = await paidJob();
  await ask(claimAgentJob, { jobId: job.id }, worker);
  const input = { jobId: job.id, accepted: false, reason: 'Not mine.', idempotencyKey: key() };
  expect((await ask(submitEvaluation, input, worker)).submitEvaluation.job).toEqual({
    id: job.id,
    state: 'REJECTED',
    reason: 'Not mine.',
    workInvoice: null,
  });
});

it('may give up an evaluation, which stays paid, or work, whose price goes back', async () => {
  const evaluated = await paidJob();
  await ask(claimAgentJob, { jobId: evaluated.id }, worker);
  await ask(failJob, { jobId: evaluated.id, reason: 'Out of ink.', idempotencyKey: key() }, worker);
  expect(await readJob(evaluated)).toMatchObject({ state: 'FAILED', refundableSats: 0 });

  const worked = await claimedWork(70);
  await ask(failJob, { jobId: worked.id, reason: 'Out of ink.', idempotencyKey: key() }, worker);
  expect(await readJob(worked)).toMatchObject({
    state: 'FAILED',
    reason: 'Out of ink.',
    refundableSats: 70,
  });
  const watched = app().watch(watchJob, { id: worked.id, after: 'START' }, worked.as);
  expect(await watched.event('JobPaymentReturned')).toMatchObject({
    returnedSats: 70,
    returnReason: 'WORK_FAILED',
  });
});

describe('a lease', () => {
  it('keeps the others out', async () => {
    const { id } = await paidJob();
    const { claimAgentJob: first } = await ask(claimAgentJob, { jobId: id }, worker);
    clock.advance(1_000);
    expect(await refusal(claimAgentJob, { jobId: id }, other)).toMatchObject(conflict('LEASE_HELD'));
    for (const [document, input] of [
      [reportProgress, {}],
      [submitEvaluation, { accepted: false, reason: 'Mine!', idempotencyKey: key() }],
      [failJob, { reason: 'Mine!', idempotencyKey: key() }],
    ] as const)
      expect(await refusal(document, { jobId: id, ...input }, other)).toMatchObject(conflict('LEASE_HELD'));
    const { claimAgentJob: again } = await ask(claimAgentJob, { jobId: id }, worker);
    expect(Date.parse(again.leasedUntil)).toBeGreaterThan(Date.parse(first.leasedUntil));
  });

  it('must be had by who does anything', async () => {
    const { id } = await paidJob();
    const input = { jobId: id, accepted: false, reason: 'x', idempotencyKey: key() };
    expect(await refusal(submitEvaluation, input, worker)).toMatchObject(conflict('LEASE_HELD'));
    await ask(claimAgentJob, { jobId: id }, worker);
    await ask(submitEvaluation, input, worker);
  });

  it('ends by the clock: another may take the job, and the first comes too late', async () => {
    const job = await claimedWork();
    const result = { jobId: job.id, result: 'too late', idempotencyKey: key() };
    clock.advance(60_000);
    expect(await refusal(submitResult, result, worker)).toMatchObject(conflict('LEASE_HELD'));
    const { claimAgentJob: taken } = await ask(claimAgentJob, { jobId: job.id }, other);
    expect(taken.job.id).toBe(job.id);
    expect(await refusal(submitResult, result, worker)).toMatchObject(conflict('LEASE_HELD'));
    expect(await refusal(reportProgress, { jobId: job.id }, worker)).toMatchObject(conflict('LEASE_HELD'));
    await ask(submitResult, { jobId: job.id, result: 'in time', idempotencyKey: key() }, other);
    expect(await readJob(job)).toMatchObject({ state: 'COMPLETE', result: 'in time' });
  });

  it('is renewed by reporting', async () => {
    const job = await claimedWork();
    for (let n = 0; n < 3; n += 1) {
      clock.advance(50_000);
      await ask(reportProgress, { jobId: job.id, percent: n * 10 }, worker);
    }
    clock.advance(50_000);
    expect(await refusal(claimAgentJob, { jobId: job.id }, other)).toMatchObject(conflict('LEASE_HELD'));
    await ask(submitResult, { jobId: job.id, result: 'slowly', idempotencyKey: key() }, worker);
  });

  it('gives whoever asks for no job in particular the one that has waited longest', async () => {
    await claimAll();
    const first = await paidJob();
    clock.advance(10);
    const second = await paidJob();
    const claims = [await ask(claimAgentJob, {}, worker), await ask(claimAgentJob, {}, other)];
    expect(claims.map(({ claimAgentJob: { job } }) => job.id)).toEqual([first.id, second.id]);
    expect((await ask(claimAgentJob, {}, worker)).claimAgentJob.job).toBeNull();
  });

  it('gives each of many that ask at once another job', async () => {
    await claimAll();
    const jobs = [await paidJob(), await paidJob(), await paidJob()];
    // Past the transport, so that all of them see the same jobs free before any takes one.
    const claims = await Promise.all(
      [0, 1, 2, 3].map((n) => app().services.jobs.claim(undefined, `service:one of many ${n}`)),
    );
    const taken = claims.flatMap((claim) => (claim ? [claim.jobId] : []));
    expect(taken.sort()).toEqual(jobs.map(({ id }) => id).sort());
  });
});

describe('a repeated request', () => {
  it('prices a job once, also while no other invoice can be made', async () => {
    const job = await paidJob();
    await ask(claimAgentJob, { jobId: job.id }, worker);
    const input = { jobId: job.id, accepted: true, workPriceSats: 90, idempotencyKey: key() };
    const first = await ask(submitEvaluation, input, worker);
    line.refuseInvoices = new LightningUnavailableError('The line is cut.');
    expect(await ask(submitEvaluation, input, worker)).toEqual(first);
    line.refuseInvoices = undefined;
    expect(await refusal(submitEvaluation, { ...input, workPriceSats: 91 }, worker)).toMatchObject(
      conflict('IDEMPOTENCY_KEY_REUSED'),
    );
    expect(await readJob(job)).toMatchObject({
      state: 'AWAITING_WORK_PAYMENT',
      workInvoice: { id: first.submitEvaluation.job.workInvoice.id },
    });
  });

  it('prices a job once, when all are sent at the same moment', async () => {
    const job = await paidJob();
    await ask(claimAgentJob, { jobId: job.id }, worker);
    const input = { jobId: job.id, accepted: true, workPriceSats: 90, idempotencyKey: key() };
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(submitEvaluation, input, worker)));
    expect(answers).toEqual(Array(5).fill(answers[0]));
  });

  it('completes or fails a job once', async () => {
    const done = await claimedWork();
    const result = { jobId: done.id, result: 'once', idempotencyKey: key() };
    const failed = await claimedWork();
    const failure = { jobId: failed.id, reason: 'once', idempotencyKey: key() };
    for (const [document, input, changed] of [
      [submitResult, result, { ...result, result: 'twice' }],
      [failJob, failure, { ...failure, reason: 'twice' }],
    ] as const) {
      const answers = await Promise.all(Array.from({ length: 3 }, () => ask(document, input, worker)));
      expect(answers).toEqual(Array(3).fill(answers[0]));
      expect(await refusal(document, changed, worker)).toMatchObject(conflict('IDEMPOTENCY_KEY_REUSED'));
      // The same key of another caller is another request.
      expect(await refusal(document, input, other)).toMatchObject(conflict('INVALID_STATE'));
    }
    expect(await readJob(done)).toMatchObject({ state: 'COMPLETE', result: 'once' });
    expect(await readJob(failed)).toMatchObject({ state: 'FAILED', reason: 'once', refundableSats: 70 });
    await expectMoneyAddsUp(app().services.db);
  });
});

describe('what does not fit', () => {
  it('is refused in the wrong state', async () => {
    const { job: unpaid } = await createJob(app(), 'Unpaid.');
    expect(await refusal(claimAgentJob, { jobId: unpaid.id }, worker)).toMatchObject(
      conflict('INVALID_STATE'),
    );
    const evaluating = await paidJob();
    await ask(claimAgentJob, { jobId: evaluating.id }, worker);
    const result = { result: 'x', idempotencyKey: key() };
    expect(await refusal(submitResult, { jobId: evaluating.id, ...result }, worker)).toMatchObject(
      conflict('INVALID_STATE'),
    );
    const executing = await claimedWork();
    const evaluation = { jobId: executing.id, accepted: true, workPriceSats: 1, idempotencyKey: key() };
    expect(await refusal(submitEvaluation, evaluation, worker)).toMatchObject(conflict('INVALID_STATE'));
    await ask(submitResult, { jobId: executing.id, ...result }, worker);
    for (const [document, input] of [
      [claimAgentJob, {}],
      [reportProgress, {}],
      [submitResult, { result: 'x', idempotencyKey: key() }],
      [failJob, { reason: 'x', idempotencyKey: key() }],
    ] as const)
      expect(await refusal(document, { jobId: executing.id, ...input }, worker)).toMatchObject(
        conflict('INVALID_STATE'),
      );
  });

  it('is refused when it is out of bounds, and changes nothing', async () => {
    const { id } = await paidJob();
    await ask(claimAgentJob, { jobId: id }, worker);
    const k = { jobId: id, idempotencyKey: key() };
    const short = { jobId: id, idempotencyKey: 'short' };
    for (const [document, input, argument] of [
      [reportProgress, { jobId: id, percent: -1 }, 'percent'],
      [reportProgress, { jobId: id, percent: 101 }, 'percent'],
      [reportProgress, { jobId: id, message: 'x'.repeat(501) }, 'message'],
      [submitEvaluation, { ...k, accepted: true }, 'workPriceSats'],
      [submitEvaluation, { ...k, accepted: true, workPriceSats: 0 }, 'workPriceSats'],
      [submitEvaluation, { ...k, accepted: false }, 'reason'],
      [submitEvaluation, { ...k, accepted: false, reason: 'x'.repeat(2_001) }, 'reason'],
      [submitEvaluation, { ...short, accepted: false, reason: 'x' }, 'idempotencyKey'],
      [submitResult, { ...k, result: 'x'.repeat(30_001) }, 'result'],
      [submitResult, { ...short, result: 'x' }, 'idempotencyKey'],
      [failJob, { ...k, reason: '' }, 'reason'],
      [failJob, { ...short, reason: 'x' }, 'idempotencyKey'],
    ] as const)
      expect(await refusal(document, input, worker)).toMatchObject({ code: 'BAD_USER_INPUT', argument });
    for (const percent of [0, 100]) await ask(reportProgress, { jobId: id, percent }, worker);
    expect((await ask(claimAgentJob, { jobId: id }, worker)).claimAgentJob.job.state).toBe('EVALUATING');
  });

  it('is refused to those who are no SERVICE, and for jobs that do not exist', async () => {
    const { id, as } = await paidJob();
    const user: As = { token: await app().token('a user', ['USER', 'ADMIN'], yearSeconds) };
    const mutations = [
      [claimAgentJob, {}],
      [reportProgress, {}],
      [submitEvaluation, { accepted: false, reason: 'x', idempotencyKey: key() }],
      [submitResult, { result: 'x', idempotencyKey: key() }],
      [failJob, { reason: 'x', idempotencyKey: key() }],
    ] as const;
    for (const [document, input] of mutations) {
      for (const who of [user, as])
        expect(await refusal(document, { jobId: id, ...input }, who)).toMatchObject({ code: 'FORBIDDEN' });
      expect(await refusal(document, { jobId: id, ...input }, {})).toMatchObject({ code: 'UNAUTHENTICATED' });
      for (const jobId of ['job_AAAAAAAAAAAAAAAAAAAAAA', 'no id'])
        expect(await refusal(document, { jobId, ...input }, worker)).toMatchObject({ code: 'FORBIDDEN' });
    }
    const watched = app().watch(watchAgentJobs, {}, user);
    await until('the refusal', () => watched.errors);
    expect(watched.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  });
});

it('keeps its lease when the server is started anew', async () => {
  const before = await startTestApp({ AGENT: 'external' });
  const as = { token: await before.token('a worker', ['SERVICE']) };
  const { job, as: owner } = await createJob(before, 'Count.');
  await before.pay(job.evalInvoice.paymentHash);
  await before.ask(claimAgentJob, { input: { jobId: job.id } }, as);
  await before.stop();

  const after = await startTestApp({ AGENT: 'external', DATA_DIR: before.dataDir });
  const stranger = { token: await after.token('another worker', ['SERVICE']) };
  const { errors } = await after.send(claimAgentJob, { input: { jobId: job.id } }, stranger);
  expect(errors).toMatchObject([{ extensions: conflict('LEASE_HELD') }]);
  const input = { jobId: job.id, accepted: false, reason: 'After all not.', idempotencyKey: key() };
  await after.ask(submitEvaluation, { input }, as);
  const { job: rejected } = await after.ask(
    'query ($id: ID!) { job(id: $id) { ... on AgentJob { state } } }',
    { id: job.id },
    owner,
  );
  expect(rejected).toEqual({ state: 'REJECTED' });
});

it('finds the jobs of a state in a list', async () => {
  const { id } = await paidJob();
  const list = `query ($state: AgentJobState) { agentJobs(state: $state, first: 100) { nodes: edges { node { id state } } } }`;
  const { agentJobs: evaluating } = await app().ask(list, { state: 'EVALUATING' }, worker);
  expect(evaluating.nodes[0].node).toEqual({ id, state: 'EVALUATING' });
  expect(new Set(evaluating.nodes.map(({ node }: Json) => node.state))).toEqual(new Set(['EVALUATING']));
  const { agentJobs: all } = await app().ask(list, {}, worker);
  expect(all.nodes.length).toBeGreaterThan(evaluating.nodes.length);
});
