import { builder } from '../graphql/builder.ts';
import { listConnection } from '../graphql/connections.ts';
import type { Context } from '../graphql/context.ts';
import { watch } from '../graphql/events.ts';
import { idempotencyKey, idempotencyKeyDescription, textBetween } from '../graphql/input.ts';
import { OriginEnum } from '../graphql/origin.ts';
import { badInput, forbidden } from '../platform/errors.ts';
import { isId } from '../platform/ids.ts';
import { treasuryTopic } from './events.ts';
import { findProposal, ProposalRef, TreasuryRef } from './graphql.ts';
import { TreasuryEventRef } from './graphql-events.ts';
import {
  listProposals,
  type Proposal,
  proposalsByIds,
  type TreasuryView,
  treasuriesByOrigin,
} from './queries.ts';

/** The longest description, in UTF-16 code units. */
const longestDescription = 2_000;

/** The longest timelock: a year; seconds. */
const longestTimelock = 365 * 86_400;

/** A treasury read anew. */
async function presentTreasury({ services }: Context, origin: TreasuryView['origin']): Promise<TreasuryView> {
  const [treasury] = await treasuriesByOrigin(services.db, [origin]);
  return treasury as TreasuryView;
}

/** A proposal that a command has just changed: read anew. */
async function changedProposal({ services }: Context, id: string): Promise<Proposal> {
  const [proposal] = await proposalsByIds(services.db, [id]);
  return proposal as Proposal;
}

builder.queryField('treasury', (t) =>
  t.field({
    type: TreasuryRef,
    authScopes: { user: true },
    description: 'A treasury. Errors: UNAUTHENTICATED, FORBIDDEN (without a token of a user).',
    args: {
      origin: t.arg({
        type: OriginEnum,
        required: true,
        defaultValue: 'SATWIRE',
        description: 'Where it is decided.',
      }),
    },
    resolve: (_root, { origin }, context) => presentTreasury(context, origin),
  }),
);

builder.queryField('proposals', (t) =>
  t.connection(
    {
      type: ProposalRef,
      authScopes: { user: true },
      description: 'Proposals, newest first. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
      args: { origin: t.arg({ type: OriginEnum, description: 'Only those decided there.' }) },
      resolve: (_root, args, { services }) =>
        listConnection<Proposal>(
          args,
          (proposal) => proposal.id,
          (page) => listProposals(services.db, { origin: args.origin ?? undefined }, page),
        ),
    },
    { name: 'ProposalConnection', description: 'A page of proposals.' },
    { name: 'ProposalEdge', description: 'A proposal in a list.' },
  ),
);

const key = { required: true, description: idempotencyKeyDescription } as const;

const SetTreasuryMembersInput = builder.inputType('SetTreasuryMembersInput', {
  description: 'Who decides about the treasury.',
  fields: (t) => ({
    memberIds: t.idList({ required: true, description: 'The users who decide: 1 to 50, each once.' }),
    threshold: t.int({
      required: true,
      description: 'How many approvals a new proposal takes, 1 to the number of members.',
    }),
    timelockSeconds: t.int({
      description: 'How long a new proposal waits once it is approved; seconds, 0 unless given.',
    }),
    idempotencyKey: t.string(key),
  }),
});

const SetTreasuryMembersPayload = builder
  .objectRef<{ readonly treasury: TreasuryView }>('SetTreasuryMembersPayload')
  .implement({
    description: 'The treasury that was changed.',
    fields: (t) => ({
      treasury: t.expose('treasury', { type: TreasuryRef, description: 'The treasury as it is now.' }),
    }),
  });

