import { badInput, conflict, PublicError } from '../platform/errors.ts';
import type { SessionState } from './machine.ts';

/** Everything that a session command refuses, and what the caller is told. */
export const sessionErrors = {
  wrongState: (state: SessionState) => conflict('INVALID_STATE', `The session is ${state}.`),
  paused: () => new PublicError('INSUFFICIENT_FUNDS', 'The session is paused: its balance is too low.'),
  amountOutOfRange: (argument: string, minimum: bigint, maximum: bigint) =>
    badInput(argument, `The amount must be ${minimum} to ${maximum} sats.`),
};
