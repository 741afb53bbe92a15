import type { Ledger } from '../../money/ledger.ts';
import type { Sats } from '../../money/sats.ts';
import { requireUser, type Viewer } from '../../platform/auth/viewer.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Database, Transaction } from '../../platform/database/database.ts';
import { forbidden } from '../../platform/errors.ts';
import type { Idempotency } from '../../platform/idempotency.ts';
import { newId } from '../../platform/ids.ts';
import type { Log } from '../../platform/log/log.ts';
import type { WorkQueue } from '../../platform/work/queue.ts';
import { escrowErrors } from './errors.ts';
import { escrowEvents } from './events.ts';
import { isOpen, isPast, newChecklist, progressPercent, splitPay, unticked, withItem } from './machine.ts';
import type { EscrowJob } from './queries.ts';
import { createEscrowSteps, escrowAccount, escrowDeadlineWork } from './steps.ts';

export type EscrowJobs = ReturnType<typeof createEscrowJobs>;

interface Dependencies {
  readonly db: Database;
  readonly log: Log;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly queue: WorkQueue;
  readonly idempotency: Idempotency;
  /** What the platform keeps of the pay of a completed job; hundredths of a percent. */
  readonly feeBasisPoints: number;
}

/** What an employer asks for. */
export interface NewEscrowJob {
  readonly title: string;
  readonly jobType: string | null;
  readonly paySats: Sats;
  /** For display only. */
  readonly payAmountUsd: number | null;
  readonly deadline: Date;
  readonly checklist: readonly string[];
}

/** Which job, and the key of the request. */
interface Request {
  readonly jobId: string;
  readonly idempotencyKey: string;
}

/** How far ahead a deadline may be; ms. */
const longestMs = 365 * 24 * 3_600_000;

const isEmployer = ({ employer }: EscrowJob, userId: string) => employer === userId;
const isWorker = ({ worker }: EscrowJob, userId: string) => worker === userId;
const isOther = ({ employer }: EscrowJob, userId: string) => employer !== userId;

