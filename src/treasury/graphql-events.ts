import { builder } from '../graphql/builder.ts';
import { EventRef, fact, SnapshotReasonEnum } from '../graphql/events.ts';
import { loadUser, UserRef } from '../graphql/users.ts';
import type { Delivery } from '../platform/feed/rendering.ts';
import type { TreasuryEventType, TreasuryOrigin } from './events.ts';
import { findProposal, loadTreasury, ProposalRef, TreasuryRef } from './graphql.ts';

export const TreasuryEventRef = builder.interfaceRef<Delivery>('TreasuryEvent').implement({
  description: 'Something that happened to a treasury.',
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    treasury: t.field({
      type: TreasuryRef,
      description: 'The treasury when the event is executed: never older than the event, perhaps newer.',
      resolve: (delivery, _args, context) => loadTreasury(context, fact<TreasuryOrigin>(delivery, 'origin')),
    }),
  }),
});

/** An event type of the treasury; its name is that of the log row. */
const treasuryEventRef = (name: TreasuryEventType) => builder.objectRef<Delivery>(name);

const interfaces = [TreasuryEventRef, EventRef];

treasuryEventRef('TreasurySnapshot').implement({
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

const ofProposals = {
  ProposalCreated: 'A member proposes to spend.',
  ProposalExecuted: 'A proposal was paid.',
  ProposalExpired: 'A proposal was not executed in time.',
} as const;

for (const [name, description] of Object.entries(ofProposals))
  treasuryEventRef(name as keyof typeof ofProposals).implement({
    description,
    interfaces,
    fields: (t) => ({
      proposal: t.field({
        type: ProposalRef,
        description: 'The proposal when the event is executed.',
        resolve: (delivery, _args, context) => findProposal(context, fact<string>(delivery, 'proposalId')),
      }),
    }),
  });

treasuryEventRef('ProposalApproved').implement({
  description: 'A member has approved a proposal.',
  interfaces,
  fields: (t) => ({
    proposal: t.field({
      type: ProposalRef,
      description: 'The proposal when the event is executed.',
      resolve: (delivery, _args, context) => findProposal(context, fact<string>(delivery, 'proposalId')),
    }),
    approver: t.field({
      type: UserRef,
      description: 'Who has approved it.',
      resolve: (delivery, _args, context) => loadUser(context, fact<string>(delivery, 'approver')),
    }),
    approvalsCount: t.int({
      description: 'How many had until then, this included.',
      resolve: (delivery) => fact<number>(delivery, 'approvalsCount'),
    }),
    threshold: t.int({
      description: 'How many it takes; 0 where the chain does not say.',
      resolve: (delivery) => fact<number>(delivery, 'threshold'),
    }),
  }),
});

treasuryEventRef('ProposalReorganised').implement({
  description:
    'A reorganisation of the chain undid an event. The proposal is as if it had not happened. Mirrored proposals only.',
  interfaces,
  fields: (t) => ({
    proposal: t.field({
      type: ProposalRef,
      description: 'The proposal when the event is executed.',
      resolve: (delivery, _args, context) => findProposal(context, fact<string>(delivery, 'proposalId')),
    }),
    rolledBack: t.id({
      description: 'The id of the event that was undone.',
      resolve: (delivery) => fact<string>(delivery, 'rolledBack'),
    }),
  }),
});

treasuryEventRef('TreasuryBalanceUpdated').implement({
  description: 'Sats came in or went out.',
  interfaces,
  fields: (t) => ({
    newBalanceSats: t.field({
      type: 'Sats',
      description: 'What is in it since; sats.',
      resolve: (delivery) => fact<number>(delivery, 'newBalanceSats'),
    }),
    changeSats: t.field({
      type: 'Sats',
      description: 'How much came in; negative when it went out; sats.',
      resolve: (delivery) => fact<number>(delivery, 'changeSats'),
    }),
  }),
});

treasuryEventRef('TreasuryMembersChanged').implement({
  description: 'Others decide from now on, or another number of them.',
  interfaces,
  fields: (t) => ({
    memberCount: t.int({
      description: 'How many decide.',
      resolve: (delivery) => fact<number>(delivery, 'memberCount'),
    }),
    threshold: t.int({
      description: 'How many approvals a new proposal takes.',
      resolve: (delivery) => fact<number>(delivery, 'threshold'),
    }),
  }),
});
