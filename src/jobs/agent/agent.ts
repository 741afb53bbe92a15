import type { Sats } from '../../money/sats.ts';

/** What the agent is shown of a job. */
export interface AgentTask {
  readonly jobId: string;
  readonly prompt: string;
}

/** Whether the agent takes a job on, and for how much. */
export type Evaluation =
  | { readonly accepted: true; readonly workPriceSats: Sats }
  | { readonly accepted: false; readonly reason: string };

/** How a piece of work ended. */
export type WorkOutcome =
  | { readonly done: true; readonly result: string }
  | { readonly done: false; readonly reason: string };

/** How far the work is: 0 to 100, and what is being done. */
export interface Progress {
  readonly percent: number;
  readonly message: string;
}

/**
 * Who evaluates and does the work. Both may be asked again for the same job after a crash; what they throw
 * is tried again, up to a number of attempts.
 */
export interface Agent {
  evaluate(task: AgentTask, signal: AbortSignal): Promise<Evaluation>;
  work(task: AgentTask, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<WorkOutcome>;
}
