import { entityEventKey, type MirroredEvent } from '../inbox/chain-events.ts';
import type { Sats } from '../money/sats.ts';
import type { Transaction } from '../platform/database/database.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import { treasuryEvents } from './events.ts';
import { chainBalance } from './queries.ts';

/** What an event has done to the balance: set it, or changed it. */
type Effect = { readonly balance: Sats } | { readonly change: Sats };

/** An event as it stands on the chain, with what it does to the balance. */
export interface Booking {
  readonly event: MirroredEvent;
  readonly effect: Effect;
}

async function read(tx: Transaction): Promise<Sats> {
  const [row] = await tx.query<{ balance: Sats }>(`SELECT ${chainBalance} AS balance`);
  return row?.balance as Sats;
}

/**
 * Has the mirrored balance follow events that stand now, or no longer do; answers what is to be told of it, which is
 * nothing when it is what it was.
 */
export async function followBalance(
  tx: Transaction,
  bookings: readonly Booking[],
  removed: readonly MirroredEvent[],
): Promise<NewEvent | undefined> {
  if (bookings.length === 0 && removed.length === 0) return undefined;
  const before = await read(tx);
  await tx.query('DELETE FROM chain_balances WHERE chain_key = ANY($1::text[])', [
    removed.map(entityEventKey),
  ]);
  for (const { event, effect } of bookings)
    await tx.query(
      `WITH known AS (INSERT INTO chain_treasuries VALUES ($2) ON CONFLICT DO NOTHING)
       INSERT INTO chain_balances (chain_key, contract, height, tx_index, event_index, balance_sats, change_sats)
       VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (chain_key) DO UPDATE SET height = excluded.height, tx_index = excluded.tx_index`,
      [
        entityEventKey(event),
        event.contract,
        event.height,
        event.txIndex,
        event.eventIndex,
        'balance' in effect ? effect.balance : null,
        'change' in effect ? effect.change : null,
      ],
    );
  const balance = await read(tx);
  return balance === before ? undefined : treasuryEvents.balanceUpdated('STACKS', balance, balance - before);
}
