import type { Sats } from '../money/sats.ts';
import type { Queryable, Transaction } from '../platform/database/database.ts';
import { type Page, readPageOf } from '../platform/database/page.ts';
import type { ListingState } from './machine.ts';

export interface Listing {
  readonly id: string;
  /** SATWIRE: sold here; STACKS: mirrored from the chain. */
  readonly origin: 'SATWIRE' | 'STACKS';
  /** Null of a mirrored one. */
  readonly streamId: string | null;
  /** How the chain names the stream of a mirrored one. */
  readonly chainStream: string | null;
  /** A user, also of a mirrored listing. */
  readonly seller: string;
  readonly priceSats: Sats;
  readonly state: ListingState;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

const columns = `id, origin, stream_id AS "streamId", chain_stream AS "chainStream",
  CASE WHEN origin = 'STACKS' THEN (SELECT user_id FROM user_addresses WHERE address = seller) ELSE seller END AS seller,
  price_sats AS "priceSats", state, created_at AS "createdAt", updated_at AS "updatedAt"`;

/** Listings by id; unknown ones are left out. */
export function listingsByIds(db: Queryable, ids: readonly string[]): Promise<Listing[]> {
  return db.query<Listing>(`SELECT ${columns} FROM listings WHERE id = ANY($1::text[])`, [ids]);
}

/** A listing, locked until the transaction ends. */
export async function lockListing(tx: Transaction, id: string): Promise<Listing | undefined> {
  const [row] = await tx.query<Listing>(`SELECT ${columns} FROM listings WHERE id = $1 FOR UPDATE`, [id]);
  return row;
}

/** The listing under which a stream is for sale, locked until the transaction ends. */
export async function lockListingOf(tx: Transaction, streamId: string): Promise<Listing | undefined> {
  const [row] = await tx.query<Listing>(
    `SELECT ${columns} FROM listings WHERE stream_id = $1 AND state = 'ACTIVE' AND origin = 'SATWIRE' FOR UPDATE`,
    [streamId],
  );
  return row;
}

/** Listings, newest first; in one state if given. */
export function listListings(
  db: Queryable,
  { state }: { readonly state?: ListingState | undefined },
  page: Page,
): Promise<Listing[]> {
  return readPageOf<Listing>(db, 'listings', columns, { state }, page);
}
