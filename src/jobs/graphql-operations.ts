import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import type { Context } from '../graphql/context.ts';
import { watch } from '../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription, textBetween } from '../graphql/input.ts';
import { ViewerRef } from '../graphql/viewer.ts';
import { badInput } from '../platform/errors.ts';
import { agentJobsTopic, jobTopic } from './events.ts';
import { AgentJobRef, AgentJobStateEnum, findJob, JobEventRef, JobRef } from './graphql.ts';
import { type JobView, jobsByIds, listJobs } from './queries.ts';

/** The longest texts that are taken, in UTF-16 code units. */
const longest = { prompt: 10_000, result: 30_000, reason: 2_000, message: 500 };

builder.queryField('job', (t) =>
  t.field({
    type: JobRef,
    nullable: true,
    authScopes: { credentials: true },
    description: 'A job. Errors: UNAUTHENTICATED; FORBIDDEN when it is not yours or does not exist.',
    args: { id: t.arg.id({ required: true, description: 'The id of the job.' }) },
    resolve: (_root, { id }, context) => findJob(context, id),
  }),
);

builder.queryField('agentJobs', (t) =>
  t.connection(
    {
      type: AgentJobRef,
      authScopes: { service: true },
      description:
        'All agent jobs, newest first. SERVICE. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
      args: { state: t.arg({ type: AgentJobStateEnum, description: 'Only those in this state.' }) },
      resolve: async (_root, args, { services }) => {
        // Before the list is read: what it shows may be newer than the cursor, never older.
        const feedCursor = await services.feeds.log.cursor(agentJobsTopic);
        const connection = await listConnection<JobView>(
          args,
          (job) => job.id,
          (page) => listJobs(services.db, { state: args.state ?? undefined }, page),
        );
        return { ...connection, feedCursor };
      },
    },
    {
      name: 'AgentJobConnection',
      description: 'A page of agent jobs.',
      fields: (f) => ({
        feedCursor: f.field({
          type: 'Cursor',
          description: 'Where agentJobReady stood at this read: query, then subscribe after it.',
          resolve: ({ feedCursor }) => feedCursor,
        }),
      }),
    },
    { name: 'AgentJobEdge', description: 'An agent job in a list.' },
  ),
);

builder.objectField(ViewerRef, 'jobs', (t) =>
  t.connection(
    {
      type: JobRef,
      description: 'Your jobs, newest first.',
      resolve: ({ user }, args, { services }) =>
        listConnection<JobView>(
          args,
          (job) => job.id,
          (page) => listJobs(services.db, { ownerUser: user.id }, page),
        ),
    },
    { name: 'JobConnection', description: 'A page of jobs.' },
    { name: 'JobEdge', description: 'A job in a list.' },
  ),
);

const CreateJobInput = builder.inputType('CreateJobInput', {
  description: 'A new job.',
  fields: (t) => ({
    prompt: t.string({ required: true, description: 'What is to be done; 1 to 10,000 characters.' }),
    idempotencyKey: t.string({ required: true, description: idempotencyKeyDescription }),
  }),
});

const CreateJobPayload = builder
  .objectRef<{ readonly job: JobView; readonly accessToken: string | null }>('CreateJobPayload')
  .implement({
    description: 'The job that was made.',
    fields: (t) => ({
      job: t.expose('job', { type: AgentJobRef, description: 'The job: pay its evalInvoice to begin.' }),
      accessToken: t.exposeString('accessToken', {
        nullable: true,
        description:
          'To anonymous callers only: the bearer token that opens this job alone. It is not handed out again but to a repetition of this request.',
      }),
    }),
  });

/** A job that a command has just changed: read anew. */
async function changedJob({ services }: Context, jobId: string): Promise<JobView> {
  const [job] = await jobsByIds(services.db, [jobId]);
  return job as JobView;
}

