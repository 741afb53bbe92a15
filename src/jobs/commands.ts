import type { Invoices } from '../money/invoices.ts';
import { type Ledger, ownerAccount } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { AccessTokens } from '../platform/auth/access-tokens.ts';
import { requesterOf } from '../platform/auth/requester.ts';
import { callerOf, type Viewer } from '../platform/auth/viewer.ts';
import type { Bus } from '../platform/bus/bus.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import type { Idempotency, IdempotentRequest } from '../platform/idempotency.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log/log.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import type { Progress } from './agent/agent.ts';
import { jobErrors } from './errors.ts';
import { jobEvents, jobTopic } from './events.ts';
import { isAgentDue } from './machine.ts';
import { handleJobInvoices } from './payments.ts';
import { type AgentJob, jobsByIds } from './queries.ts';
import { agentWork, createJobSteps } from './steps.ts';

/** Who works on a job: the holder of its lease. A worker from outside says which request it is. */
interface ByHolder {
  readonly jobId: string;
  readonly holder: string;
  readonly request?: IdempotentRequest;
}

export type Jobs = ReturnType<typeof createJobs>;

interface Dependencies {
  readonly db: Database;
  readonly log: Log;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
  readonly queue: WorkQueue;
  readonly idempotency: Idempotency;
  readonly accessTokens: AccessTokens;
  readonly evalPriceSats: Sats;
}

/** How long a worker from outside has a job to itself, and with each report again; ms. */
const leaseMs = 60_000;

