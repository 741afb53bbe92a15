import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import { jobErrors } from './errors.ts';
import { type AgentJobAction, type AgentJobState, isAgentDue, nextState } from './machine.ts';
import { type AgentJob, lockJob } from './queries.ts';

export type JobSteps = ReturnType<typeof createJobSteps>;

interface Dependencies {
  readonly clock: Clock;
  readonly queue: WorkQueue;
}

/** Evaluations and work that are due; the key is the job's id. */
export const agentWork = 'job.agent';

/** What commands and payments do to a job, within their transactions. */
export function createJobSteps({ clock, queue }: Dependencies) {
  return {
    /**
     * Moves a locked job on, with whatever else changes.
     * @throws PublicError CONFLICT (INVALID_STATE) when its state does not allow that.
     */
    async advance(
      tx: Transaction,
      job: AgentJob,
      action: AgentJobAction,
      changes: { readonly workInvoice?: string; readonly reason?: string; readonly result?: string } = {},
    ): Promise<AgentJobState> {
      const state = nextState(job.state, action);
      if (!state) throw jobErrors.wrongState(job.state);
      await tx.query(
        `UPDATE agent_jobs SET state = $2, work_invoice = coalesce($3, work_invoice), reason = coalesce($4, reason),
              result = coalesce($5, result), updated_at = $6 WHERE id = $1`,
        [
          job.id,
          state,
          changes.workInvoice ?? null,
          changes.reason ?? null,
          changes.result ?? null,
          new Date(clock.now()),
        ],
      );
      if (isAgentDue(state)) await queue.schedule(tx, agentWork, job.id, new Date(clock.now()));
      else await queue.cancel(tx, agentWork, job.id);
      return state;
    },

    /** @throws PublicError FORBIDDEN when there is no such job. */
    async locked(tx: Transaction, id: string): Promise<AgentJob> {
      const job = await lockJob(tx, id);
      if (!job) throw forbidden();
      return job;
    },
  };
}
