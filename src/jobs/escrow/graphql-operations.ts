import { builder } from '../../graphql/builder.ts';
import { listConnection } from '../../graphql/connections.ts';
import type { Context } from '../../graphql/context.ts';
import { watch } from '../../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription, textBetween } from '../../graphql/input.ts';
import { badInput, forbidden } from '../../platform/errors.ts';
import { escrowJobById, JobEventRef } from '../graphql.ts';
import { isEscrowId } from '../kinds.ts';
import { jobBoardTopic } from './events.ts';
import { EscrowJobRef, EscrowJobStateEnum, JobPostedRef } from './graphql.ts';
import { type EscrowJobView, escrowJobsByIds, listBoard } from './queries.ts';

/** The longest texts, in UTF-16 code units, and the longest checklist. */
const longest = { title: 200, jobType: 50, item: 200, checklist: 50 };

/** The id of an escrowed job. @throws PublicError FORBIDDEN when there is none of this id. */
async function knownJob(context: Context, id: string): Promise<string> {
  const job = isEscrowId(id) ? await escrowJobById(context, id) : undefined;
  if (!job) throw forbidden();
  return job.id;
}

/** An escrowed job that a command has just changed: read anew. */
async function changedJob({ services }: Context, id: string): Promise<EscrowJobView> {
  const [job] = await escrowJobsByIds(services.db, [id]);
  return job as EscrowJobView;
}

builder.queryField('jobBoard', (t) =>
  t.connection(
    {
      type: EscrowJobRef,
      authScopes: { credentials: true },
      description:
        'The board: the escrowed jobs of all, newest first. One whose time is just up may be found under its former state for a second. Errors: UNAUTHENTICATED, BAD_USER_INPUT.',
      args: { state: t.arg({ type: EscrowJobStateEnum, description: 'Only those in this state.' }) },
      resolve: async (_root, args, { services }) => {
        // Before the list is read: what it shows may be newer than the cursor, never older.
        const feedCursor = await services.feeds.log.cursor(jobBoardTopic);
        const connection = await listConnection<EscrowJobView>(
          args,
          (job) => job.id,
          (page) => listBoard(services.db, { state: args.state ?? undefined }, page),
        );
        return { ...connection, feedCursor };
      },
    },
    {
      name: 'EscrowJobConnection',
      description: 'A page of escrowed jobs.',
      fields: (f) => ({
        feedCursor: f.field({
          type: 'Cursor',
          description:
            'Where jobBoardUpdated and jobPosted stood at this read: query, then subscribe after it.',
          resolve: ({ feedCursor }) => feedCursor,
        }),
      }),
    },
    { name: 'EscrowJobEdge', description: 'An escrowed job in a list.' },
  ),
);

const key = { required: true, description: idempotencyKeyDescription } as const;
const jobId = { required: true, description: 'The id of the job.' } as const;

const PostJobInput = builder.inputType('PostJobInput', {
  description: 'A new escrowed job.',
  fields: (t) => ({
    title: t.string({ required: true, description: 'What is to be done; 1 to 200 characters.' }),
    jobType: t.string({ description: 'What kind of work it is; 1 to 50 characters.' }),
    paySats: t.field({
      type: 'Sats',
      required: true,
      description: 'What is paid for it; sats, at least 1. It leaves your wallet now.',
    }),
    payAmountUsd: t.float({ description: 'The pay in US dollars; for display only.' }),
    deadline: t.field({
      type: 'DateTime',
      required: true,
      description:
        'When the pay comes back unless the job is completed; in the future, at most a year ahead.',
    }),
    checklist: t.stringList({
      description: 'What belongs to it; at most 50 items of 1 to 200 characters.',
    }),
    idempotencyKey: t.string(key),
  }),
});

/** What the mutations of escrowed jobs answer. */
const escrowPayload = (name: string) =>
  builder.objectRef<{ readonly job: EscrowJobView }>(name).implement({
    description: 'The job that was changed.',
    fields: (t) => ({
      job: t.expose('job', { type: EscrowJobRef, description: 'The job as it is now.' }),
    }),
  });

function checklistIn(texts: readonly string[]): string[] {
  if (texts.length > longest.checklist)
    throw badInput('checklist', `A checklist has at most ${longest.checklist} items.`);
  return texts.map((text) => textBetween('checklist', text, 1, longest.item));
}

