import { accessTo } from '../graphql/access.ts';
import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import type { Context } from '../graphql/context.ts';
import { EventConnection, EventRef, eventConnection, fact, SnapshotReasonEnum } from '../graphql/events.ts';
import { load } from '../graphql/loaders.ts';
import { NodeRef, registerNode } from '../graphql/node.ts';
import { InvoiceRef, loadInvoice, ReturnReasonEnum } from '../money/graphql.ts';
import { forbidden } from '../platform/errors.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import { isId } from '../platform/ids.ts';
import { encodeCursor } from '../platform/log/cursor.ts';
import { accessToEscrowJob } from './escrow/graphql-access.ts';
import { type EscrowJobView, escrowJobsByIds } from './escrow/queries.ts';
import { type JobEventType, jobTopic } from './events.ts';
import { type AnyJob, isEscrow, isEscrowId } from './kinds.ts';
import { agentJobStates } from './machine.ts';
import { type JobView, jobsByIds } from './queries.ts';

const stateDescriptions: Record<(typeof agentJobStates)[number], string> = {
  AWAITING_EVAL_PAYMENT: 'The evaluation waits to be paid.',
  EVALUATING: 'The agent decides whether it takes the job on.',
  AWAITING_WORK_PAYMENT: 'The agent has named its price; the work waits to be paid.',
  EXECUTING: 'The agent works.',
  COMPLETE: 'Done: there is a result.',
  REJECTED: 'The agent does not take it on.',
  FAILED: 'The agent gave up. The price of the work went back to the owner.',
  EXPIRED: 'An invoice was not paid in time.',
};

export const AgentJobStateEnum = builder.enumType('AgentJobState', {
  description: 'Where an agent job stands.',
  values: Object.fromEntries(
    agentJobStates.map((state) => [state, { description: stateDescriptions[state] }]),
  ) as Record<(typeof agentJobStates)[number], { description: string }>,
});

/** A job of either kind by its id, if the viewer may see it. */
export async function findJob(context: Context, id: string): Promise<AnyJob> {
  const job = await seenJob(context, id);
  if (!job) throw forbidden();
  return job;
}

/** An escrowed job by its id, whoever asks: it is on the board. Undefined when there is none. */
export const escrowJobById = (context: Context, id: string): Promise<EscrowJobView | undefined> =>
  load(context, escrowJobsByIds, (row) => row.id, id);

/** How whoever asks stands to an agent job; undefined when it is not theirs to see. */
export const accessToJob = (context: Context, { id, ownerUser }: JobView) =>
  accessTo(context, { userId: ownerUser, objectId: id });

async function seenJob(context: Context, id: string): Promise<AnyJob | undefined> {
  if (isEscrowId(id)) return escrowJobById(context, id);
  const job = isId('job', id) ? await load(context, jobsByIds, (row) => row.id, id) : undefined;
  return job && accessToJob(context, job) ? job : undefined;
}

/** An agent job that a command has just changed: read anew. */
export async function changedJob({ services }: Context, jobId: string): Promise<JobView> {
  const [job] = await jobsByIds(services.db, [jobId]);
  return job as JobView;
}

registerNode('job', 'AgentJob', findJob);
registerNode('esc', 'EscrowJob', findJob);

/** Whether the history of a job is shown: that of an escrowed job only to its parties, SERVICE and ADMIN. */
const showsHistory = (context: Context, job: AnyJob) =>
  !isEscrow(job) || accessToEscrowJob(context, job) !== undefined;

/** What is shown of a history that is not the viewer's to see. */
const noHistory = async (args: Parameters<typeof listConnection>[0]) => ({
  ...(await listConnection<Delivery>(
    args,
    ({ cursor }) => cursor,
    async () => [],
  )),
  trimmed: false,
});

export const JobRef = builder.interfaceRef<AnyJob>('Job').implement({
  description: 'Work that somebody pays for.',
  interfaces: [NodeRef],
  resolveType: (job) => (isEscrow(job) ? 'EscrowJob' : 'AgentJob'),
  fields: (t) => ({
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When its state last changed.' }),
    cursor: t.field({
      type: 'Cursor',
      description:
        "Where the job's feed stood at this read: query, then subscribe after it. Its beginning, to those who may not watch it.",
      resolve: (job, _args, context) =>
        encodeCursor({
          topic: jobTopic(job.id),
          epoch: job.feedEpoch,
          seq: showsHistory(context, job) ? Number(job.feedHead) : 0,
        }),
    }),
    events: t.connection(
      {
        type: EventRef,
        description:
          'Its history, oldest first, from the same log as its feed. Empty, to those who may not watch it.',
        resolve: (job, args, context) =>
          showsHistory(context, job) ? eventConnection(context, jobTopic(job.id), args) : noHistory(args),
      },
      EventConnection,
    ),
  }),
});

export const AgentJobRef = builder.objectRef<JobView>('AgentJob').implement({
  description:
    "Work that the platform's agent prices and does, paid by invoice in two steps. Shown to its owner, SERVICE and ADMIN.",
  interfaces: [JobRef, NodeRef],
  fields: (t) => ({
    state: t.expose('state', { type: AgentJobStateEnum, description: 'Where it stands.' }),
    prompt: t.exposeString('prompt', { description: 'What is to be done.' }),
    evalInvoice: t.field({
      type: InvoiceRef,
      description: 'Pays for the evaluation.',
      resolve: ({ evalInvoice }, _args, context) => loadInvoice(context, evalInvoice),
    }),
    workInvoice: t.field({
      type: InvoiceRef,
      nullable: true,
      description: 'Pays for the work, once it is evaluated.',
      resolve: ({ workInvoice }, _args, context) =>
        workInvoice === null ? null : loadInvoice(context, workInvoice),
    }),
    reason: t.exposeString('reason', {
      nullable: true,
      description: 'Why it was rejected, failed or expired.',
    }),
    result: t.exposeString('result', { nullable: true, description: 'What came of it, once complete.' }),
    refundableSats: t.expose('refundableSats', {
      type: 'Sats',
      description:
        "What went back to an anonymous owner, claimable with the access token; sats. A user's goes to the wallet.",
    }),
  }),
});

