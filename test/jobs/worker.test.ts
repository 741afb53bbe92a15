import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Agent } from '../../src/jobs/agent/agent.ts';
import { createStubAgent } from '../../src/jobs/agent/stub.ts';
import { createAgentWorker } from '../../src/jobs/worker.ts';
import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import { deriveSecret } from '../../src/platform/auth/secrets.ts';
import { startTestApp, type TestApp, useTestApp } from '../support/app.ts';
import { movableClock } from '../support/clock.ts';
import { faultyLightning } from '../support/lightning.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { until } from '../support/until.ts';

const stub = createStubAgent({ stepMs: 0 });

/** An agent whose parts a test replaces. */
const faulty: { -readonly [Part in keyof Agent]: Agent[Part] } = { ...stub };
const clock = movableClock();
const line = faultyLightning();
const app = useTestApp(
  { AGENT_ATTEMPTS: '3' },
  {
    clock,
    lightning: line.wrap,
    agent: {
      evaluate: (task, signal) => faulty.evaluate(task, signal),
      work: (task, onProgress, signal) => faulty.work(task, onProgress, signal),
    },
  },
);

/** A job whose evaluation is paid, and what its owner sees of it. */
async function startJob(on: TestApp, prompt: string) {
  const { job, as } = await createJob(on, prompt);
  const watched = on.watch(watchJob, { id: job.id }, as);
  await watched.count(1);
  await on.pay(job.evalInvoice.paymentHash);
  return { id: job.id as string, as, watched };
}

const broken = async () => {
  throw new Error('The agent is broken.');
};

describe('an agent that fails', () => {
  it('is asked again, and the job goes on when it answers', async () => {
    let asked = 0;
    faulty.evaluate = async (task, signal) => {
      asked += 1;
      return asked < 3 ? broken() : stub.evaluate(task, signal);
    };
    faulty.work = stub.work;
    const { watched } = await startJob(app(), 'Count.');
    const { workInvoice } = await watched.event('JobEvaluated');
    expect(asked).toBe(3);
    // The attempts of the work are its own.
    asked = 0;
    faulty.work = async (...task) => {
      asked += 1;
      return asked < 3 ? broken() : stub.work(...task);
    };
    await app().pay(workInvoice.paymentHash);
    await watched.event('JobCompleted');
    expect(asked).toBe(3);
  });

  it('fails the evaluation after so many attempts', async () => {
    let asked = 0;
    faulty.evaluate = async () => {
      asked += 1;
      return broken();
    };
    const { watched } = await startJob(app(), 'Count.');
    expect(await watched.event('JobFailed')).toMatchObject({
      why: 'The agent could not be reached.',
      job: { state: 'FAILED', refundableSats: 0 },
    });
    expect(asked).toBe(3);
    expect(app().logged.filter((logLine) => logLine.includes('The agent is broken.')).length).toBeGreaterThan(
      2,
    );
  });

  it('fails the work after so many attempts, whose price goes back', async () => {
    faulty.evaluate = stub.evaluate;
    faulty.work = broken;
    const { watched } = await startJob(app(), 'Count.');
    const { workInvoice } = await watched.event('JobEvaluated');
    await app().pay(workInvoice.paymentHash);
    expect(await watched.event('JobPaymentReturned')).toMatchObject({
      returnedSats: 50,
      returnReason: 'WORK_FAILED',
      job: { state: 'FAILED', refundableSats: 50 },
    });
    await expectMoneyAddsUp(app().services.db);
  });

  it('is not to blame for a Lightning node that is away: the job waits until it is back', async () => {
    let asked = 0;
    faulty.evaluate = (task, signal) => {
      asked += 1;
      return stub.evaluate(task, signal);
    };
    faulty.work = stub.work;
    const { job, as } = await createJob(app(), 'Count.');
    const watched = app().watch(watchJob, { id: job.id }, as);
    await watched.count(1);
    line.refuseInvoices = new LightningUnavailableError('The line is cut.');
    await app().pay(job.evalInvoice.paymentHash);
    await until('more attempts than an agent has', () => asked > 3);
    line.refuseInvoices = undefined;
    await watched.event('JobEvaluated');
    expect(watched.events.map(({ __typename }) => __typename)).not.toContain('JobFailed');
  });
});

