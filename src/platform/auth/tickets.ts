import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Database } from '../database/database.ts';
import { hashToken } from './access-tokens.ts';
import { refused } from './authenticate.ts';
import { notRevoked, restoreViewer, type StoredViewer, storeViewer } from './stored-viewer.ts';
import type { Viewer } from './viewer.ts';

export type Tickets = ReturnType<typeof createTickets>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
}

/** An operation as a ticket is bound to it. */
export interface TicketOperation {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: unknown;
}

/** How long a ticket of access tokens lasts, as these do not expire; ms. */
const longestMs = 30 * 24 * 3_600_000;

/**
 * Tickets stand for credentials in the URL of an EventSource, which can set no header. The first use binds a
 * ticket to its document and variables; from then on it opens nothing else.
 */
export function createTickets({ db, clock }: Dependencies) {
  return {
    /** Makes a ticket that lasts as long as the viewer's token. */
    async create(viewer: Viewer): Promise<{ ticket: string; expiresAt: Date }> {
      const ticket = `tkt_${randomBytes(32).toString('base64url')}`;
      const expiresAt = viewer.user?.expiresAt ?? new Date(clock.now() + longestMs);
      await db.query('INSERT INTO tickets (ticket_hash, viewer, expires_at) VALUES ($1, $2::jsonb, $3)', [
        hashToken(ticket),
        storeViewer(viewer),
        expiresAt,
      ]);
      return { ticket, expiresAt };
    },

    /**
     * The viewer that a ticket stands for.
     * @throws PublicError UNAUTHENTICATED when it is unknown, expired, revoked, or bound to another operation.
     */
    async redeem(ticket: string, operation: TicketOperation): Promise<Viewer> {
      const rows = await db.query<{ viewer: StoredViewer }>(
        `UPDATE tickets t SET bound_to = $2
         WHERE ticket_hash = $1 AND expires_at > $3 AND coalesce(bound_to, $2) = $2
           AND ${notRevoked('t.viewer')}
         RETURNING viewer`,
        [hashToken(ticket), hashOperation(operation), new Date(clock.now())],
      );
      const [row] = rows;
      if (!row) throw refused('TOKEN_INVALID');
      return restoreViewer(row.viewer);
    },

    /** Forgets expired tickets and revocations, a bounded number at once; answers whether there may be more. */
    async forgetExpired(): Promise<boolean> {
      const now = new Date(clock.now());
      const tickets = await db.query(
        `DELETE FROM tickets WHERE ticket_hash IN (
           SELECT ticket_hash FROM tickets WHERE expires_at <= $1 LIMIT 500
         ) RETURNING 1`,
        [now],
      );
      await db.query('DELETE FROM revoked_tokens WHERE expires_at <= $1', [now]);
      return tickets.length === 500;
    },
  };
}

function hashOperation({ query, operationName, variables }: TicketOperation): string {
  const text = JSON.stringify([query, operationName, variables]);
  return createHash('sha256').update(text).digest('hex');
}
