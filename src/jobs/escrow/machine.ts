import type { Sats } from '../../money/sats.ts';

/** Where an escrowed job stands. */
export const escrowJobStates = ['OPEN', 'ACCEPTED', 'COMPLETED', 'REFUNDED', 'CANCELLED'] as const;

export type EscrowJobState = (typeof escrowJobStates)[number];

/** What can happen to an escrowed job; EXPIRE is what its deadline does. */
export type EscrowJobAction = 'ACCEPT' | 'WITHDRAW' | 'CHECK' | 'COMPLETE' | 'CANCEL' | 'EXPIRE';

const transitions: Readonly<Record<EscrowJobState, Partial<Record<EscrowJobAction, EscrowJobState>>>> = {
  OPEN: { ACCEPT: 'ACCEPTED', CANCEL: 'CANCELLED', EXPIRE: 'REFUNDED' },
  ACCEPTED: { WITHDRAW: 'OPEN', CHECK: 'ACCEPTED', COMPLETE: 'COMPLETED', EXPIRE: 'REFUNDED' },
  COMPLETED: {},
  REFUNDED: {},
  CANCELLED: {},
};

/** The state that an action leads to; undefined where it does not fit. */
export function nextState(state: EscrowJobState, action: EscrowJobAction): EscrowJobState | undefined {
  return transitions[state][action];
}

/** Whether a job goes on: its pay is held. */
export function isOpen(state: EscrowJobState): boolean {
  return nextState(state, 'EXPIRE') !== undefined;
}

/** Whether its time is up, so that nothing is left to happen but that the pay goes back. */
export function isPast(deadline: Date, now: number): boolean {
  return deadline.getTime() <= now;
}

/** What of the pay is the worker's, and what the platform's: floor(pay × basis points / 10,000); sats. */
export function splitPay(pay: Sats, feeBasisPoints: number): { readonly paid: Sats; readonly fee: Sats } {
  const fee = (pay * BigInt(feeBasisPoints)) / 10_000n;
  return { paid: pay - fee, fee };
}

/** One of the things that belong to a job. */
export interface ChecklistItem {
  /** Within its job. */
  readonly id: string;
  readonly text: string;
  readonly completed: boolean;
}

export type Checklist = readonly ChecklistItem[];

/** A checklist of which nothing is done. */
export function newChecklist(texts: readonly string[]): Checklist {
  return texts.map((text, index) => ({ id: `${index + 1}`, text, completed: false }));
}

/** The checklist with one item ticked or unticked; undefined when it has no such item. */
export function withItem(checklist: Checklist, id: string, completed: boolean): Checklist | undefined {
  if (!checklist.some((item) => item.id === id)) return undefined;
  return checklist.map((item) => (item.id === id ? { ...item, completed } : item));
}

/** The checklist as whoever comes next finds it. */
export function unticked(checklist: Checklist): Checklist {
  return checklist.map((item) => ({ ...item, completed: false }));
}

/** How much of a checklist is done: floor(done × 100 / items), so 100 only when all is; 0 when there are none. */
export function progressPercent(checklist: Checklist): number {
  const done = checklist.filter(({ completed }) => completed).length;
  return checklist.length === 0 ? 0 : Math.floor((done * 100) / checklist.length);
}
