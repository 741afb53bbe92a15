import { setTimeout as pause } from 'node:timers/promises';
import { type Random, randomFrom } from '../support/random.ts';
import type { Asker } from './ask.ts';

/** What the writers write with, and for whom. */
interface Options {
  readonly asker: Asker;
  readonly seed: number;
  /** The tokens of the owners, who are a SERVICE too. */
  readonly owners: ReadonlyArray<{
    readonly subject: string;
    readonly token: string;
    readonly sessions: readonly string[];
  }>;
  readonly onJob: (id: string, owner: string) => void;
}

/** Writers under way. */
export interface Writers {
  /** The memos of the debits that were acknowledged, by session. */
  readonly acknowledged: ReadonlyMap<string, readonly string[]>;
  readonly jobs: readonly string[];
  /** Has each finish what it has begun; rejects with what one was refused. */
  stop(): Promise<void>;
}

const debit = `mutation ($input: DebitSessionInput!) { debitSession(input: $input) { id } }`;
const topUp = `mutation ($input: TopUpSessionInput!) { topUpSession(input: $input) { invoice { paymentHash } } }`;
const create = `mutation ($input: CreateJobInput!) {
  createJob(input: $input) { job { id evalInvoice { paymentHash } } } }`;
const jobState = `query ($id: ID!) { job(id: $id) { ... on AgentJob { state workInvoice { paymentHash } } } }`;
const open = `mutation ($input: OpenSessionInput!) {
  openSession(input: $input) { session { id depositInvoice { paymentHash } } } }`;
const close = `mutation ($input: CloseSessionInput!) { closeSession(input: $input) { session { id } } }`;

const prompts = ['Count to three.', 'Count to four.', 'reject: Too long.', 'fail: It did not work.'];
/** How long the writers wait at most between two things; ms. */
const longestPauseMs = { debits: 120, jobs: 700, sessions: 1_500 };
const pollMs = 100;

/** Opens a session with a deposit that lasts for the whole run; answers its id. */
export async function openPaidSession(asker: Asker, token: string, key: string, depositSats: number) {
  const made = await asker.ask(open, { input: { depositSats, idempotencyKey: key } }, token);
  const { id, depositInvoice } = made.openSession.session;
  await asker.post(`/dev/stub/pay/${depositInvoice.paymentHash}`);
  return id as string;
}

/**
 * Debits every session, one by one and in bursts, tops it up, has jobs done, and opens and closes sessions. What each
 * writer does is decided by the seed; how far it gets, by how soon it is answered.
 */
export function startWriters({ asker, seed, owners, onJob }: Options): Writers {
  const acknowledged = new Map<string, string[]>();
  const jobs: string[] = [];
  let stopped = false;
  /** Keys are those of the seed. */
  const keyOf = (what: string) => `key of ${seed}, ${what}`;

  async function debitOnce(token: string, sessionId: string, memo: string): Promise<void> {
    const input = { sessionId, amountSats: 1, memo, idempotencyKey: keyOf(`${sessionId} ${memo}`) };
    await asker.ask(debit, { input }, token);
    acknowledged.get(sessionId)?.push(memo);
  }

  async function keepDebiting(token: string, sessionId: string, random: Random): Promise<void> {
    acknowledged.set(sessionId, []);
    for (let n = 0; !stopped; n += 1) {
      const choice = random.below(100);
      if (choice < 4) {
        const idempotencyKey = keyOf(`top-up ${sessionId} ${n}`);
        const made = await asker.ask(topUp, { input: { sessionId, amountSats: 5, idempotencyKey } }, token);
        await asker.post(`/dev/stub/pay/${made.topUpSession.invoice.paymentHash}`);
      } else if (choice < 10) {
        const burst = Array.from({ length: 10 + random.below(20) }, (_, each) => `${n}, ${each} of a burst`);
        await Promise.all(burst.map((memo) => debitOnce(token, sessionId, memo)));
      } else await debitOnce(token, sessionId, String(n));
      await pause(random.below(longestPauseMs.debits));
    }
  }

  async function keepMakingJobs(subject: string, token: string, random: Random): Promise<void> {
    for (let n = 0; !stopped; n += 1) {
      const prompt = prompts[random.below(prompts.length)];
      const input = { prompt, idempotencyKey: keyOf(`job ${subject} ${n}`) };
      const { job } = (await asker.ask(create, { input }, token)).createJob;
      jobs.push(job.id);
      onJob(job.id, subject);
      await asker.post(`/dev/stub/pay/${job.evalInvoice.paymentHash}`);
      const workInvoice = await evaluated(job.id, token);
      if (workInvoice !== undefined) await asker.post(`/dev/stub/pay/${workInvoice}`);
      await pause(random.below(longestPauseMs.jobs));
    }
  }

  /** What the work costs; undefined when it is not taken on. */
  async function evaluated(id: string, token: string): Promise<string | undefined> {
    for (;;) {
      const { job } = await asker.ask(jobState, { id }, token);
      if (job.workInvoice) return job.workInvoice.paymentHash;
      if (job.state === 'REJECTED' || job.state === 'FAILED') return undefined;
      await pause(pollMs);
    }
  }

  async function keepOpeningSessions(subject: string, token: string, random: Random): Promise<void> {
    for (let n = 0; !stopped; n += 1) {
      const sessionId = await openPaidSession(asker, token, keyOf(`session ${subject} ${n}`), 100);
      acknowledged.set(sessionId, []);
      await debitOnce(token, sessionId, 'the only one');
      await asker.ask(close, { input: { sessionId, idempotencyKey: keyOf(`close ${sessionId}`) } }, token);
      await pause(random.below(longestPauseMs.sessions));
    }
  }

  const writing = owners.flatMap(({ subject, token, sessions }, n) => {
    const random = (writer: number) => randomFrom(seed + 1_000 * (n + 1) + writer);
    return [
      ...sessions.map((id, writer) => keepDebiting(token, id, random(writer))),
      keepMakingJobs(subject, token, random(100)),
      keepOpeningSessions(subject, token, random(101)),
    ];
  });
  const all = Promise.all(writing);
  // Whoever stops them hears of it.
  all.catch(() => {});
  return {
    acknowledged,
    jobs,
    async stop() {
      stopped = true;
      await all;
    },
  };
}
