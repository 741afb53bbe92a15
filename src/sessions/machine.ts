import type { Sats } from '../money/sats.ts';

/** Where a prepaid session stands. */
export const sessionStates = ['AWAITING_PAYMENT', 'ACTIVE', 'PAUSED', 'EXPIRED', 'CLOSED'] as const;

export type SessionState = (typeof sessionStates)[number];

/** What can happen to a session. */
export type SessionAction = 'DEPOSIT_PAID' | 'TOP_UP' | 'RUN_LOW' | 'CLOSE' | 'EXPIRE';

const transitions: Readonly<Record<SessionState, Partial<Record<SessionAction, SessionState>>>> = {
  AWAITING_PAYMENT: { DEPOSIT_PAID: 'ACTIVE', CLOSE: 'CLOSED', EXPIRE: 'EXPIRED' },
  ACTIVE: { TOP_UP: 'ACTIVE', RUN_LOW: 'PAUSED', CLOSE: 'CLOSED', EXPIRE: 'EXPIRED' },
  PAUSED: { TOP_UP: 'ACTIVE', CLOSE: 'CLOSED', EXPIRE: 'EXPIRED' },
  EXPIRED: {},
  CLOSED: {},
};

/** The state that an action leads to; undefined where it does not fit. */
export function nextState(state: SessionState, action: SessionAction): SessionState | undefined {
  return transitions[state][action];
}

/** The state after a top-up: a paused session goes on once its balance reaches the minimum. */
export function afterTopUp(state: SessionState, balanceAfter: Sats, minimum: Sats): SessionState | undefined {
  return state === 'PAUSED' && balanceAfter < minimum ? 'PAUSED' : nextState(state, 'TOP_UP');
}

/** Whether a debit leaves too little to go on. */
export function runsLow(balanceAfter: Sats, minimum: Sats): boolean {
  return balanceAfter < minimum;
}
