import { badInput, conflict, PublicError, unavailable } from '../platform/errors.ts';
import type { StreamState } from './machine.ts';

/** Everything that a stream command refuses, and what the caller is told. */
export const streamErrors = {
  wrongState: (state: StreamState) => conflict('INVALID_STATE', `The stream is ${state}.`),
  listed: () => conflict('LISTED', 'The stream is listed: cancel the listing first.'),
  nothingVested: () =>
    conflict('INVALID_STATE', 'Nothing has vested that was not paid out: there is nothing to settle.'),
  moreThanVested: () =>
    new PublicError('INSUFFICIENT_FUNDS', 'Less has vested and is not paid out than the amount.'),
  mirrored: () =>
    new PublicError('FORBIDDEN', 'The stream is mirrored from the chain, and is changed only there.', {
      reason: 'MIRRORED',
    }),
  ownRecipient: () => badInput('recipientId', 'A stream goes to somebody else.'),
  schedule: (argument: string, message: string) => badInput(argument, message),
  noChain: () => unavailable('No block of the chain was seen yet, so nothing can vest by blocks.', 60_000),
};