/** Agent jobs: priced and done by the platform's agent, paid by invoice in two steps. */
export function createJobs(deps: Dependencies) {
  const { db, log, bus, clock, ledger, invoices, queue, idempotency, accessTokens, evalPriceSats } = deps;

  const steps = createJobSteps({ clock, queue });
  handleJobInvoices({ log, ledger, invoices }, steps);

  /** Does something to a job for the holder of its lease, in one transaction; a repeated request nothing. */
  function asHolder(
    { jobId, holder, request }: ByHolder,
    work: (tx: Transaction, job: AgentJob) => Promise<void>,
  ): Promise<void> {
    return db.transaction(async (tx) => {
      const job = await steps.locked(tx, jobId);
      if (request && (await idempotency.claim(tx, request, { jobId }))) return;
      if (!isAgentDue(job.state)) throw jobErrors.wrongState(job.state);
      if (!(await queue.holds(tx, agentWork, jobId, holder))) throw jobErrors.leaseHeld();
      await work(tx, job);
    });
  }

  return {
    /**
     * Makes a job, awaiting the payment of its evaluation. An anonymous caller gets the access token that
     * alone opens it, also when the request is repeated.
     * @throws PublicError UNAVAILABLE, RATE_LIMITED, CONFLICT.
     */
    async create(
      viewer: Viewer,
      input: {
        readonly prompt: string;
        readonly idempotencyKey: string;
        readonly address: string | undefined;
      },
    ): Promise<{ jobId: string; accessToken: string | null }> {
      const { prompt, idempotencyKey, address } = input;
      const ownerUser = viewer.user?.id ?? null;
      const request = {
        caller: callerOf(viewer),
        mutation: 'createJob',
        key: idempotencyKey,
        input: { prompt },
      };
      const made = (await idempotency.find<{ jobId: string }>(db, request)) ?? (await insert());
      return { jobId: made.jobId, accessToken: ownerUser === null ? accessTokens.derive(made.jobId) : null };

      async function insert(): Promise<{ jobId: string }> {
        const jobId = newId('job');
        const requester = requesterOf(viewer, address);
        const draft = await invoices.draft(evalPriceSats, `Evaluation of ${jobId}`, requester);
        return db.transaction(async (tx) => {
          const earlier = await idempotency.claim(tx, request, { jobId });
          if (earlier) return earlier;
          const now = new Date(clock.now());
          await tx.query(
            `INSERT INTO agent_jobs (id, owner_user, prompt, state, eval_invoice, created_at, updated_at)
             VALUES ($1, $2, $3, 'AWAITING_EVAL_PAYMENT', $4, $5, $5)`,
            [jobId, ownerUser, prompt, draft.paymentHash, now],
          );
          await invoices.insert(tx, draft, 'job.eval', { userId: ownerUser, objectId: jobId });
          if (ownerUser === null) await accessTokens.grant(tx, jobId);
          return { jobId };
        });
      }
    },

    /**
     * Takes a due job, or renews the holder's lease on it; without an id the one that is due longest.
     * @returns nothing when no job is due.
     * @throws PublicError FORBIDDEN, CONFLICT (LEASE_HELD, INVALID_STATE).
     */
    async claim(
      jobId: string | undefined,
      holder: string,
    ): Promise<{ jobId: string; leasedUntil: Date } | undefined> {
      for (const key of jobId === undefined ? await queue.free(agentWork, 10) : []) {
        const leasedUntil = await queue.leaseOne(db, agentWork, key, holder, leaseMs);
        if (leasedUntil) return { jobId: key, leasedUntil };
      }
      if (jobId === undefined) return undefined;
      const [job] = await jobsByIds(db, [jobId]);
      if (!job) throw forbidden();
      if (!isAgentDue(job.state)) throw jobErrors.wrongState(job.state);
      const leasedUntil = await queue.leaseOne(db, agentWork, jobId, holder, leaseMs);
      if (!leasedUntil) throw jobErrors.leaseHeld();
      return { jobId, leasedUntil };
    },

    /**
     * Tells whoever watches how far the work is; not kept. For a worker from outside it renews the lease: the
     * server's own is renewed by whoever runs it, for a shorter time.
     */
    async report(
      by: ByHolder,
      { percent, message }: Partial<Progress>,
      { renewsLease }: { readonly renewsLease: boolean },
    ): Promise<void> {
      let seq = 0;
      await asHolder(by, async (tx) => {
        if (renewsLease) await queue.leaseOne(tx, agentWork, by.jobId, by.holder, leaseMs);
        const [head] = await tx.query<{ head: bigint }>('SELECT head FROM topics WHERE topic = $1', [
          jobTopic(by.jobId),
        ]);
        seq = Number(head?.head);
      });
      const event = {
        id: newId('evt'),
        type: 'JobProgressed',
        version: 1,
        facts: { jobId: by.jobId, percent: percent ?? null, message: message ?? null },
        occurredAt: new Date(clock.now()),
      };
      bus.publish({ kind: 'EPHEMERAL', topic: jobTopic(by.jobId), seq, event });
    },

    /** The agent takes the job on for a price: it awaits the payment of the work. */
    async accept(by: ByHolder, workPriceSats: Sats): Promise<void> {
      // A repeated request needs no other invoice, nor a Lightning node that answers.
      if (by.request && (await idempotency.find(db, by.request))) return;
      const draft = await invoices.draft(workPriceSats, `Work of ${by.jobId}`);
      await asHolder(by, async (tx, job) => {
        const state = await steps.advance(tx, job, 'ACCEPT', { workInvoice: draft.paymentHash });
        await invoices.insert(tx, draft, 'job.work', { userId: job.ownerUser, objectId: job.id });
        log.append(tx, jobEvents.evaluated(job, state, draft.paymentHash));
      });
    },

    /** The agent does not take the job on. */
    reject(by: ByHolder, reason: string): Promise<void> {
      return asHolder(by, async (tx, job) => {
        await steps.advance(tx, job, 'REJECT', { reason });
        log.append(tx, jobEvents.rejected(job, reason));
      });
    },

    /** The work is done: its price is earned. */
    complete(by: ByHolder, result: string): Promise<void> {
      return asHolder(by, async (tx, job) => {
        await steps.advance(tx, job, 'COMPLETE', { result });
        const amount = await ledger.balance(tx, `job:${job.id}`);
        await ledger.transfer(tx, {
          key: `earned:${job.id}`,
          from: `job:${job.id}`,
          to: 'revenue',
          amount,
          reason: 'JOB_WORK',
        });
        log.append(tx, jobEvents.completed(job, result));
      });
    },

    /** The agent gives up. The price of work goes back to the owner, that of an evaluation does not. */
    fail(by: ByHolder, reason: string): Promise<void> {
      return asHolder(by, async (tx, job) => {
        await steps.advance(tx, job, 'FAIL', { reason });
        log.append(tx, jobEvents.failed(job, reason));
        const amount = await ledger.balance(tx, `job:${job.id}`);
        if (amount === 0n) return;
        const returned = { amount, reason: 'WORK_FAILED' } as const;
        await ledger.transfer(tx, {
          key: `failed:${job.id}`,
          from: `job:${job.id}`,
          to: ownerAccount({ userId: job.ownerUser, objectId: job.id }),
          ...returned,
        });
        log.append(tx, jobEvents.paymentReturned(job, returned));
      });
    },
  };
}