export const JobEventRef = builder.interfaceRef<Delivery>('JobEvent').implement({
  description: 'Something that happened to a job.',
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    job: t.field({
      type: JobRef,
      nullable: true,
      description:
        'The job when the event is executed: never older than the event, perhaps newer. Null when you may no longer see it.',
      resolve: (delivery, _args, context) => seenJob(context, fact<string>(delivery, 'jobId')),
    }),
  }),
});

/** An event type of jobs; its name is that of the log row. */
function jobEventRef(name: JobEventType) {
  return builder.objectRef<Delivery>(name);
}

const interfaces = [JobEventRef, EventRef];

jobEventRef('JobSnapshot').implement({
  description: 'The present state: first when a subscription has no `after`, and after a gap. Not kept.',
  interfaces,
  fields: (t) => ({
    reason: t.field({
      type: SnapshotReasonEnum,
      description: 'Why it is sent.',
      resolve: (delivery) => fact<'SUBSCRIBED' | 'GAP'>(delivery, 'reason'),
    }),
  }),
});

/** A fact that events of this type may lack; null then. */
const optionalFact = <Value extends string | number | boolean>(delivery: Delivery, name: string) =>
  fact<Value | null>(delivery, name) ?? null;

const stateOf = (delivery: Delivery) => fact<JobView['state']>(delivery, 'state');

jobEventRef('JobPaymentConfirmed').implement({
  description: 'An invoice of the job was paid.',
  interfaces,
  fields: (t) => ({
    state: t.field({ type: AgentJobStateEnum, description: 'The state that it led to.', resolve: stateOf }),
    invoice: t.field({
      type: InvoiceRef,
      description: 'The invoice that was paid.',
      resolve: (delivery, _args, context) => loadInvoice(context, fact<string>(delivery, 'invoice')),
    }),
  }),
});

jobEventRef('JobEvaluated').implement({
  description: 'The agent takes the job on: its price is the work invoice.',
  interfaces,
  fields: (t) => ({
    state: t.field({ type: AgentJobStateEnum, description: 'The state that it led to.', resolve: stateOf }),
    workInvoice: t.field({
      type: InvoiceRef,
      description: 'Pays for the work.',
      resolve: (delivery, _args, context) => loadInvoice(context, fact<string>(delivery, 'workInvoice')),
    }),
  }),
});

jobEventRef('JobWorkStarted').implement({
  description: 'The work is paid and due.',
  interfaces,
  fields: (t) => ({
    state: t.field({ type: AgentJobStateEnum, description: 'The state that it led to.', resolve: stateOf }),
  }),
});

jobEventRef('JobProgressed').implement({
  description:
    'How far the work is. Ephemeral: not kept, the latest wins, and its cursor is that of the event before.',
  interfaces,
  fields: (t) => ({
    percent: t.int({
      nullable: true,
      description: '0 to 100.',
      resolve: (delivery) => fact<number | null>(delivery, 'percent'),
    }),
    message: t.string({
      nullable: true,
      description: 'What is being done.',
      resolve: (delivery) => fact<string | null>(delivery, 'message'),
    }),
  }),
});

jobEventRef('JobCompleted').implement({
  description: 'The work is done.',
  interfaces,
  fields: (t) => ({
    result: t.string({
      nullable: true,
      description: 'What came of it. Null of an escrowed job.',
      resolve: (delivery) => optionalFact<string>(delivery, 'result'),
    }),
    paymentReleased: t.boolean({
      nullable: true,
      description: 'Whether the pay has gone to the worker. Null of an agent job.',
      resolve: (delivery) => optionalFact<boolean>(delivery, 'paymentReleased'),
    }),
    paidSats: t.field({
      type: 'Sats',
      nullable: true,
      description:
        'What the worker was paid: the pay less the fee; sats. To the parties, SERVICE and ADMIN; null to others, and of an agent job.',
      resolve: async (delivery, _args, context) => {
        const paid = optionalFact<number>(delivery, 'paidSats');
        if (paid === null) return null;
        const job = await escrowJobById(context, fact<string>(delivery, 'jobId'));
        return job && accessToEscrowJob(context, job) ? paid : null;
      },
    }),
  }),
});

const endings = {
  JobRejected: ['The agent does not take the job on.', 'Why not.'],
  JobFailed: ['The agent gave up.', 'Why.'],
  JobExpired: ['An invoice was not paid in time.', 'Which one.'],
} as const;

for (const [name, [description, reasonDescription]] of Object.entries(endings))
  jobEventRef(name as keyof typeof endings).implement({
    description,
    interfaces,
    fields: (t) => ({
      reason: t.string({
        description: reasonDescription,
        resolve: (delivery) => fact<string>(delivery, 'reason'),
      }),
    }),
  });

jobEventRef('JobPaymentReturned').implement({
  description:
    "Sats went back to the owner: to a user's wallet, or to the refundable balance of an anonymous owner.",
  interfaces,
  fields: (t) => ({
    returnedSats: t.field({
      type: 'Sats',
      description: 'How much; sats.',
      resolve: (delivery) => fact<number>(delivery, 'returnedSats'),
    }),
    reason: t.field({
      type: ReturnReasonEnum,
      description: 'Why.',
      resolve: (delivery) => fact<'SURPLUS' | 'NOT_NEEDED' | 'WORK_FAILED'>(delivery, 'reason'),
    }),
  }),
});
