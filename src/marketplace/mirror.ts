import { entityEventKey, type MirroredEvent } from '../inbox/chain-events.ts';
import type { Mirror } from '../inbox/mirror.ts';
import { usersAtAddresses } from '../platform/auth/users.ts';
import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { newId } from '../platform/ids.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import type { Log } from '../platform/log/log.ts';
import { chainStreamOf } from '../streams/mirrored.ts';
import { type EventListing, listingEvents } from './events.ts';
import { type ChainListing, type ChainStep, entityOfListing, replay } from './mirrored.ts';

interface Dependencies {
  readonly log: Log;
  readonly clock: Clock;
}

function eventOf(
  listing: EventListing,
  { event, listing: now }: ChainStep<MirroredEvent>,
  userOf: (address: string) => string,
): NewEvent {
  if (event === now.listed) return listingEvents.created(listing, now.priceSats);
  if (now.buyer !== undefined) return listingEvents.sold(listing, userOf(now.buyer), now.priceSats);
  return now.state === 'CANCELLED'
    ? listingEvents.cancelled(listing, null)
    : listingEvents.updated(listing, now.priceSats);
}

/** Mirrors the listings of a contract: each is what its canonical events make it. No sat moves here. */
export function createListingMirror({ log, clock }: Dependencies): Mirror {
  /** Writes a listing as it is now; answers its id. */
  async function write(tx: Transaction, listing: ChainListing<MirroredEvent>): Promise<string> {
    const { listed, seller, priceSats, state } = listing;
    const [row] = await tx.query<{ id: string }>(
      `INSERT INTO listings AS l (id, origin, chain_stream, seller, price_sats, state, chain_key, created_at, updated_at)
       VALUES ($1, 'STACKS', $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT (chain_key) DO UPDATE
       SET price_sats = excluded.price_sats, state = excluded.state, updated_at = excluded.updated_at
       RETURNING id`,
      [
        newId('lst'),
        chainStreamOf(listed, listed.value['stream-id'] as bigint),
        seller,
        priceSats,
        state,
        entityEventKey(listed),
        new Date(listed.timestamp * 1_000),
        new Date(clock.now()),
      ],
    );
    return row?.id as string;
  }

  /** A listing that was never made after all. */
  async function undo(tx: Transaction, listed: MirroredEvent): Promise<string | undefined> {
    const [row] = await tx.query<{ id: string }>(
      `UPDATE listings SET state = 'CANCELLED', updated_at = $2 WHERE chain_key = $1 RETURNING id`,
      [entityEventKey(listed), new Date(clock.now())],
    );
    return row?.id;
  }

  return {
    entityOf: entityOfListing,

    async changed(tx, _entity, history, removed, added) {
      const now = replay(history);
      // As it stood: what was removed came last, the newest first.
      const was = replay([...history.filter((event) => !added.includes(event)), ...removed.toReversed()]);
      const principals = [...now, ...was].flatMap(({ listing: { seller, buyer } }) =>
        buyer === undefined ? [seller] : [seller, buyer],
      );
      const users = await usersAtAddresses(tx, principals, new Date(clock.now()));
      const userOf = (address: string) => users.get(address) as string;

      // The last of each is how it stands.
      const ids = new Map<string, string>();
      const latest = new Map(now.map(({ listing }) => [entityEventKey(listing.listed), listing]));
      for (const [key, listing] of latest) ids.set(key, await write(tx, listing));
      for (const { listing } of was) {
        const key = entityEventKey(listing.listed);
        const id = ids.has(key) ? undefined : await undo(tx, listing.listed);
        if (id !== undefined) ids.set(key, id);
      }

      for (const event of removed) {
        const step = was.find((each) => each.event === event);
        const id = step && ids.get(entityEventKey(step.listing.listed));
        if (id === undefined || !step || event.logEventId === null) continue;
        log.append(
          tx,
          listingEvents.reorganised({ id, seller: userOf(step.listing.seller) }, event.logEventId),
        );
      }

      const told = new Map<MirroredEvent, string>();
      for (const step of now) {
        if (!added.includes(step.event)) continue;
        const shown = {
          id: ids.get(entityEventKey(step.listing.listed)) as string,
          seller: userOf(step.listing.seller),
        };
        const [logEventId] = log.append(tx, eventOf(shown, step, userOf));
        told.set(step.event, logEventId as string);
      }
      return told;
    },
  };
}
