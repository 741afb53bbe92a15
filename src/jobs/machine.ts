/** Where an agent job stands. */
export const agentJobStates = [
  'AWAITING_EVAL_PAYMENT',
  'EVALUATING',
  'AWAITING_WORK_PAYMENT',
  'EXECUTING',
  'COMPLETE',
  'REJECTED',
  'FAILED',
  'EXPIRED',
] as const;

export type AgentJobState = (typeof agentJobStates)[number];

/** What can happen to an agent job. */
export type AgentJobAction = 'EVAL_PAID' | 'ACCEPT' | 'REJECT' | 'WORK_PAID' | 'COMPLETE' | 'FAIL' | 'EXPIRE';

const transitions: Readonly<Record<AgentJobState, Partial<Record<AgentJobAction, AgentJobState>>>> = {
  AWAITING_EVAL_PAYMENT: { EVAL_PAID: 'EVALUATING', EXPIRE: 'EXPIRED' },
  EVALUATING: { ACCEPT: 'AWAITING_WORK_PAYMENT', REJECT: 'REJECTED', FAIL: 'FAILED' },
  AWAITING_WORK_PAYMENT: { WORK_PAID: 'EXECUTING', EXPIRE: 'EXPIRED' },
  EXECUTING: { COMPLETE: 'COMPLETE', FAIL: 'FAILED' },
  COMPLETE: {},
  REJECTED: {},
  FAILED: {},
  EXPIRED: {},
};

/** The state that an action leads to; undefined where it does not fit. */
export function nextState(state: AgentJobState, action: AgentJobAction): AgentJobState | undefined {
  return transitions[state][action];
}

/** Whether the platform's agent has something to do. */
export function isAgentDue(state: AgentJobState): boolean {
  return state === 'EVALUATING' || state === 'EXECUTING';
}
