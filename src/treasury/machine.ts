/** Where a proposal stands. */
export const proposalStates = ['OPEN', 'APPROVED', 'EXECUTED', 'REJECTED', 'EXPIRED'] as const;

export type ProposalState = (typeof proposalStates)[number];

/** What can happen to a proposal. */
export type ProposalAction = 'APPROVE' | 'EXECUTE' | 'EXPIRE';

const allowed: Readonly<Record<ProposalState, readonly ProposalAction[]>> = {
  OPEN: ['APPROVE', 'EXPIRE'],
  APPROVED: ['EXECUTE', 'EXPIRE'],
  EXECUTED: [],
  REJECTED: [],
  EXPIRED: [],
};

/** Whether an action fits a state. */
export function allows(state: ProposalState, action: ProposalAction): boolean {
  return allowed[state].includes(action);
}

/** What an approval makes of an open proposal: with as many as the threshold it is APPROVED. */
export function afterApproval(approvals: number, threshold: number): ProposalState {
  return approvals >= threshold ? 'APPROVED' : 'OPEN';
}
