import { balanceColumn } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { Queryable, Transaction } from '../platform/database/database.ts';
import { type Page, readPageOf } from '../platform/database/page.ts';
import { type FeedColumns, feedColumns } from '../platform/log/columns.ts';
import { type AgentJobState, isAgentDue, nextState } from './machine.ts';

export interface AgentJob {
  readonly id: string;
  readonly ownerUser: string | null;
  readonly prompt: string;
  readonly state: AgentJobState;
  /** Payment hashes. */
  readonly evalInvoice: string;
  readonly workInvoice: string | null;
  readonly reason: string | null;
  readonly result: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A job as it is shown: beside the row its feed's position and the owner's refundable balance. */
export interface JobView extends AgentJob, FeedColumns {
  readonly refundableSats: Sats;
}

const columns = `id, owner_user AS "ownerUser", prompt, state, eval_invoice AS "evalInvoice",
  work_invoice AS "workInvoice", reason, result, created_at AS "createdAt", updated_at AS "updatedAt"`;

const viewColumns = `${columns}, ${feedColumns("'job:' || agent_jobs.id")},
  ${balanceColumn("'refund:' || agent_jobs.id", 'refundableSats')}`;

/** Jobs by id; unknown ones are left out. */
export function jobsByIds(db: Queryable, ids: readonly string[]): Promise<JobView[]> {
  return db.query<JobView>(`SELECT ${viewColumns} FROM agent_jobs WHERE id = ANY($1::text[])`, [ids]);
}

/** A job, locked until the transaction ends. */
export async function lockJob(tx: Transaction, id: string): Promise<AgentJob | undefined> {
  const rows = await tx.query<AgentJob>(`SELECT ${columns} FROM agent_jobs WHERE id = $1 FOR UPDATE`, [id]);
  return rows[0];
}

/** Agent jobs, newest first; in one state if given. */
export function listJobs(
  db: Queryable,
  { state }: { readonly state?: AgentJobState | undefined },
  page: Page,
): Promise<JobView[]> {
  return readPageOf<JobView>(db, 'agent_jobs', viewColumns, { state }, page);
}

/** Whether a job goes on: the agent has something to do, or the owner still has time to pay. */
export async function isJobOpen(db: Queryable, id: string): Promise<boolean> {
  const rows = await db.query<{ state: AgentJobState }>('SELECT state FROM agent_jobs WHERE id = $1', [id]);
  return rows.some(({ state }) => isAgentDue(state) || nextState(state, 'EXPIRE') !== undefined);
}
