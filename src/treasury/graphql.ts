import { builder } from '../graphql/builder.ts';
import type { Context } from '../graphql/context.ts';
import { load } from '../graphql/loaders.ts';
import { NodeRef, registerNode } from '../graphql/node.ts';
import { OriginEnum } from '../graphql/origin.ts';
import { loadUser, UserRef } from '../graphql/users.ts';
import { forbidden, unauthenticated } from '../platform/errors.ts';
import { isId } from '../platform/ids.ts';
import { encodeCursor } from '../platform/log/cursor.ts';
import { type TreasuryOrigin, treasuryTopic } from './events.ts';
import { type ProposalState, proposalStates } from './machine.ts';
import { type Proposal, proposalsByIds, type TreasuryView, treasuriesByOrigin } from './queries.ts';

const stateDescriptions: Record<ProposalState, string> = {
  OPEN: 'It waits for approvals.',
  APPROVED: 'It can be executed once its timelock is over.',
  EXECUTED: 'It was paid.',
  REJECTED: 'A reorganisation of the chain has undone it. Mirrored proposals only.',
  EXPIRED: 'Nobody has executed it in time.',
};

const ProposalStateEnum = builder.enumType('ProposalState', {
  description: 'Where a proposal stands.',
  values: Object.fromEntries(
    proposalStates.map((state) => [state, { description: stateDescriptions[state] }]),
  ) as Record<ProposalState, { description: string }>,
});

/** The treasury of an origin. */
export const loadTreasury = async (context: Context, origin: TreasuryOrigin): Promise<TreasuryView> =>
  (await load(context, treasuriesByOrigin, (row) => row.origin, origin)) as TreasuryView;

export const TreasuryRef = builder.objectRef<TreasuryView>('Treasury').implement({
  description: "What the platform's fees have come to, spent by vote. Shown to every user.",
  fields: (t) => ({
    origin: t.expose('origin', { type: OriginEnum, description: 'Where it is decided.' }),
    balanceSats: t.expose('balanceSats', { type: 'Sats', description: 'What is in it; sats.' }),
    members: t.field({
      type: [UserRef],
      description: 'Who decides; nobody where the chain does not say.',
      resolve: ({ members }, _args, context) => Promise.all(members.map((id) => loadUser(context, id))),
    }),
    threshold: t.exposeInt('threshold', {
      description: 'How many approvals a new proposal takes; 0 where the chain does not say.',
    }),
    cursor: t.field({
      type: 'Cursor',
      description: 'Where treasuryUpdated stood at this read: query, then subscribe after it.',
      resolve: ({ feedEpoch, feedHead }) =>
        encodeCursor({ topic: treasuryTopic, epoch: feedEpoch, seq: Number(feedHead) }),
    }),
  }),
});

/** A proposal by its id. */
export async function findProposal(context: Context, id: string): Promise<Proposal> {
  const proposal = isId('prp', id) ? await load(context, proposalsByIds, (row) => row.id, id) : undefined;
  if (!proposal) throw forbidden();
  return proposal;
}

registerNode('prp', 'Proposal', (context, id) => {
  if (!context.viewer.user) throw context.viewer.objects.size > 0 ? forbidden() : unauthenticated();
  return findProposal(context, id);
});

export const ProposalRef = builder.objectRef<Proposal>('Proposal').implement({
  description: 'What the treasury is to be spent on. Shown to every user.',
  interfaces: [NodeRef],
  fields: (t) => ({
    state: t.expose('state', { type: ProposalStateEnum, description: 'Where it stands.' }),
    origin: t.expose('origin', { type: OriginEnum, description: 'Where it is decided.' }),
    proposer: t.field({
      type: UserRef,
      description: 'Who has proposed it.',
      resolve: ({ proposer }, _args, context) => loadUser(context, proposer),
    }),
    recipient: t.field({
      type: UserRef,
      description: 'Who is to be paid.',
      resolve: ({ recipient }, _args, context) => loadUser(context, recipient),
    }),
    amountSats: t.expose('amountSats', { type: 'Sats', description: 'How much; sats.' }),
    description: t.exposeString('description', { description: 'What for.' }),
    approvals: t.field({
      type: [UserRef],
      description: 'Who has approved it, in the order of the approvals.',
      resolve: ({ approvers }, _args, context) => Promise.all(approvers.map((id) => loadUser(context, id))),
    }),
    threshold: t.exposeInt('threshold', {
      description: 'How many approvals it takes, as when it was made; 0 where the chain does not say.',
    }),
    timelockUntil: t.expose('timelockUntil', {
      type: 'DateTime',
      nullable: true,
      description: 'Before this it cannot be executed; null without approvals enough, or a timelock.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it expires unless it is executed; null where the chain does not say.',
    }),
  }),
});
