import { activityTopic } from '../../platform/auth/users.ts';
import type { NewEvent } from '../../platform/log/insertion.ts';
import { type Sats, satsToJson } from '../sats.ts';
import type { Payout } from './queries.ts';

/** What a user is told of how their payout has ended. */
export function payoutEvent(
  { id }: Payout,
  userId: string,
  type: 'PayoutSettled' | 'PayoutFailed',
  balanceAfter: Sats,
): NewEvent {
  return {
    type,
    facts: { payoutId: id, balanceAfter: satsToJson(balanceAfter) },
    topics: [activityTopic(userId)],
  };
}
