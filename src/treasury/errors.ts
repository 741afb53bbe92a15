import { badInput, conflict, PublicError } from '../platform/errors.ts';
import type { ProposalState } from './machine.ts';

/** Everything that a treasury command refuses, and what the caller is told. */
export const treasuryErrors = {
  wrongState: (state: ProposalState) => conflict('INVALID_STATE', `The proposal is ${state}.`),
  approvedAlready: () => conflict('INVALID_STATE', 'You have approved this proposal.'),
  locked: (until: Date) =>
    conflict('INVALID_STATE', `The proposal cannot be executed before ${until.toISOString()}.`),
  members: (message: string) => badInput('memberIds', message),
  threshold: (most: number) => badInput('threshold', `The threshold must be 1 to ${most}.`),
  mirrored: () =>
    new PublicError('FORBIDDEN', 'The proposal is mirrored from the chain, and is changed only there.', {
      reason: 'MIRRORED',
    }),
};