builder.mutationField('setTreasuryMembers', (t) =>
  t.field({
    type: SetTreasuryMembersPayload,
    authScopes: { admin: true },
    description:
      'Says who decides about the treasury; proposals keep the threshold that they were made under. ADMIN. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
    args: { input: t.arg({ type: SetTreasuryMembersInput, required: true, description: 'Who.' }) },
    resolve: async (_root, { input }, context) => {
      const timelockSeconds = input.timelockSeconds ?? 0;
      if (timelockSeconds < 0 || timelockSeconds > longestTimelock)
        throw badInput('timelockSeconds', `timelockSeconds must be 0 to ${longestTimelock}.`);
      for (const id of input.memberIds)
        if (!isId('usr', id)) throw badInput('memberIds', 'A member is no user.');
      await context.services.treasury.setMembers(context.viewer, {
        memberIds: input.memberIds,
        threshold: input.threshold,
        timelockSeconds,
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { treasury: await presentTreasury(context, 'SATWIRE') };
    },
  }),
);

/** What the mutations of proposals answer. */
const proposalPayload = (name: string) =>
  builder.objectRef<{ readonly proposal: Proposal }>(name).implement({
    description: 'The proposal that was changed.',
    fields: (t) => ({
      proposal: t.expose('proposal', { type: ProposalRef, description: 'The proposal as it is now.' }),
    }),
  });

const CreateProposalInput = builder.inputType('CreateProposalInput', {
  description: 'What the treasury is to be spent on.',
  fields: (t) => ({
    recipientId: t.id({ required: true, description: 'The user who is to be paid.' }),
    amountSats: t.field({ type: 'Sats', required: true, description: 'How much; sats, at least 1.' }),
    description: t.string({ required: true, description: 'What for; 1 to 2,000 characters.' }),
    idempotencyKey: t.string(key),
  }),
});

builder.mutationField('createProposal', (t) =>
  t.field({
    type: proposalPayload('CreateProposalPayload'),
    authScopes: { user: true },
    description:
      'Proposes to spend. A member of the treasury; it is approved by `approveProposal`, also by the proposer. Errors: UNAUTHENTICATED, FORBIDDEN (also for no such recipient), BAD_USER_INPUT, CONFLICT.',
    args: { input: t.arg({ type: CreateProposalInput, required: true, description: 'The proposal.' }) },
    resolve: async (_root, { input }, context) => {
      if (!isId('usr', input.recipientId)) throw forbidden();
      if (input.amountSats < 1n) throw badInput('amountSats', 'A proposal is at least 1 sat.');
      const { proposalId } = await context.services.treasury.propose(context.viewer, {
        recipientId: input.recipientId,
        amountSats: input.amountSats,
        description: textBetween('description', input.description, 1, longestDescription),
        idempotencyKey: idempotencyKey(input.idempotencyKey),
      });
      return { proposal: await changedProposal(context, proposalId) };
    },
  }),
);

const votes = {
  approveProposal: [
    'approve',
    'Approves a proposal, once; with as many approvals as its threshold it is APPROVED, and its timelock begins. A member of the treasury. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, CONFLICT.',
  ],
  executeProposal: [
    'execute',
    'Has an approved proposal paid, once its timelock is over. A member of the treasury. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT, INSUFFICIENT_FUNDS (it stays APPROVED), CONFLICT.',
  ],
} as const;

for (const [name, [command, description]] of Object.entries(votes)) {
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const Input = builder.inputType(`${title}Input`, {
    description: 'Which proposal.',
    fields: (t) => ({
      proposalId: t.id({ required: true, description: 'The id of the proposal.' }),
      idempotencyKey: t.string(key),
    }),
  });
  const Payload = proposalPayload(`${title}Payload`);
  builder.mutationField(name, (t) =>
    t.field({
      type: Payload,
      authScopes: { user: true },
      description,
      args: { input: t.arg({ type: Input, required: true, description: 'Which proposal.' }) },
      resolve: async (_root, { input }, context) => {
        const { id } = await findProposal(context, input.proposalId);
        await context.services.treasury[command](context.viewer, {
          proposalId: id,
          idempotencyKey: idempotencyKey(input.idempotencyKey),
        });
        return { proposal: await changedProposal(context, id) };
      },
    }),
  );
}

builder.subscriptionField('treasuryUpdated', (t) =>
  t.field({
    type: TreasuryEventRef,
    authScopes: { user: true },
    description:
      'All that happens to the treasury here, and to the mirrored one. Without `after` the present state first. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
    args: { after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }) },
    subscribe: (_root, { after }, context) =>
      watch(context, {
        topic: treasuryTopic,
        after,
        snapshot: { type: 'TreasurySnapshot', facts: { origin: 'SATWIRE' } },
        view: { access: 'PUBLIC' },
      }),
    resolve: (delivery) => delivery,
  }),
);
