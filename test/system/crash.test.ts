import { expect, it } from 'vitest';
import { createLedger } from '../../src/money/ledger.ts';
import { openPglite } from '../../src/platform/database/pglite.ts';
import { type As, type Clients, createClients, type Json, type Received } from '../support/clients.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { closeSession, debitSession, key, watchJob } from '../support/operations.ts';
import { serverProcess } from '../support/process.ts';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/until.ts';

const evalPrice = 10;
const workPrice = 50;
const kills = 12;

/** How a job ends that is paid, by its prompt. */
const fates = {
  'Count.': {
    state: 'COMPLETE',
    earned: evalPrice + workPrice,
    returned: 0,
    events: ['JobPaymentConfirmed', 'JobEvaluated', 'JobPaymentConfirmed', 'JobWorkStarted', 'JobCompleted'],
  },
  'fail: it': {
    state: 'FAILED',
    earned: evalPrice,
    returned: workPrice,
    events: [
      'JobPaymentConfirmed',
      'JobEvaluated',
      'JobPaymentConfirmed',
      'JobWorkStarted',
      'JobFailed',
      'JobPaymentReturned',
    ],
  },
  'reject: it': {
    state: 'REJECTED',
    earned: evalPrice,
    returned: 0,
    events: ['JobPaymentConfirmed', 'JobRejected'],
  },
} as const;

type Prompt = keyof typeof fates;
const prompts = Object.keys(fates) as Prompt[];

interface Job {
  readonly id: string;
  readonly prompt: Prompt;
  readonly evalHash: string;
}

/** Does what a user does, and sends what was not answered again until it is. */
function persistent(clients: Clients, as: As) {
  async function ask(document: string, variables: object, who = as): Promise<Json> {
    const { data, errors } = await until('an answer', () =>
      clients.send(document, { ...variables }, who).catch(() => undefined),
    );
    expect(errors).toBeUndefined();
    return Object.values(data)[0];
  }

  async function pay(paymentHash: string): Promise<void> {
    await until('the payment', () =>
      clients.pay(paymentHash).then(
        () => true,
        () => false,
      ),
    );
  }

  async function create(prompt: Prompt, idempotencyKey = key()): Promise<Job> {
    const { job } = await ask(
      `mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id evalInvoice { paymentHash } } } }`,
      { input: { prompt, idempotencyKey } },
    );
    return { id: job.id, prompt, evalHash: job.evalInvoice.paymentHash };
  }

  /** Pays for a job until it has ended. */
  async function finish({ id, prompt, evalHash }: Job): Promise<void> {
    const read = `query ($id: ID!) { job(id: $id) { ... on AgentJob { state workInvoice { paymentHash } } } }`;
    await pay(evalHash);
    await until(`the end of ${prompt}`, async () => {
      const { state, workInvoice } = await ask(read, { id });
      if (state === 'AWAITING_WORK_PAYMENT') await pay(workInvoice.paymentHash);
      return state === fates[prompt].state;
    });
  }

  return { ask, pay, create, finish };
}

/** Fails unless each job ended right and once, and every sat is where it belongs; no server may run. */
async function expectAllRight(
  dataDir: string,
  jobs: readonly Job[],
  sessions: { readonly debited: number; readonly refunded: number } = { debited: 0, refunded: 0 },
): Promise<void> {
  const db = await openPglite(dataDir);
  try {
    const rows = await db.query<{ id: string; state: string; events: string[]; seqs: bigint[] }>(
      `SELECT j.id, j.state, array_agg(e.type ORDER BY p.seq) AS events, array_agg(p.seq ORDER BY p.seq) AS seqs
       FROM agent_jobs j JOIN topic_events p ON p.topic = 'job:' || j.id JOIN events e ON e.id = p.event_id
       GROUP BY j.id`,
    );
    const ended = new Map(rows.map((row) => [row.id, row]));
    for (const { id, prompt } of jobs) {
      const { state, events } = fates[prompt];
      expect(ended.get(id)).toEqual({ id, state, events, seqs: events.map((_, n) => BigInt(n + 1)) });
    }
    expect(ended.size).toBe(jobs.length);

    const all = await createLedger({ clock: { now: () => 0 }, onEntry: () => {} }).all(db);
    const sum = (fact: 'earned' | 'returned') =>
      jobs.reduce((sats, { prompt }) => sats + fates[prompt][fact], 0);
    const balances = Object.fromEntries(
      [...all].map(([account, sats]) => [account.replace(/:.*/, ''), Number(sats)]),
    );
    expect(balances.revenue).toBe(sum('earned') + sessions.debited);
    expect(balances.wallet ?? 0).toBe(sum('returned') + sessions.refunded);
    // Nothing is left anywhere else: what came in is earned, or back with its owner.
    expect(balances.lightning).toBe(-balances.revenue! - (balances.wallet ?? 0));
    await expectMoneyAddsUp(db);
    expect(await db.query(`SELECT key FROM work WHERE kind = 'job.agent'`)).toEqual([]);
  } finally {
    await db.close();
  }
}