/** Escrowed jobs: an employer's pay is held until a worker has done the job, or its time is up. */
export function createEscrowJobs(deps: Dependencies) {
  const { db, log, clock, ledger, queue, idempotency, feeBasisPoints } = deps;
  const steps = createEscrowSteps({ clock, queue });

  /** Does something to a job for whoever may, in one transaction; a repeated request does nothing. */
  function as(
    may: (job: EscrowJob, userId: string) => boolean,
    viewer: Viewer,
    mutation: string,
    { idempotencyKey, ...input }: Request & { readonly itemId?: string; readonly completed?: boolean },
    work: (tx: Transaction, job: EscrowJob, userId: string) => Promise<void>,
  ): Promise<void> {
    const { id: caller } = requireUser(viewer);
    const { jobId } = input;
    return db.transaction(async (tx) => {
      const job = await steps.locked(tx, jobId);
      const request = { caller, mutation, key: idempotencyKey, input };
      // Who was a party when it was done is answered the same again.
      if (await idempotency.claim(tx, request, { jobId }, 'FOR_GOOD')) return;
      if (!may(job, caller)) throw forbidden();
      await work(tx, job, caller);
    });
  }

  /** All of the pay goes back to the employer. */
  const refund = (tx: Transaction, { id, employer, paySats }: EscrowJob, reason: string) =>
    ledger.transfer(tx, {
      key: `refunded:${id}`,
      from: escrowAccount(id),
      to: `wallet:${employer}`,
      amount: paySats,
      reason,
    });

  return {
    /**
     * Puts a job on the board; its pay leaves the employer's wallet.
     * @throws PublicError BAD_USER_INPUT (deadline), INSUFFICIENT_FUNDS, CONFLICT.
     */
    async post(
      viewer: Viewer,
      { idempotencyKey, ...input }: NewEscrowJob & { readonly idempotencyKey: string },
    ): Promise<{ jobId: string }> {
      const { id: employer } = requireUser(viewer);
      const { title, jobType, paySats, payAmountUsd, deadline, checklist } = input;
      const jobId = newId('esc');
      const request = { caller: employer, mutation: 'postJob', key: idempotencyKey, input };
      return db.transaction(async (tx) => {
        const earlier = await idempotency.claim(tx, request, { jobId }, 'FOR_GOOD');
        if (earlier) return earlier;
        const now = clock.now();
        if (isPast(deadline, now) || deadline.getTime() > now + longestMs) throw escrowErrors.deadline();
        await tx.query(
          `INSERT INTO escrow_jobs (id, employer, state, title, job_type, pay_sats, pay_amount_usd, deadline,
             checklist, created_at, updated_at)
           VALUES ($1, $2, 'OPEN', $3, $4, $5, $6, $7, $8::jsonb, $9, $9)`,
          [
            jobId,
            employer,
            title,
            jobType,
            paySats,
            payAmountUsd,
            deadline,
            JSON.stringify(newChecklist(checklist)),
            new Date(now),
          ],
        );
        await ledger.transfer(tx, {
          key: `funded:${jobId}`,
          from: `wallet:${employer}`,
          to: escrowAccount(jobId),
          amount: paySats,
          reason: 'JOB_FUNDED',
        });
        await queue.schedule(tx, escrowDeadlineWork, jobId, deadline);
        log.append(tx, escrowEvents.posted({ id: jobId, employer, worker: null }, paySats));
        return { jobId };
      });
    },

    /** Takes a job on: of all who want it, one. @throws PublicError FORBIDDEN, CONFLICT (TAKEN, INVALID_STATE). */
    accept(viewer: Viewer, input: Request): Promise<void> {
      return as(isOther, viewer, 'acceptJob', input, async (tx, job, worker) => {
        log.append(tx, escrowEvents.accepted(await steps.advance(tx, job, 'ACCEPT', { worker })));
      });
    },

    /** The worker gives a job back: it is open again. @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE). */
    withdraw(viewer: Viewer, input: Request): Promise<void> {
      return as(isWorker, viewer, 'withdrawFromJob', input, async (tx, job) => {
        await steps.advance(tx, job, 'WITHDRAW', { worker: null, checklist: unticked(job.checklist) });
        log.append(tx, escrowEvents.withdrawn(job));
      });
    },

    /**
     * The worker ticks or unticks an item; one that is so already stays so, and nobody is told.
     * @throws PublicError FORBIDDEN, BAD_USER_INPUT (no such item), CONFLICT (INVALID_STATE).
     */
    check(
      viewer: Viewer,
      input: Request & { readonly itemId: string; readonly completed: boolean },
    ): Promise<void> {
      return as(isWorker, viewer, 'updateChecklist', input, async (tx, job) => {
        const checklist = withItem(job.checklist, input.itemId, input.completed);
        if (!checklist) throw escrowErrors.unknownItem();
        const moved = await steps.advance(tx, job, 'CHECK', { checklist });
        const changes = job.checklist.some(
          ({ completed }, index) => completed !== checklist[index]?.completed,
        );
        if (changes) log.append(tx, escrowEvents.checklistUpdated(moved, progressPercent(checklist)));
      });
    },

    /**
     * The employer finds the job done: the pay goes to the worker, less the fee.
     * @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE).
     */
    complete(viewer: Viewer, input: Request): Promise<void> {
      return as(isEmployer, viewer, 'completeJob', input, async (tx, job) => {
        const done = await steps.advance(tx, job, 'COMPLETE');
        const { paid, fee } = splitPay(job.paySats, feeBasisPoints);
        const shares = [
          { part: 'pay', to: `wallet:${job.worker}`, amount: paid, reason: 'JOB_PAID' },
          { part: 'fee', to: 'treasury', amount: fee, reason: 'JOB_FEE' },
        ] as const;
        await ledger.transfer(
          tx,
          ...shares
            .filter(({ amount }) => amount > 0n)
            .map(({ part, ...share }) => ({
              key: `completed:${job.id}:${part}`,
              from: escrowAccount(job.id),
              ...share,
            })),
        );
        log.append(tx, escrowEvents.completed(done, paid));
      });
    },

    /** The employer takes back what nobody has taken on. @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE). */
    cancel(viewer: Viewer, input: Request): Promise<void> {
      return as(isEmployer, viewer, 'cancelJob', input, async (tx, job) => {
        const cancelled = await steps.advance(tx, job, 'CANCEL');
        await refund(tx, job, 'JOB_CANCELLED');
        log.append(tx, escrowEvents.cancelled(cancelled, job.paySats));
      });
    },

    /**
     * What the deadline does: the pay of a job that is not completed goes back.
     * @returns when to look again; undefined when nothing is left to do.
     */
    expire(jobId: string): Promise<Date | undefined> {
      return db.transaction(async (tx) => {
        const job = await steps.locked(tx, jobId);
        if (!isOpen(job.state)) return undefined;
        if (!isPast(job.deadline, clock.now())) return job.deadline;
        const expired = await steps.advance(tx, job, 'EXPIRE');
        await refund(tx, job, 'JOB_REFUND');
        log.append(tx, escrowEvents.refunded(expired, job.paySats, 'DEADLINE_PASSED'));
        return undefined;
      });
    },
  };
}
