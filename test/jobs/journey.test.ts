import { expect, it } from 'vitest';
import { startTestApp } from '../support/app.ts';
import { createJob, watchJob } from '../support/operations.ts';

it('carries a job from its making to its result, over a WebSocket', async () => {
  const app = await startTestApp();
  const { job, as } = await createJob(app, 'Count to three.');
  const watched = app.watch(watchJob, { id: job.id }, as);
  const [snapshot] = await watched.count(1);
  expect(snapshot).toMatchObject({ __typename: 'JobSnapshot', job: { state: 'AWAITING_EVAL_PAYMENT' } });

  await app.pay(job.evalInvoice.paymentHash);
  const { workInvoice } = await watched.event('JobEvaluated');
  await app.pay(workInvoice.paymentHash);
  await watched.event('JobCompleted');

  expect(watched.events.map((event) => event.__typename).filter((type) => type !== 'JobProgressed')).toEqual([
    'JobSnapshot',
    'JobPaymentConfirmed',
    'JobEvaluated',
    'JobPaymentConfirmed',
    'JobWorkStarted',
    'JobCompleted',
  ]);
  expect(watched.events.at(-1)).toMatchObject({ result: 'The stub agent has done: Count to three.' });
});
