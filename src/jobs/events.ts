import type { Invoice } from '../money/invoice-queries.ts';
import type { Returned } from '../money/receipts.ts';
import { satsToJson } from '../money/sats.ts';
import { activityTopic } from '../platform/auth/users.ts';
import type { Facts } from '../platform/log/event.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import type { AgentJobState } from './machine.ts';

/** A job's own feed. */
export const jobTopic = (jobId: string) => `job:${jobId}`;

/** The feed of evaluations and work that are due. */
export const agentJobsTopic = 'agent-jobs';

/** The names of the events of agent jobs, which are those of their GraphQL types. */
export const jobEventTypes = [
  'JobPaymentConfirmed',
  'JobEvaluated',
  'JobWorkStarted',
  'JobProgressed',
  'JobCompleted',
  'JobRejected',
  'JobFailed',
  'JobExpired',
  'JobPaymentReturned',
  'JobSnapshot',
] as const;

export type JobEventType = (typeof jobEventTypes)[number];

/** What an event needs to know of its job. */
export interface EventJob {
  readonly id: string;
  readonly ownerUser: string | null;
}

function jobEvent(job: EventJob, type: JobEventType, facts: Facts, agentDue = false): NewEvent {
  const topics = [jobTopic(job.id)];
  if (job.ownerUser !== null) topics.push(activityTopic(job.ownerUser));
  if (agentDue) topics.push(agentJobsTopic);
  return { type, facts: { jobId: job.id, ...facts }, topics };
}

export const jobEvents = {
  evalPaid: (job: EventJob, state: AgentJobState, invoice: Invoice) =>
    jobEvent(job, 'JobPaymentConfirmed', { state, invoice: invoice.paymentHash }, true),
  workPaid: (job: EventJob, state: AgentJobState, invoice: Invoice) =>
    jobEvent(job, 'JobPaymentConfirmed', { state, invoice: invoice.paymentHash }),
  evaluated: (job: EventJob, state: AgentJobState, workInvoice: string) =>
    jobEvent(job, 'JobEvaluated', { state, workInvoice }),
  workStarted: (job: EventJob, state: AgentJobState) => jobEvent(job, 'JobWorkStarted', { state }, true),
  completed: (job: EventJob, result: string) => jobEvent(job, 'JobCompleted', { result }),
  rejected: (job: EventJob, reason: string) => jobEvent(job, 'JobRejected', { reason }),
  failed: (job: EventJob, reason: string) => jobEvent(job, 'JobFailed', { reason }),
  expired: (job: EventJob, reason: string) => jobEvent(job, 'JobExpired', { reason }),
  paymentReturned: (job: EventJob, { amount, reason }: Returned) =>
    jobEvent(job, 'JobPaymentReturned', { returnedSats: satsToJson(amount), reason }),
};
