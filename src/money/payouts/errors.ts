import { badInput, conflict, unavailable } from '../../platform/errors.ts';
import type { Sats } from '../sats.ts';

const retryAfterMs = 5_000;

/** Everything that a payout is refused for, and what the caller is told. */
export const payoutErrors = {
  noPayer: () => unavailable('Nothing is paid out here for now.', 60_000),
  backendAway: (cause: unknown) => unavailable('The Lightning node does not answer.', retryAfterMs, cause),
  unreadable: () => badInput('bolt11', 'This is no BOLT11 invoice.'),
  noAmount: () => badInput('bolt11', 'The invoice must say its amount.'),
  expired: () => badInput('bolt11', 'The invoice has expired.'),
  otherNetwork: (network: string) =>
    badInput('bolt11', `The invoice must be of this network: ln${network}….`),
  aboveLimit: (limit: Sats) => badInput('bolt11', `At most ${limit} sats are paid out at a time.`),
  repeated: () =>
    conflict('INVALID_STATE', 'This invoice was asked for before: a payout is made of a new one.'),
  notOpen: () => conflict('INVALID_STATE', 'The invoice is not open any more.'),
};
