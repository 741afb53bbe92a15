import { builder } from '../graphql/builder.ts';
import type { Context } from '../graphql/context.ts';
import { idempotencyKey, idempotencyKeyDescription, textBetween } from '../graphql/input.ts';
import { badInput, forbidden } from '../platform/errors.ts';
import { isId } from '../platform/ids.ts';
import { AgentJobRef, changedJob } from './graphql.ts';
import type { JobView } from './queries.ts';

/** The longest texts that are taken, in UTF-16 code units. */
const longest = { result: 30_000, reason: 2_000, message: 500 };

const jobId = { required: true, description: 'The id of the job.' } as const;
const key = { required: true, description: idempotencyKeyDescription } as const;

/** An id that can be one of a job; what cannot is answered as what does not exist. */
function jobIdIn(text: string): string {
  if (!isId('job', text)) throw forbidden();
  return text;
}

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
      const claimed = await context.services.jobs.claim(
        input.jobId == null ? undefined : jobIdIn(input.jobId),
        holderOf(context),
      );
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
        { jobId: jobIdIn(input.jobId), holder: holderOf(context) },
        {
          ...(percent != null && { percent }),
          ...(message != null && { message: textBetween('message', message, 0, longest.message) }),
        },
        { renewsLease: true },
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
        jobId: jobIdIn(input.jobId),
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
          jobId: jobIdIn(input.jobId),
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
        {
          jobId: jobIdIn(input.jobId),
          holder: holderOf(context),
          request: requestOf(context, 'failJob', input),
        },
        textBetween('reason', input.reason, 1, longest.reason),
      );
      return { job: await changedJob(context, input.jobId) };
    },
  }),
);
