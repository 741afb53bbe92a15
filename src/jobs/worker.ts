import type { Database } from '../platform/database/database.ts';
import { isUnavailable } from '../platform/errors.ts';
import type { LeasedWork } from '../platform/work/queue.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import type { Agent } from './agent/agent.ts';
import type { Jobs } from './commands.ts';
import { isAgentDue } from './machine.ts';
import { jobsByIds } from './queries.ts';

interface Dependencies {
  readonly db: Database;
  readonly jobs: Jobs;
  readonly agent: Agent;
  /** How often a job is tried before it fails. */
  readonly attempts: number;
  readonly onError: (error: unknown) => void;
}

/** Has the agent do what is due. The lease fences it: of two that do the same, one can submit. */
export function createAgentWorker({ db, jobs, agent, attempts, onError }: Dependencies): WorkHandler {
  async function perform({ key: jobId, holder }: LeasedWork, signal: AbortSignal): Promise<void> {
    const [job] = await jobsByIds(db, [jobId]);
    if (!job || !isAgentDue(job.state)) return;
    const by = { jobId, holder };
    const task = { jobId, prompt: job.prompt };
    if (job.state === 'EVALUATING') {
      const evaluation = await agent.evaluate(task, signal);
      await (evaluation.accepted
        ? jobs.accept(by, evaluation.workPriceSats)
        : jobs.reject(by, evaluation.reason));
      return;
    }
    let reported = Promise.resolve();
    const outcome = await agent.work(
      task,
      (progress) => {
        reported = reported.then(() => jobs.report(by, progress, { renewsLease: false })).catch(onError);
      },
      signal,
    );
    await reported;
    await (outcome.done ? jobs.complete(by, outcome.result) : jobs.fail(by, outcome.reason));
  }

  return {
    concurrency: 16,
    async run(work, signal) {
      try {
        await perform(work, signal);
      } catch (error) {
        // The Lightning node may be away, which is not the agent's fault: tried again until it is back.
        if (signal.aborted || work.attempts < attempts || isUnavailable(error)) throw error;
        onError(error);
        await jobs.fail({ jobId: work.key, holder: work.holder }, 'The agent could not be reached.');
      }
      return undefined;
    },
  };
}
