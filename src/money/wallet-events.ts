import { activityTopic } from '../platform/auth/users.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import type { Entry } from './ledger.ts';
import { satsToJson } from './sats.ts';

const prefix = 'wallet:';

/** What a user is told of a transfer into or out of their wallet; undefined for other accounts. */
export function walletEvent({ account, change, balanceAfter, reason }: Entry): NewEvent | undefined {
  if (!account.startsWith(prefix)) return undefined;
  return {
    type: change > 0n ? 'WalletCredited' : 'WalletDebited',
    facts: {
      amountSats: satsToJson(change > 0n ? change : -change),
      balanceAfter: satsToJson(balanceAfter),
      reason,
    },
    topics: [activityTopic(account.slice(prefix.length))],
  };
}
