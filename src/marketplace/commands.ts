import type { Ledger } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import { requireUser, type Viewer } from '../platform/auth/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import type { Idempotency } from '../platform/idempotency.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log/log.ts';
import type { Streams } from '../streams/commands.ts';
import type { Stream } from '../streams/queries.ts';
import { listingErrors } from './errors.ts';
import { listingEvents } from './events.ts';
import { splitPrice } from './machine.ts';
import { type Listing, listingsByIds, lockListing } from './queries.ts';
import { createListingRule } from './rule.ts';
import { createListingSteps } from './steps.ts';

export type Marketplace = ReturnType<typeof createMarketplace>;

interface Dependencies {
  readonly db: Database;
  readonly log: Log;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly idempotency: Idempotency;
  readonly streams: Streams;
  /** What a sale costs the seller of the price; hundredths of a percent. */
  readonly feeBasisPoints: number;
}

/** Which listing, and the key of the request. */
interface Request {
  readonly listingId: string;
  readonly idempotencyKey: string;
}

/** The marketplace: the recipient of a stream sells what is left of it. */
export function createMarketplace(deps: Dependencies) {
  const { db, log, clock, ledger, idempotency, streams, feeBasisPoints } = deps;
  const steps = createListingSteps({ clock });
  streams.addRule(createListingRule({ log, steps }));

  /** A listing that is sold here, as it was a moment ago. */
  async function offered(
    tx: Transaction,
    listingId: string,
  ): Promise<Listing & { readonly streamId: string }> {
    const [listing] = await listingsByIds(tx, [listingId]);
    if (!listing) throw forbidden();
    if (listing.origin !== 'SATWIRE') throw listingErrors.mirrored();
    return listing as Listing & { streamId: string };
  }

  /** Locks a listing, behind its stream, as everywhere. */
  async function locked(tx: Transaction, { id, streamId }: Listing & { readonly streamId: string }) {
    const stream = await streams.claims.lock(tx, streamId);
    return { stream, listing: (await lockListing(tx, id)) as Listing };
  }

  /** Does something to a listing for its seller, in one transaction; a repeated request does nothing. */
  function asSeller(
    viewer: Viewer,
    mutation: string,
    { listingId, idempotencyKey, ...rest }: Request & { readonly priceSats?: Sats },
    work: (tx: Transaction, listing: Listing, stream: Stream) => Promise<void>,
  ): Promise<void> {
    const { id: caller } = requireUser(viewer);
    const request = { caller, mutation, key: idempotencyKey, input: { listingId, ...rest } };
    return db.transaction(async (tx) => {
      const known = await offered(tx, listingId);
      if (known.seller !== caller) throw forbidden();
      const { listing, stream } = await locked(tx, known);
      if (await idempotency.claim(tx, request, { listingId }, 'FOR_GOOD')) return;
      await work(tx, listing, stream);
    });
  }

  return {
    /**
     * Offers what is left of a stream for a price. While it is listed nothing is paid out of the stream.
     * @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE, LISTED).
     */
    async create(
      viewer: Viewer,
      input: { readonly streamId: string; readonly priceSats: Sats; readonly idempotencyKey: string },
    ): Promise<{ listingId: string }> {
      const { streamId, priceSats, idempotencyKey } = input;
      const { id: seller } = requireUser(viewer);
      const listingId = newId('lst');
      const request = {
        caller: seller,
        mutation: 'createListing',
        key: idempotencyKey,
        input: { streamId, priceSats },
      };
      return db.transaction(async (tx) => {
        const stream = await streams.claims.lock(tx, streamId);
        // Who was the recipient when it was listed is answered the same again, also once it is sold.
        const earlier = await idempotency.claim(tx, request, { listingId }, 'FOR_GOOD');
        if (earlier) return earlier;
        if (stream.recipient !== seller) throw forbidden();
        // Refused here when nothing is left that could be passed on.
        streams.claims.remainingOf(stream);
        streams.claims.hold(tx, stream);
        await tx.query(
          `INSERT INTO listings (id, origin, stream_id, seller, price_sats, state, created_at, updated_at)
           VALUES ($1, 'SATWIRE', $2, $3, $4, 'ACTIVE', $5, $5)`,
          [listingId, streamId, seller, priceSats, new Date(clock.now())],
        );
        log.append(tx, listingEvents.created({ id: listingId, seller }, priceSats));
        return { listingId };
      });
    },

    /** Asks for another price. @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE, TAKEN). */
    update(viewer: Viewer, input: Request & { readonly priceSats: Sats }): Promise<void> {
      return asSeller(viewer, 'updateListing', input, async (tx, listing) => {
        await steps.advance(tx, listing, 'UPDATE', input.priceSats);
        log.append(tx, listingEvents.updated(listing, input.priceSats));
      });
    },

    /** Withdraws the offer. @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE, TAKEN). */
    cancel(viewer: Viewer, input: Request): Promise<void> {
      return asSeller(viewer, 'cancelListing', input, async (tx, listing, stream) => {
        await steps.advance(tx, listing, 'CANCEL');
        streams.claims.release(tx, stream);
        log.append(tx, listingEvents.cancelled(listing, null));
      });
    },

    /**
     * Buys what is left of a stream: the payment, the fee and the change of the recipient, all or nothing.
     * @throws PublicError FORBIDDEN, INSUFFICIENT_FUNDS, CONFLICT (TAKEN, PRICE_CHANGED, INVALID_STATE: also when
     * less remains than wanted).
     */
    async buy(
      viewer: Viewer,
      input: Request & { readonly expectedPriceSats: Sats; readonly minimumRemainingSats: Sats },
    ): Promise<void> {
      const { listingId, expectedPriceSats, minimumRemainingSats, idempotencyKey } = input;
      const { id: buyer } = requireUser(viewer);
      const request = {
        caller: buyer,
        mutation: 'buyListing',
        key: idempotencyKey,
        input: { listingId, expectedPriceSats, minimumRemainingSats },
      };
      await db.transaction(async (tx) => {
        const known = await offered(tx, listingId);
        // Which it never is again: whoever comes late need not wait for the lock of a stream that somebody has bought.
        if (known.state !== 'ACTIVE') {
          if (await idempotency.find(tx, request)) return;
          throw listingErrors.wrongState(known.state);
        }
        const { listing, stream } = await locked(tx, known);
        if (await idempotency.claim(tx, request, { listingId }, 'FOR_GOOD')) return;
        await steps.advance(tx, listing, 'BUY');
        if (buyer === stream.recipient || buyer === stream.sender) throw listingErrors.ownListing();
        if (listing.priceSats !== expectedPriceSats) throw listingErrors.priceChanged();
        if (streams.claims.remainingOf(stream) < minimumRemainingSats) throw listingErrors.lessRemains();
        const { fee, proceeds } = splitPrice(listing.priceSats, feeBasisPoints);
        const shares = [
          { part: 'price', to: `wallet:${listing.seller}`, amount: proceeds, reason: 'LISTING_SOLD' },
          { part: 'fee', to: 'treasury', amount: fee, reason: 'LISTING_FEE' },
        ] as const;
        await ledger.transfer(
          tx,
          ...shares
            .filter(({ amount }) => amount > 0n)
            .map(({ part, ...share }) => ({
              key: `sold:${listingId}:${part}`,
              from: `wallet:${buyer}` as const,
              ...share,
            })),
        );
        streams.claims.transfer(tx, stream, buyer);
        log.append(tx, listingEvents.sold(listing, buyer, listing.priceSats));
      });
    },
  };
}
