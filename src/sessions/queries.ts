import { balanceColumn } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { Queryable, Transaction } from '../platform/database/database.ts';
import { type Page, readPageOf } from '../platform/database/page.ts';
import { type FeedColumns, feedColumns } from '../platform/log/columns.ts';
import { nextState, type SessionState } from './machine.ts';

export interface Session {
  readonly id: string;
  readonly ownerUser: string | null;
  readonly state: SessionState;
  /** A payment hash. */
  readonly depositInvoice: string;
  /** When it expires unless something happens; null before the deposit and after the end. */
  readonly expiresAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A session as it is shown: beside the row its feed's position and its balances. */
export interface SessionView extends Session, FeedColumns {
  readonly balanceSats: Sats;
  readonly refundableSats: Sats;
}

const columns = `id, owner_user AS "ownerUser", state, deposit_invoice AS "depositInvoice",
  expires_at AS "expiresAt", created_at AS "createdAt", updated_at AS "updatedAt"`;

const viewColumns = `${columns}, ${feedColumns("'session:' || sessions.id")},
  ${balanceColumn("'session:' || sessions.id", 'balanceSats')},
  ${balanceColumn("'refund:' || sessions.id", 'refundableSats')}`;

/** Sessions by id; unknown ones are left out. */
export function sessionsByIds(db: Queryable, ids: readonly string[]): Promise<SessionView[]> {
  return db.query<SessionView>(`SELECT ${viewColumns} FROM sessions WHERE id = ANY($1::text[])`, [ids]);
}

/** A session, locked until the transaction ends. */
export async function lockSession(tx: Transaction, id: string): Promise<Session | undefined> {
  const rows = await tx.query<Session>(`SELECT ${columns} FROM sessions WHERE id = $1 FOR UPDATE`, [id]);
  return rows[0];
}

/** A user's sessions, newest first. */
export function listSessions(db: Queryable, ownerUser: string, page: Page): Promise<SessionView[]> {
  return readPageOf<SessionView>(db, 'sessions', viewColumns, { owner_user: ownerUser }, page);
}

/** Whether a session goes on: it can still be closed. */
export async function isSessionOpen(db: Queryable, id: string): Promise<boolean> {
  const rows = await db.query<{ state: SessionState }>('SELECT state FROM sessions WHERE id = $1', [id]);
  return rows.some(({ state }) => nextState(state, 'CLOSE') !== undefined);
}