builder.mutationField('createJob', (t) =>
  t.field({
    type: CreateJobPayload,
    authScopes: { anyone: true },
    description: "A job for the platform's agent. Errors: BAD_USER_INPUT, CONFLICT, UNAVAILABLE.",
    args: { input: t.arg({ type: CreateJobInput, required: true, description: 'The job.' }) },
    resolve: async (_root, { input }, context) => {
      const { jobId, accessToken } = await context.services.jobs.create(context.viewer, {
        prompt: textBetween('prompt', input.prompt, 1, longest.prompt),
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { job: await changedJob(context, jobId), accessToken };
    },
  }),
);

builder.subscriptionField('jobUpdated', (t) =>
  t.field({
    type: JobEventRef,
    authScopes: { credentials: true },
    description:
      'All that happens to a job. Without `after` the present state first. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the job.' }),
      after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }),
    },
    subscribe: async (_root, { id, after }, context) => {
      const job = await findJob(context, id);
      return watch(context, {
        topic: jobTopic(job.id),
        after,
        snapshot: { type: 'JobSnapshot', facts: { jobId: job.id } },
      });
    },
    resolve: (delivery) => delivery,
  }),
);

builder.subscriptionField('agentJobReady', (t) =>
  t.field({
    type: JobEventRef,
    authScopes: { service: true },
    description:
      'An evaluation (JobPaymentConfirmed) or work (JobWorkStarted) is due. SERVICE. Live from now without `after`. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CURSOR_EXPIRED.',
    args: { after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }) },
    subscribe: (_root, { after }, context) => watch(context, { topic: agentJobsTopic, after }),
    resolve: (delivery) => delivery,
  }),
);

const jobId = { required: true, description: 'The id of the job.' } as const;
const key = { required: true, description: idempotencyKeyDescription } as const;

/** A worker from outside, as the holder of a lease. */
function holderOf({ viewer }: Context): string {
  return `service:${viewer.user?.id}`;
}

function requestOf(context: Context, mutation: string, input: { readonly idempotencyKey: string }) {
  const { idempotencyKey: given, ...rest } = input;
  return { caller: context.viewer.user?.id as string, mutation, key: idempotencyKey(given), input: rest };
}

const ClaimAgentJobInput = builder.inputType('ClaimAgentJobInput', {
  description: 'Which job is taken.',
  fields: (t) => ({
    jobId: t.id({ description: 'The id of the job; without it, the one that has waited longest.' }),
  }),
});

const ClaimAgentJobPayload = builder
  .objectRef<{ readonly job: JobView | null; readonly leasedUntil: Date | null }>('ClaimAgentJobPayload')
  .implement({
    description: 'The job that was taken.',
    fields: (t) => ({
      job: t.expose('job', {
        type: AgentJobRef,
        nullable: true,
        description: 'The job: evaluate it when EVALUATING, do it when EXECUTING. Null when none is due.',
      }),
      leasedUntil: t.expose('leasedUntil', {
        type: 'DateTime',
        nullable: true,
        description: 'Until when you have it to yourself; reportProgress renews it.',
      }),
    }),
  });

builder.mutationField('claimAgentJob', (t) =>
  t.field({
    type: ClaimAgentJobPayload,
    authScopes: { service: true },
    description:
      'Takes a due job for 60 s. SERVICE. Errors: UNAUTHENTICATED, FORBIDDEN, CONFLICT (LEASE_HELD, INVALID_STATE).',
    args: { input: t.arg({ type: ClaimAgentJobInput, required: true, description: 'Which job.' }) },
    resolve: async (_root, { input }, context) => {
      const claimed = await context.services.jobs.claim(input.jobId ?? undefined, holderOf(context));
      if (!claimed) return { job: null, leasedUntil: null };
      return { job: await changedJob(context, claimed.jobId), leasedUntil: claimed.leasedUntil };
    },
  }),
);

/** What the mutations of a lease's holder answer. */
function workPayload(name: string) {
  return builder.objectRef<{ readonly job: JobView }>(name).implement({
    description: 'The job that was worked on.',
    fields: (t) => ({ job: t.expose('job', { type: AgentJobRef, description: 'The job as it is now.' }) }),
  });
}

const workErrors =
  'SERVICE, the holder of the lease. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT (LEASE_HELD, INVALID_STATE)';

const ReportProgressInput = builder.inputType('ReportProgressInput', {
  description: 'How far the work is.',
  fields: (t) => ({
    jobId: t.id(jobId),
    percent: t.int({ description: '0 to 100.' }),
    message: t.string({ description: 'What is being done; up to 500 characters.' }),
  }),
});

