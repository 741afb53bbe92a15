import { builder } from '../../graphql/builder.ts';
import { EventRef, fact } from '../../graphql/events.ts';
import { NodeRef } from '../../graphql/node.ts';
import { loadUser, UserRef } from '../../graphql/users.ts';
import type { Delivery } from '../../platform/feed/rendering.ts';
import { escrowJobById, JobEventRef, JobRef } from '../graphql.ts';
import type { EscrowEventType } from './events.ts';
import { accessOfParties, accessToEscrowJob } from './graphql-access.ts';
import { type ChecklistItem, type EscrowJobState, escrowJobStates } from './machine.ts';
import type { EscrowJobView } from './queries.ts';

const stateDescriptions: Record<EscrowJobState, string> = {
  OPEN: 'It waits for a worker.',
  ACCEPTED: 'A worker does it.',
  COMPLETED: 'It is done, and the worker is paid.',
  REFUNDED: 'Its time was up: the pay went back to the employer.',
  CANCELLED: 'The employer has taken it back, and with it the pay.',
};

export const EscrowJobStateEnum = builder.enumType('EscrowJobState', {
  description: 'Where an escrowed job stands.',
  values: Object.fromEntries(
    escrowJobStates.map((state) => [state, { description: stateDescriptions[state] }]),
  ) as Record<EscrowJobState, { description: string }>,
});

const ChecklistItemRef = builder.objectRef<ChecklistItem>('ChecklistItem').implement({
  description: 'Something that belongs to an escrowed job. Shown to its parties, SERVICE and ADMIN.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Opaque, within the job.' }),
    text: t.exposeString('text', { description: 'What is to be done.' }),
    completed: t.exposeBoolean('completed', { description: 'Whether the worker has ticked it.' }),
  }),
});

export const EscrowJobRef = builder.objectRef<EscrowJobView>('EscrowJob').implement({
  description:
    'Work that an employer posts, whose pay is held until a worker has done it or the time is up. Shown to whoever has credentials; its parties and its checklist to these two, SERVICE and ADMIN.',
  interfaces: [JobRef, NodeRef],
  fields: (t) => ({
    state: t.expose('state', { type: EscrowJobStateEnum, description: 'Where it stands.' }),
    title: t.exposeString('title', { description: 'What is to be done.' }),
    jobType: t.exposeString('jobType', { nullable: true, description: 'What kind of work it is.' }),
    paySats: t.expose('paySats', {
      type: 'Sats',
      description: 'What is held for it; sats. The worker gets it less the fee.',
    }),
    payAmountUsd: t.exposeFloat('payAmountUsd', {
      nullable: true,
      description: 'The pay in US dollars as the employer has posted it; for display only.',
    }),
    deadline: t.expose('deadline', {
      type: 'DateTime',
      description: 'When the pay goes back unless the job is completed.',
    }),
    employer: t.field({
      type: UserRef,
      nullable: true,
      description: 'Who pays. To the parties, SERVICE and ADMIN; null to others.',
      resolve: (job, _args, context) =>
        accessToEscrowJob(context, job) ? loadUser(context, job.employer) : null,
    }),
    worker: t.field({
      type: UserRef,
      nullable: true,
      description: 'Who does it; null while it is open. To the parties, SERVICE and ADMIN; null to others.',
      resolve: (job, _args, context) =>
        job.worker !== null && accessToEscrowJob(context, job) ? loadUser(context, job.worker) : null,
    }),
    checklist: t.field({
      type: [ChecklistItemRef],
      nullable: true,
      description: 'What belongs to it. To the parties, SERVICE and ADMIN; null to others.',
      resolve: (job, _args, context) => (accessToEscrowJob(context, job) ? [...job.checklist] : null),
    }),
  }),
});

/** An event type of escrowed jobs; its name is that of the log row. */
const escrowEventRef = (name: EscrowEventType) => builder.objectRef<Delivery>(name);

const interfaces = [JobEventRef, EventRef];

const sats = (name: string) => (delivery: Delivery) => fact<number>(delivery, name);

export const JobPostedRef = escrowEventRef('JobPosted').implement({
  description: 'An employer has posted an escrowed job: its pay is held.',
  interfaces,
  fields: (t) => ({
    paySats: t.field({ type: 'Sats', description: 'How much; sats.', resolve: sats('paySats') }),
  }),
});

const ofWorker = {
  JobAccepted: ['A worker has taken an escrowed job on.', 'Who.'],
  JobWithdrawn: [
    'The worker has given an escrowed job back: it is open again. The last event that they are told in `jobUpdated`.',
    'Who it was.',
  ],
} as const;

for (const [name, [description, who]] of Object.entries(ofWorker))
  escrowEventRef(name as keyof typeof ofWorker).implement({
    description,
    interfaces,
    fields: (t) => ({
      worker: t.field({
        type: UserRef,
        nullable: true,
        description: `${who} To themselves, the employer, SERVICE and ADMIN; null to others.`,
        resolve: async (delivery, _args, context) => {
          const worker = fact<string>(delivery, 'worker');
          const job = await escrowJobById(context, fact<string>(delivery, 'jobId'));
          // Not to whoever does it now: who did it before is none of their business.
          return job && accessOfParties(context, [job.employer, worker]) ? loadUser(context, worker) : null;
        },
      }),
    }),
  });

escrowEventRef('JobChecklistUpdated').implement({
  description: 'The worker has ticked or unticked an item of the checklist.',
  interfaces,
  fields: (t) => ({
    progressPercent: t.int({
      description: 'How much is ticked, 0 to 100, rounded down.',
      resolve: (delivery) => fact<number>(delivery, 'progressPercent'),
    }),
  }),
});

const refundedSats = 'What went back to the employer; sats.';

escrowEventRef('JobCancelled').implement({
  description: 'The employer has taken back an escrowed job that nobody had taken on.',
  interfaces,
  fields: (t) => ({
    refundedSats: t.field({ type: 'Sats', description: refundedSats, resolve: sats('refundedSats') }),
  }),
});

escrowEventRef('JobRefunded').implement({
  description: 'The pay of an escrowed job went back to the employer by itself.',
  interfaces,
  fields: (t) => ({
    refundedSats: t.field({ type: 'Sats', description: refundedSats, resolve: sats('refundedSats') }),
    reason: t.string({
      description: 'Why: DEADLINE_PASSED.',
      resolve: (delivery) => fact<string>(delivery, 'reason'),
    }),
  }),
});
