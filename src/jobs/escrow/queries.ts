import type { Sats } from '../../money/sats.ts';
import type { Queryable, Transaction } from '../../platform/database/database.ts';
import { type Page, readPageOf } from '../../platform/database/page.ts';
import { type FeedColumns, feedColumns } from '../../platform/log/columns.ts';
import { type Checklist, type EscrowJobState, isOpen } from './machine.ts';

export interface EscrowJob {
  readonly id: string;
  /** Users. */
  readonly employer: string;
  readonly worker: string | null;
  readonly state: EscrowJobState;
  readonly title: string;
  readonly jobType: string | null;
  readonly paySats: Sats;
  /** For display only. */
  readonly payAmountUsd: number | null;
  readonly deadline: Date;
  readonly checklist: Checklist;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** An escrowed job as it is shown: beside the row its feed's position. */
export interface EscrowJobView extends EscrowJob, FeedColumns {}

const columns = `id, employer, worker, state, title, job_type AS "jobType", pay_sats AS "paySats",
  pay_amount_usd AS "payAmountUsd", deadline, checklist, created_at AS "createdAt", updated_at AS "updatedAt"`;

const viewColumns = `${columns}, ${feedColumns("'job:' || escrow_jobs.id")}`;

/** Escrowed jobs by id; unknown ones are left out. */
export function escrowJobsByIds(db: Queryable, ids: readonly string[]): Promise<EscrowJobView[]> {
  return db.query<EscrowJobView>(`SELECT ${viewColumns} FROM escrow_jobs WHERE id = ANY($1::text[])`, [ids]);
}

/** An escrowed job, locked until the transaction ends. */
export async function lockEscrowJob(tx: Transaction, id: string): Promise<EscrowJob | undefined> {
  const [row] = await tx.query<EscrowJob>(`SELECT ${columns} FROM escrow_jobs WHERE id = $1 FOR UPDATE`, [
    id,
  ]);
  return row;
}

/** The board: escrowed jobs, newest first; in one state if given. */
export function listBoard(
  db: Queryable,
  { state }: { readonly state?: EscrowJobState | undefined },
  page: Page,
): Promise<EscrowJobView[]> {
  return readPageOf<EscrowJobView>(db, 'escrow_jobs', viewColumns, { state }, page);
}

/** Whether an escrowed job goes on: its pay is held. */
export async function isEscrowJobOpen(db: Queryable, id: string): Promise<boolean> {
  const rows = await db.query<{ state: EscrowJobState }>('SELECT state FROM escrow_jobs WHERE id = $1', [id]);
  return rows.some(({ state }) => isOpen(state));
}