builder.mutationField('reportProgress', (t) =>
  t.field({
    type: workPayload('ReportProgressPayload'),
    authScopes: { service: true },
    description: `Tells whoever watches how far the work is, and renews the lease for 60 s. ${workErrors}.`,
    args: { input: t.arg({ type: ReportProgressInput, required: true, description: 'How far.' }) },
    resolve: async (_root, { input }, context) => {
      const { percent, message } = input;
      if (percent != null && (percent < 0 || percent > 100))
        throw badInput('percent', 'percent must be 0 to 100.');
      await context.services.jobs.report(
        { jobId: input.jobId, holder: holderOf(context) },
        {
          ...(percent != null && { percent }),
          ...(message != null && { message: textBetween('message', message, 0, longest.message) }),
        },
      );
      return { job: await changedJob(context, input.jobId) };
    },
  }),
);

const SubmitEvaluationInput = builder.inputType('SubmitEvaluationInput', {
  description: 'Whether the job is taken on: with a price, or not and why.',
  fields: (t) => ({
    jobId: t.id(jobId),
    accepted: t.boolean({ required: true, description: 'Whether it is taken on.' }),
    workPriceSats: t.field({
      type: 'Sats',
      description: 'The price of the work, when accepted; sats, at least 1.',
    }),
    reason: t.string({ description: 'Why not, when it is not accepted; up to 2,000 characters.' }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('submitEvaluation', (t) =>
  t.field({
    type: workPayload('SubmitEvaluationPayload'),
    authScopes: { service: true },
    description: `Ends the evaluation of a job. ${workErrors}; UNAVAILABLE.`,
    args: { input: t.arg({ type: SubmitEvaluationInput, required: true, description: 'The evaluation.' }) },
    resolve: async (_root, { input }, context) => {
      const { jobs } = context.services;
      const by = {
        jobId: input.jobId,
        holder: holderOf(context),
        request: requestOf(context, 'submitEvaluation', input),
      };
      if (input.accepted) {
        if (!input.workPriceSats)
          throw badInput('workPriceSats', 'An accepted job needs a price of at least 1 sat.');
        await jobs.accept(by, input.workPriceSats);
      } else {
        await jobs.reject(by, textBetween('reason', input.reason ?? '', 1, longest.reason));
      }
      return { job: await changedJob(context, input.jobId) };
    },
  }),
);

const SubmitResultInput = builder.inputType('SubmitResultInput', {
  description: 'What came of the work.',
  fields: (t) => ({
    jobId: t.id(jobId),
    result: t.string({ required: true, description: 'The result; up to 30,000 characters.' }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('submitResult', (t) =>
  t.field({
    type: workPayload('SubmitResultPayload'),
    authScopes: { service: true },
    description: `Completes the work of a job: its price is earned. ${workErrors}.`,
    args: { input: t.arg({ type: SubmitResultInput, required: true, description: 'The result.' }) },
    resolve: async (_root, { input }, context) => {
      await context.services.jobs.complete(
        {
          jobId: input.jobId,
          holder: holderOf(context),
          request: requestOf(context, 'submitResult', input),
        },
        textBetween('result', input.result, 0, longest.result),
      );
      return { job: await changedJob(context, input.jobId) };
    },
  }),
);

const FailJobInput = builder.inputType('FailJobInput', {
  description: 'Why the agent gives up.',
  fields: (t) => ({
    jobId: t.id(jobId),
    reason: t.string({ required: true, description: 'Why; 1 to 2,000 characters, shown to the owner.' }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('failJob', (t) =>
  t.field({
    type: workPayload('FailJobPayload'),
    authScopes: { service: true },
    description: `Gives a job up; the price of work goes back to its owner. ${workErrors}.`,
    args: { input: t.arg({ type: FailJobInput, required: true, description: 'Which job, and why.' }) },
    resolve: async (_root, { input }, context) => {
      await context.services.jobs.fail(
        { jobId: input.jobId, holder: holderOf(context), request: requestOf(context, 'failJob', input) },
        textBetween('reason', input.reason, 1, longest.reason),
      );
      return { job: await changedJob(context, input.jobId) };
    },
  }),
);
