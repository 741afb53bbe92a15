import { type Sats, satsToJson } from '../../money/sats.ts';
import { activityTopic } from '../../platform/auth/users.ts';
import type { Facts, LogEvent } from '../../platform/log/event.ts';
import type { NewEvent } from '../../platform/log/insertion.ts';
import { jobTopic } from '../events.ts';

/** The feed of the public board. Whoever has credentials hears it: what it tells is shown with the view PUBLIC. */
export const jobBoardTopic = 'jobs';

/** The names of the events that only escrowed jobs have, which are those of their GraphQL types. */
export const escrowEventTypes = [
  'JobPosted',
  'JobAccepted',
  'JobWithdrawn',
  'JobChecklistUpdated',
  'JobCancelled',
  'JobRefunded',
] as const;

export type EscrowEventType = (typeof escrowEventTypes)[number];

/** What an event needs to know of its job. */
export interface EventEscrowJob {
  readonly id: string;
  readonly employer: string;
  readonly worker: string | null;
}

function escrowEvent(
  { id, employer, worker }: EventEscrowJob,
  type: EscrowEventType | 'JobCompleted',
  facts: Facts,
): NewEvent {
  const topics = [jobTopic(id), activityTopic(employer)];
  if (worker !== null) topics.push(activityTopic(worker));
  if (type !== 'JobChecklistUpdated') topics.push(jobBoardTopic);
  return { type, facts: { jobId: id, ...facts }, topics };
}

/** Each takes the job with the worker whom it concerns: of JobWithdrawn the one who has left. */
export const escrowEvents = {
  posted: (job: EventEscrowJob, pay: Sats) => escrowEvent(job, 'JobPosted', { paySats: satsToJson(pay) }),
  accepted: (job: EventEscrowJob) => escrowEvent(job, 'JobAccepted', { worker: job.worker }),
  withdrawn: (job: EventEscrowJob) => escrowEvent(job, 'JobWithdrawn', { worker: job.worker }),
  checklistUpdated: (job: EventEscrowJob, progressPercent: number) =>
    escrowEvent(job, 'JobChecklistUpdated', { progressPercent }),
  completed: (job: EventEscrowJob, paid: Sats) =>
    escrowEvent(job, 'JobCompleted', { paymentReleased: true, paidSats: satsToJson(paid) }),
  cancelled: (job: EventEscrowJob, refunded: Sats) =>
    escrowEvent(job, 'JobCancelled', { refundedSats: satsToJson(refunded) }),
  refunded: (job: EventEscrowJob, refunded: Sats, reason: 'DEADLINE_PASSED') =>
    escrowEvent(job, 'JobRefunded', { refundedSats: satsToJson(refunded), reason }),
};

/** Whether an event has ended a user's right to hear more of its job: who has given it back is no party any more. */
export const endsRightOf =
  (userId: string) =>
  ({ type, facts }: Pick<LogEvent, 'type' | 'facts'>): boolean =>
    type === 'JobWithdrawn' && facts.worker === userId;
