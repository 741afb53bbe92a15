import type { Entry } from '../money/ledger.ts';
import { type Sats, satsToJson } from '../money/sats.ts';
import { activityTopic } from '../platform/auth/users.ts';
import type { Facts } from '../platform/log/event.ts';
import type { NewEvent } from '../platform/log/insertion.ts';

/** The feed of all that happens to the treasury. */
export const treasuryTopic = 'treasury';

/** SATWIRE: its sats are here; STACKS: mirrored from the chain. */
export type TreasuryOrigin = 'SATWIRE' | 'STACKS';

/** The names of the events of the treasury, which are those of their GraphQL types. */
export type TreasuryEventType =
  | 'TreasurySnapshot'
  | 'ProposalCreated'
  | 'ProposalApproved'
  | 'ProposalExecuted'
  | 'ProposalExpired'
  | 'ProposalReorganised'
  | 'TreasuryBalanceUpdated'
  | 'TreasuryMembersChanged';

function treasuryEvent(
  type: TreasuryEventType,
  facts: Facts & { readonly origin: TreasuryOrigin },
  users: readonly string[] = [],
): NewEvent {
  return { type, facts, topics: [treasuryTopic, ...new Set(users.map(activityTopic))] };
}

/** What an event needs to know of its proposal; parties are users. */
export interface EventProposal {
  readonly id: string;
  readonly origin: TreasuryOrigin;
  readonly proposer: string;
  readonly recipient: string;
}

function proposalEvent(
  { id, origin, proposer, recipient }: EventProposal,
  type: TreasuryEventType,
  facts: Facts = {},
): NewEvent {
  return treasuryEvent(type, { origin, proposalId: id, ...facts }, [proposer, recipient]);
}

export const treasuryEvents = {
  created: (proposal: EventProposal) => proposalEvent(proposal, 'ProposalCreated'),
  approved: (proposal: EventProposal, approver: string, approvalsCount: number, threshold: number) =>
    proposalEvent(proposal, 'ProposalApproved', { approver, approvalsCount, threshold }),
  executed: (proposal: EventProposal) => proposalEvent(proposal, 'ProposalExecuted'),
  expired: (proposal: EventProposal) => proposalEvent(proposal, 'ProposalExpired'),
  /** A reorganisation of the chain undid an event. */
  reorganised: (proposal: EventProposal, rolledBack: string) =>
    proposalEvent(proposal, 'ProposalReorganised', { rolledBack }),
  membersChanged: (memberCount: number, threshold: number) =>
    treasuryEvent('TreasuryMembersChanged', { origin: 'SATWIRE', memberCount, threshold }),
  balanceUpdated: (origin: TreasuryOrigin, balance: Sats, change: Sats) =>
    treasuryEvent('TreasuryBalanceUpdated', {
      origin,
      newBalanceSats: satsToJson(balance),
      changeSats: satsToJson(change),
    }),
};

/** What is told of a transfer into or out of the treasury; undefined for other accounts. */
export function treasuryEntryEvent({ account, change, balanceAfter }: Entry): NewEvent | undefined {
  return account === 'treasury' ? treasuryEvents.balanceUpdated('SATWIRE', balanceAfter, change) : undefined;
}
