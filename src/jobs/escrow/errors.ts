import { badInput, conflict } from '../../platform/errors.ts';
import type { EscrowJobAction, EscrowJobState } from './machine.ts';

/** Everything that a command of escrowed jobs refuses, and what the caller is told. */
export const escrowErrors = {
  wrongState: (state: EscrowJobState, action: EscrowJobAction) =>
    action === 'ACCEPT' && (state === 'ACCEPTED' || state === 'COMPLETED')
      ? conflict('TAKEN', 'Another worker has taken the job.')
      : conflict('INVALID_STATE', `The job is ${state}.`),
  past: () => conflict('INVALID_STATE', 'The deadline has passed: the pay goes back.'),
  deadline: () => badInput('deadline', 'A deadline is in the future, at most a year ahead.'),
  unknownItem: () => badInput('itemId', 'The checklist has no such item.'),
};
