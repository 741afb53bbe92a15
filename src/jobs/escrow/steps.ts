import type { Clock } from '../../platform/clock.ts';
import type { Transaction } from '../../platform/database/database.ts';
import { forbidden } from '../../platform/errors.ts';
import type { WorkQueue } from '../../platform/work/queue.ts';
import { escrowErrors } from './errors.ts';
import { type EscrowJobAction, isOpen, isPast, nextState } from './machine.ts';
import { type EscrowJob, lockEscrowJob } from './queries.ts';

interface Dependencies {
  readonly clock: Clock;
  readonly queue: WorkQueue;
}

/** The deadlines of escrowed jobs; the key is the job's id. */
export const escrowDeadlineWork = 'escrow.deadline';

/** The account that holds the pay of a job until it is decided whose it is. */
export const escrowAccount = (id: string) => `job:${id}` as const;

/** What commands and deadlines do to an escrowed job, within their transactions. */
export function createEscrowSteps({ clock, queue }: Dependencies) {
  return {
    /** @throws PublicError FORBIDDEN when there is no such job. */
    async locked(tx: Transaction, id: string): Promise<EscrowJob> {
      const job = await lockEscrowJob(tx, id);
      if (!job) throw forbidden();
      return job;
    },

    /**
     * Moves a locked job on, with whatever else changes.
     * @throws PublicError CONFLICT (TAKEN, INVALID_STATE) when its state or its deadline does not allow that.
     */
    async advance(
      tx: Transaction,
      job: EscrowJob,
      action: EscrowJobAction,
      changes: Partial<Pick<EscrowJob, 'worker' | 'checklist'>> = {},
    ): Promise<EscrowJob> {
      const state = nextState(job.state, action);
      if (!state) throw escrowErrors.wrongState(job.state, action);
      const now = clock.now();
      if (action !== 'EXPIRE' && isPast(job.deadline, now)) throw escrowErrors.past();
      const moved = { ...job, ...changes, state };
      await tx.query(
        'UPDATE escrow_jobs SET state = $2, worker = $3, checklist = $4::jsonb, updated_at = $5 WHERE id = $1',
        [job.id, state, moved.worker, JSON.stringify(moved.checklist), new Date(now)],
      );
      if (!isOpen(state)) await queue.cancel(tx, escrowDeadlineWork, job.id);
      return moved;
    },
  };
}