it('does the work again when its lease has run out, and books its price once', async () => {
  let worked = 0;
  faulty.evaluate = stub.evaluate;
  faulty.work = async (task, onProgress, signal) => {
    worked += 1;
    if (worked === 1) clock.advance(60_000);
    return stub.work(task, onProgress, signal);
  };
  const { watched } = await startJob(app(), 'Count.');
  const { workInvoice } = await watched.event('JobEvaluated');
  await app().pay(workInvoice.paymentHash);
  await watched.event('JobCompleted');
  expect(worked).toBe(2);
  expect(watched.events.filter(({ __typename }) => __typename === 'JobCompleted')).toHaveLength(1);
  await expectMoneyAddsUp(app().services.db);
});

it('leaves a job alone that has moved on while it came to it', async () => {
  faulty.evaluate = stub.evaluate;
  const { id, watched } = await startJob(app(), 'reject: this');
  await watched.event('JobRejected');
  const { db, jobs } = app().services;
  const errors: unknown[] = [];
  const late = createAgentWorker({
    db,
    jobs,
    agent: { evaluate: broken, work: broken },
    attempts: 1,
    onError: (error) => errors.push(error),
  });
  const work = { kind: 'job.agent', key: id, holder: 'node:late', attempts: 1 };
  const { signal } = new AbortController();
  expect(await late.run(work, signal)).toBeUndefined();
  expect(await late.run({ ...work, key: 'job_none' }, signal)).toBeUndefined();
  expect(errors).toEqual([]);
});

it('takes up what a stopped server was doing, and charges nothing twice', async () => {
  let begun = 0;
  const agent: Agent = {
    evaluate: stub.evaluate,
    work: (task, onProgress, signal) => {
      begun += 1;
      return createStubAgent({ stepMs: begun === 1 ? 3_600_000 : 0 }).work(task, onProgress, signal);
    },
  };
  const before = await startTestApp({}, { agent });
  const { id, as, watched } = await startJob(before, 'Count.');
  const { workInvoice } = await watched.event('JobEvaluated');
  await before.pay(workInvoice.paymentHash);
  await until('the work', () => begun === 1);
  await before.stop();
  expect(before.logged.filter((logLine) => logLine.includes('work failed'))).toEqual([]);

  const after = await startTestApp({ DATA_DIR: before.dataDir }, { agent });
  const rest = after.watch(watchJob, { id, after: watched.events.at(-1).cursor }, as);
  await rest.event('JobCompleted');
  expect(begun).toBe(2);
  const { db, ledger } = after.services;
  expect((await ledger.all(db)).get('revenue')).toBe(60n);
  await expectMoneyAddsUp(db);
});

it('asks an agent behind HTTP, in requests that it can prove to be ours', async () => {
  const secret = 'a secret of at least thirty-two characters';
  const proven: boolean[] = [];
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const signature = createHmac('sha256', deriveSecret(Buffer.from(secret), 'agent'))
      .update(`${request.headers['x-satwire-timestamp']}.${body}`)
      .digest('hex');
    proven.push(signature === request.headers['x-satwire-signature']);
    const { action, prompt } = JSON.parse(body) as { action: string; prompt: string };
    asked.push(action);
    if (asked.length % 2 === 1) response.writeHead(503).end();
    else if (action === 'evaluate') response.end(JSON.stringify({ accepted: true, workPriceSats: 33 }));
    else response.end(JSON.stringify({ done: true, result: `${prompt} Done.` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const withHttp = await startTestApp({
    AGENT_URL: `http://127.0.0.1:${port}/`,
    AGENT_ATTEMPTS: '2',
    SERVER_SECRET: secret,
  });
  const { watched } = await startJob(withHttp, 'Count.');
  const { workInvoice } = await watched.event('JobEvaluated');
  expect(workInvoice.amountSats).toBe(33);
  await withHttp.pay(workInvoice.paymentHash);
  expect(await watched.event('JobCompleted')).toMatchObject({ result: 'Count. Done.' });
  expect(asked).toEqual(['evaluate', 'evaluate', 'work', 'work']);
  expect(proven).toEqual([true, true, true, true]);
});

it('fails a job whose agent behind HTTP is too slow', async () => {
  let asked = 0;
  const server = createServer(() => {
    asked += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const withHttp = await startTestApp({
    AGENT_URL: `http://127.0.0.1:${port}/`,
    AGENT_ATTEMPTS: '1',
    AGENT_TIMEOUT_SECONDS: '1',
  });
  const { watched } = await startJob(withHttp, 'Count.');
  expect(await watched.event('JobFailed')).toMatchObject({ why: 'The agent could not be reached.' });
  expect(asked).toBe(1);
});