it('ends every job right, at whichever step of it the process was killed', async () => {
  // So slow that the kill meets each job where it is; after the kill it is quick.
  const env = { AGENT_STUB_STEP_MS: '1000' };
  const server = await serverProcess(env);
  await server.start();
  const clients = createClients(server.url, server.webSocketUrl);
  const as = { token: await clients.token('a user') };
  const { ask, pay, create, finish } = persistent(clients, as);
  const socket = clients.socket(as);
  const watched = new Map<Job, Received>();

  /** One job for each way in which work ends. */
  async function make(): Promise<Job[]> {
    const jobs = [await create('Count.'), await create('fail: it')];
    for (const job of jobs)
      watched.set(job, clients.watch(watchJob, { id: job.id, after: 'START' }, { socket }));
    return jobs;
  }
  const each = (jobs: readonly Job[], act: (job: Job) => Promise<unknown>) => Promise.all(jobs.map(act));
  const event = (type: string) => (job: Job) => (watched.get(job) as Received).event(type);
  const has = (job: Job, isIt: (event: Json) => boolean) => watched.get(job)?.events.some(isIt) ?? false;
  const reported = (jobs: readonly Job[], percent: number) =>
    until(`${percent} %`, () => jobs.every((job) => has(job, (told) => told.percent === percent)));
  const workHash = async (job: Job) => (await event('JobEvaluated')(job)).workInvoice.paymentHash;
  const payWork = async (job: Job) => pay(await workHash(job));

  const unpaid = await make();
  const payingEval = await make();
  const evaluating = await make();
  const evaluated = await make();
  const payingWork = await make();
  const beginning = await make();
  const quarterDone = await make();
  const nearlyDone = await make();
  const done = await make();
  const rejecting = [await create('reject: it')];
  const later = [...evaluated, ...payingWork, ...beginning, ...quarterDone, ...nearlyDone, ...done];
  await each(later, ({ evalHash }) => pay(evalHash));
  await each(later, event('JobEvaluated'));

  // Work takes four steps. Each is begun so that all are where they should be at the same moment.
  await each(done, payWork);
  await reported(done, 50);
  await each(nearlyDone, payWork);
  await reported(nearlyDone, 50);
  await each(quarterDone, payWork);
  await each(done, (job) =>
    until('its end', () => has(job, ({ __typename }) => /JobCompleted|JobPaymentReturned/.test(__typename))),
  );
  await Promise.all([reported(nearlyDone, 75), reported(quarterDone, 25)]);
  await each(beginning, payWork);
  await each([...evaluating, ...rejecting], ({ evalHash }) => pay(evalHash));
  const hashes = await Promise.all(payingWork.map(workHash));
  for (const hash of [...payingEval.map(({ evalHash }) => evalHash), ...hashes])
    clients.pay(hash).catch(() => {});
  const idempotencyKey = key();
  clients
    .send(
      'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }',
      { input: { prompt: 'Count.', idempotencyKey } },
      as,
    )
    .catch(() => {});
  await server.kill();
  const underWay = [...beginning, ...quarterDone, ...nearlyDone];
  for (const job of underWay)
    expect(has(job, ({ __typename }) => /JobCompleted|JobFailed/.test(__typename))).toBe(false);

  env.AGENT_STUB_STEP_MS = '0';
  await server.start();
  const asked = [await create('Count.', idempotencyKey)];
  const jobs = [...unpaid, ...payingEval, ...evaluating, ...rejecting, ...later, ...asked];
  await each(jobs, finish);
  const { wallet } = await ask('{ viewer { wallet { balanceSats } } }', {});
  expect(wallet.balanceSats).toBe(9 * workPrice);
  await clients.dispose();
  expect(await server.stop()).toBe(0);
  await expectAllRight(server.dataDir, jobs);
}, 120_000);

it(`ends all jobs and sessions right, though the process is killed ${kills} times at any moment`, async (context) => {
  const random = seededRandom(context);
  const server = await serverProcess({ AGENT_STUB_STEP_MS: '15' });
  await server.start();
  const clients = createClients(server.url, server.webSocketUrl);
  const as = { token: await clients.token('a user') };
  const service = { token: await clients.token('a service', ['SERVICE']) };
  const { ask, pay, create, finish } = persistent(clients, as);
  const jobs: Job[] = [];
  const sessions = { debited: 0, refunded: 0 };
  let over = false;

  async function keepHavingJobsDone(): Promise<void> {
    for (let n = 0; !over; n += 1) {
      const job = await create(prompts[n % prompts.length]!);
      jobs.push(job);
      await finish(job);
    }
  }
  async function keepUsingSessions(): Promise<void> {
    while (!over) {
      const { session } = await ask(
        `mutation ($input: OpenSessionInput!) {
          openSession(input: $input) { session { id depositInvoice { paymentHash } } }
        }`,
        { input: { depositSats: 100, idempotencyKey: key() } },
      );
      await pay(session.depositInvoice.paymentHash);
      for (const amountSats of [30, 20]) {
        const input = { sessionId: session.id, amountSats, idempotencyKey: key() };
        await ask(debitSession, { input }, service);
        sessions.debited += amountSats;
      }
      await ask(closeSession, { input: { sessionId: session.id, idempotencyKey: key() } });
      sessions.refunded += 50;
    }
  }
  const users = Promise.all([keepHavingJobsDone(), keepHavingJobsDone(), keepUsingSessions()]);
  // What fails one of them is thrown in the end; until then the others need not go on.
  users.catch(() => {
    over = true;
  });

  for (let kill = 0; kill < kills && !over; kill += 1) {
    // As much time passes as this many answers take, so that the kill meets the users anywhere.
    const answers = random.below(40);
    for (let n = 0; n < answers; n += 1) await fetch(new URL('/health', server.url));
    await server.kill();
    await server.start();
  }
  over = true;
  await users;
  await clients.dispose();
  expect(await server.stop()).toBe(0);
  expect(jobs.length).toBeGreaterThan(kills / 2);
  await expectAllRight(server.dataDir, jobs, sessions);
}, 300_000);
