import type { ChainEvent } from '../inbox/chainhook.ts';
import { maximumSats, type Sats } from '../money/sats.ts';

/** A proposal as its events on the chain make it; parties are principals. */
export interface ChainProposal<Event extends ChainEvent> {
  /** The event that has made it. */
  readonly proposed: Event;
  readonly proposer: string;
  readonly recipient: string;
  readonly amountSats: Sats;
  readonly description: string;
  readonly approvals: readonly { readonly approver: string; readonly timestamp: number }[];
  /** The event that has paid it, once there is one. */
  readonly executed: Event | undefined;
}

/** What an event of the chain has done to a proposal: as it is behind the event. */
export interface ChainStep<Event extends ChainEvent> {
  readonly event: Event;
  readonly proposal: ChainProposal<Event>;
}

const ofProposals = [
  'treasury-withdrawal-proposed',
  'treasury-withdrawal-approved',
  'treasury-withdrawal-executed',
];

/** Those that say what the treasury holds behind them. */
const ofBalance = [
  'treasury-fee-collected',
  'treasury-cancellation-fee-collected',
  'treasury-marketplace-fee-collected',
  'treasury-withdrawal',
  'treasury-distribution',
];

const textIn = ({ value }: ChainEvent, name: string): string | undefined => {
  const text = value[name];
  return typeof text === 'string' ? text : undefined;
};

const satsIn = ({ value }: ChainEvent, name: string): Sats | undefined => {
  const sats = value[name];
  return typeof sats === 'bigint' && sats >= 0n && sats <= maximumSats ? sats : undefined;
};

/** What an event says that the treasury holds behind it; undefined when it does not say. */
export function balanceIn(event: ChainEvent): Sats | undefined {
  return ofBalance.includes(event.name) ? satsIn(event, 'new-balance') : undefined;
}

/** Which proposal of a contract an event is about, by its number; one about the balance stands for itself. */
export function entityOfTreasury(event: ChainEvent): string | undefined {
  if (balanceIn(event) !== undefined) return `${event.contract}@${event.txHash}:${event.eventIndex}`;
  const number = event.value['proposal-id'];
  return ofProposals.includes(event.name) && typeof number === 'bigint' && number >= 0n
    ? `${event.contract}/${number}`
    : undefined;
}

function after<Event extends ChainEvent>(
  proposal: ChainProposal<Event> | undefined,
  event: Event,
): ChainProposal<Event> | undefined {
  if (event.name === 'treasury-withdrawal-proposed') {
    const [proposer, recipient] = [textIn(event, 'proposer'), textIn(event, 'recipient')];
    const amountSats = satsIn(event, 'amount');
    if (proposal || !proposer || !recipient || !amountSats) return undefined;
    const description = textIn(event, 'description') ?? '';
    return {
      proposed: event,
      proposer,
      recipient,
      amountSats,
      description,
      approvals: [],
      executed: undefined,
    };
  }
  if (!proposal || proposal.executed) return undefined;
  if (event.name === 'treasury-withdrawal-executed') return { ...proposal, executed: event };
  const approver = textIn(event, 'approver');
  if (!approver || proposal.approvals.some((each) => each.approver === approver)) return undefined;
  return { ...proposal, approvals: [...proposal.approvals, { approver, timestamp: event.timestamp }] };
}

/** What the events of one proposal, in the order of the chain, make of it. What makes no sense does nothing. */
export function replay<Event extends ChainEvent>(history: readonly Event[]): ChainStep<Event>[] {
  const steps: ChainStep<Event>[] = [];
  for (const event of history) {
    const proposal = after(steps.at(-1)?.proposal, event);
    if (proposal) steps.push({ event, proposal });
  }
  return steps;
}
