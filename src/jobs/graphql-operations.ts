import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import { watch } from '../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription, textBetween } from '../graphql/input.ts';
import { ViewerRef } from '../graphql/viewer.ts';
import type { View } from '../platform/auth/viewer.ts';
import { watchAsParty } from './escrow/graphql-watch.ts';
import { agentJobsTopic, jobTopic } from './events.ts';
import {
  AgentJobRef,
  AgentJobStateEnum,
  accessToJob,
  changedJob,
  findJob,
  JobEventRef,
  JobRef,
} from './graphql.ts';
import { type AnyJob, isEscrow, listJobsOf } from './kinds.ts';
import { type JobView, listJobs } from './queries.ts';

/** The longest prompt, in UTF-16 code units. */
const longestPrompt = 10_000;

builder.queryField('job', (t) =>
  t.field({
    type: JobRef,
    nullable: true,
    authScopes: { credentials: true },
    description:
      'A job: an agent job of yours, or any escrowed job. Errors: UNAUTHENTICATED; FORBIDDEN when it is not yours or does not exist.',
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
      description: 'Your jobs of both kinds, newest first: those you have made or posted, and those you do.',
      resolve: ({ user }, args, { services }) =>
        listConnection<AnyJob>(
          args,
          (job) => job.id,
          (page) => listJobsOf(services.db, user.id, page),
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

builder.mutationField('createJob', (t) =>
  t.field({
    type: CreateJobPayload,
    authScopes: { anyone: true },
    description:
      "A job for the platform's agent. Errors: BAD_USER_INPUT, CONFLICT, RATE_LIMITED, UNAVAILABLE.",
    args: { input: t.arg({ type: CreateJobInput, required: true, description: 'The job.' }) },
    resolve: async (_root, { input }, context) => {
      const { jobId, accessToken } = await context.services.jobs.create(context.viewer, {
        prompt: textBetween('prompt', input.prompt, 1, longestPrompt),
        idempotencyKey: idempotencyKey(input.idempotencyKey),
        address: context.address,
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
      'All that happens to a job: to its owner or parties, SERVICE and ADMIN. Without `after` the present state first. A worker who gives an escrowed job back is told so and nothing further. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
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
        ...(isEscrow(job)
          ? watchAsParty(context, job)
          : { view: { access: accessToJob(context, job) as View, objectId: job.id } }),
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
    subscribe: (_root, { after }, context) =>
      watch(context, { topic: agentJobsTopic, after, view: { access: 'SERVICE' } }),
    resolve: (delivery) => delivery,
  }),
);