builder.mutationField('postJob', (t) =>
  t.field({
    type: escrowPayload('PostJobPayload'),
    authScopes: { user: true },
    description:
      'Puts a job on the board, and holds its pay. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, INSUFFICIENT_FUNDS, CONFLICT.',
    args: { input: t.arg({ type: PostJobInput, required: true, description: 'The job.' }) },
    resolve: async (_root, { input }, context) => {
      const { title, jobType, paySats, payAmountUsd, deadline, checklist } = input;
      if (paySats < 1n) throw badInput('paySats', 'The pay is at least 1 sat.');
      if (payAmountUsd != null && payAmountUsd < 0) throw badInput('payAmountUsd', 'No pay is below zero.');
      const posted = await context.services.escrowJobs.post(context.viewer, {
        title: textBetween('title', title, 1, longest.title),
        jobType: jobType == null ? null : textBetween('jobType', jobType, 1, longest.jobType),
        paySats,
        payAmountUsd: payAmountUsd ?? null,
        deadline,
        checklist: checklistIn(checklist ?? []),
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { job: await changedJob(context, posted.jobId) };
    },
  }),
);

const UpdateChecklistInput = builder.inputType('UpdateChecklistInput', {
  description: 'An item that is done, or not.',
  fields: (t) => ({
    jobId: t.id(jobId),
    itemId: t.id({ required: true, description: 'The id of the item.' }),
    completed: t.boolean({ required: true, description: 'Whether it is done.' }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('updateChecklist', (t) =>
  t.field({
    type: escrowPayload('UpdateChecklistPayload'),
    authScopes: { user: true },
    description:
      'Ticks or unticks an item of the checklist. The worker. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
    args: { input: t.arg({ type: UpdateChecklistInput, required: true, description: 'The item.' }) },
    resolve: async (_root, { input }, context) => {
      const id = await knownJob(context, input.jobId);
      await context.services.escrowJobs.check(context.viewer, {
        jobId: id,
        itemId: input.itemId,
        completed: input.completed,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { job: await changedJob(context, id) };
    },
  }),
);

const changes = {
  acceptJob: [
    'accept',
    'Takes a job on: of all who want it, one. Not its employer. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT (TAKEN, INVALID_STATE).',
  ],
  withdrawFromJob: [
    'withdraw',
    'Gives a job back: it is open again, and nothing of its checklist is ticked. The worker. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
  ],
  completeJob: [
    'complete',
    'Says that a job is done: its pay goes to the worker less the fee, 2 % unless configured otherwise. The employer. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
  ],
  cancelJob: [
    'cancel',
    'Takes back a job that nobody has taken on: all of its pay comes back. The employer. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
  ],
} as const;

for (const [name, [command, description]] of Object.entries(changes)) {
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const Input = builder.inputType(`${title}Input`, {
    description: 'Which job.',
    fields: (t) => ({ jobId: t.id(jobId), idempotencyKey: t.string(key) }),
  });
  const Payload = escrowPayload(`${title}Payload`);
  builder.mutationField(name, (t) =>
    t.field({
      type: Payload,
      authScopes: { user: true },
      description,
      args: { input: t.arg({ type: Input, required: true, description: 'Which job.' }) },
      resolve: async (_root, { input }, context) => {
        const id = await knownJob(context, input.jobId);
        await context.services.escrowJobs[command](context.viewer, {
          jobId: id,
          idempotencyKey: idempotencyKey(input.idempotencyKey),
        });
        return { job: await changedJob(context, id) };
      },
    }),
  );
}

const after = { type: 'Cursor', description: 'Everything behind this cursor first.' } as const;

builder.subscriptionField('jobBoardUpdated', (t) =>
  t.field({
    type: JobEventRef,
    authScopes: { credentials: true },
    description:
      'All that happens on the board; of its jobs the public fields. Live from now without `after`. Errors: UNAUTHENTICATED, BAD_USER_INPUT, CURSOR_EXPIRED.',
    args: { after: t.arg(after) },
    subscribe: (_root, args, context) =>
      watch(context, { topic: jobBoardTopic, after: args.after, view: { access: 'PUBLIC' } }),
    resolve: (delivery) => delivery,
  }),
);

builder.subscriptionField('jobPosted', (t) =>
  t.field({
    type: JobPostedRef,
    authScopes: { credentials: true },
    description:
      'The new jobs on the board. Live from now without `after`. Its cursors are those of jobBoardUpdated. Errors: UNAUTHENTICATED, BAD_USER_INPUT, CURSOR_EXPIRED.',
    args: { after: t.arg(after) },
    subscribe: (_root, args, context) =>
      watch(context, {
        topic: jobBoardTopic,
        after: args.after,
        types: ['JobPosted'],
        view: { access: 'PUBLIC' },
      }),
    resolve: (delivery) => delivery,
  }),
);
