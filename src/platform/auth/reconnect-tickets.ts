import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Database, Queryable } from '../database/database.ts';
import { hashToken } from './access-tokens.ts';
import { refused } from './authenticate.ts';
import { notRevoked, restoreViewer, type StoredViewer, storeViewer } from './stored-viewer.ts';
import { hasCredentials, type Viewer } from './viewer.ts';

export type ReconnectTickets = ReturnType<typeof createReconnectTickets>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
}

/** What an acknowledgement carries for the next connection. */
export interface ReconnectTicket {
  readonly ticket: string;
  readonly ticketExpiresAt: Date;
}

/** Whom a ticket stood for, and the ticket to come back with. */
export interface Redeemed {
  readonly viewer: Viewer;
  readonly next: ReconnectTicket;
}

interface Found {
  readonly viewer: StoredViewer;
  readonly familyId: string;
  readonly isGood: boolean;
}

/** How long a ticket lasts, unless the token behind it ends first; ms. */
const lifetimeMs = 10 * 60_000;

/** How many rows are forgotten at once. */
const forgottenAtOnce = 500;

/**
 * Reconnect tickets stand for the credentials of a socket that was cut. Using one makes its successor, and it stays
 * good until a successor has been used, as the answer may have been lost. Whoever presents one after that has a
 * copy, or somebody else has: then the whole family is worth nothing.
 */
export function createReconnectTickets({ db, clock }: Dependencies) {
  const make = (viewer: Viewer): ReconnectTicket => ({
    ticket: `rct_${randomBytes(32).toString('base64url')}`,
    ticketExpiresAt: new Date(
      Math.min(clock.now() + lifetimeMs, viewer.user?.expiresAt.getTime() ?? Number.POSITIVE_INFINITY),
    ),
  });

  /** Notes that the ticket was used, and makes its successor. */
  async function succeed(tx: Queryable, familyId: string, usedHash: string, viewer: Viewer) {
    const next = make(viewer);
    await tx.query(
      `WITH family AS (
         UPDATE reconnect_families SET used_hash = $2, expires_at = greatest(expires_at, $5)
         WHERE id = $1 RETURNING id
       )
       INSERT INTO reconnect_tickets (ticket_hash, family_id, parent_hash, viewer, expires_at)
       SELECT $3, id, $2, $4::jsonb, $5 FROM family`,
      [familyId, usedHash, hashToken(next.ticket), storeViewer(viewer), next.ticketExpiresAt],
    );
    return next;
  }

  return {
    /** Makes the first ticket of a family; undefined for a viewer without credentials. */
    async issue(viewer: Viewer): Promise<ReconnectTicket | undefined> {
      if (!hasCredentials(viewer)) return undefined;
      const first = make(viewer);
      await db.query(
        `WITH family AS (INSERT INTO reconnect_families (id, expires_at) VALUES ($1, $4) RETURNING id)
         INSERT INTO reconnect_tickets (ticket_hash, family_id, viewer, expires_at)
         SELECT $2, id, $3::jsonb, $4 FROM family`,
        [randomUUID(), hashToken(first.ticket), storeViewer(viewer), first.ticketExpiresAt],
      );
      return first;
    },

    /**
     * The viewer that a ticket stands for. Of what is presented beside it, a token takes the place of the ticket's
     * (it must be of the same user), and access tokens that of the ticket's objects.
     * @throws PublicError UNAUTHENTICATED when it is unknown, expired, revoked, or another user's.
     */
    async redeem(ticket: string, presented?: Viewer): Promise<Redeemed> {
      const hash = hashToken(ticket);
      const redeemed = await db.transaction(async (tx): Promise<Redeemed | undefined> => {
        // One after the other, on however many nodes.
        const [found] = await tx.query<Found>(
          `SELECT t.viewer, t.family_id AS "familyId",
                  f.used_hash IS NOT DISTINCT FROM t.parent_hash OR f.used_hash = t.ticket_hash AS "isGood"
           FROM reconnect_tickets t JOIN reconnect_families f ON f.id = t.family_id
           WHERE t.ticket_hash = $1 AND t.expires_at > $2 AND ${notRevoked('t.viewer')}
           FOR UPDATE OF f`,
          [hash, new Date(clock.now())],
        );
        if (!found) return undefined;
        const { viewer: stored, familyId, isGood } = found;
        if (!isGood) {
          await tx.query('DELETE FROM reconnect_families WHERE id = $1', [familyId]);
          return undefined;
        }
        if (presented?.user && presented.user.id !== stored.user?.id) return undefined;
        const viewer = withPresented(restoreViewer(stored), presented);
        return { viewer, next: await succeed(tx, familyId, hash, viewer) };
      });
      if (!redeemed) throw refused('TOKEN_INVALID');
      return redeemed;
    },

    /** Forgets what has expired, a bounded number at once; answers whether there may be more. */
    async forgetExpired(): Promise<boolean> {
      const now = new Date(clock.now());
      for (const [table, key] of [
        ['reconnect_tickets', 'ticket_hash'],
        ['reconnect_families', 'id'],
      ]) {
        // A family that is being revoked takes its tickets with it: nobody waits for the other.
        const forgotten = await db.query(
          `DELETE FROM ${table} WHERE ${key} IN (
             SELECT ${key} FROM ${table} WHERE expires_at <= $1 LIMIT ${forgottenAtOnce} FOR UPDATE SKIP LOCKED
           ) RETURNING 1`,
          [now],
        );
        if (forgotten.length === forgottenAtOnce) return true;
      }
      return false;
    },
  };
}

function withPresented(stored: Viewer, presented: Viewer | undefined): Viewer {
  const { objects, bearerObject } = presented && presented.objects.size > 0 ? presented : stored;
  return { user: presented?.user ?? stored.user, objects, bearerObject };
}
