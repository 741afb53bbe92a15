import type { Queryable } from '../platform/database/database.ts';
import type { Page } from '../platform/database/page.ts';
import { isId } from '../platform/ids.ts';
import { type EscrowJobView, escrowJobsByIds, isEscrowJobOpen } from './escrow/queries.ts';
import { isJobOpen, type JobView, jobsByIds } from './queries.ts';

/** A job of either kind; its id's prefix tells which. */
export type AnyJob = JobView | EscrowJobView;

export const isEscrowId = (id: string) => isId('esc', id);

export const isEscrow = (job: AnyJob): job is EscrowJobView => isEscrowId(job.id);

/** Whether a job of either kind goes on. */
export function isAnyJobOpen(db: Queryable, id: string): Promise<boolean> {
  return isEscrowId(id) ? isEscrowJobOpen(db, id) : isJobOpen(db, id);
}

const anyJob = `(SELECT id, created_at FROM agent_jobs UNION ALL SELECT id, created_at FROM escrow_jobs) any_job`;

/**
 * A user's jobs of both kinds, newest first: those they own, those they post and those they do. Each is read in the
 * order of its index; no job is among two of them.
 */
export async function listJobsOf(
  db: Queryable,
  userId: string,
  { after, before, limit, inverted }: Page,
): Promise<AnyJob[]> {
  const order = inverted ? 'ASC' : 'DESC';
  const values: unknown[] = [userId, limit];
  const conditions = (
    [
      ['<', after],
      ['>', before],
    ] as const
  )
    .filter(([, id]) => id !== undefined)
    .map(
      ([comparison, id]) =>
        `AND (created_at, id) ${comparison} (SELECT created_at, id FROM ${anyJob} WHERE id = $${values.push(id)})`,
    );
  const of = (table: string, column: string) => `
    (SELECT id, created_at FROM ${table} WHERE ${column} = $1 ${conditions.join(' ')}
     ORDER BY created_at ${order}, id ${order} LIMIT $2)`;
  const page = await db.query<{ id: string }>(
    `SELECT id FROM (
       ${of('agent_jobs', 'owner_user')} UNION ALL ${of('escrow_jobs', 'employer')}
       UNION ALL ${of('escrow_jobs', 'worker')}
     ) found ORDER BY created_at ${order}, id ${order} LIMIT $2`,
    values,
  );
  const ids = page.map(({ id }) => id);
  const [agentJobs, escrowJobs] = await Promise.all([
    jobsByIds(
      db,
      ids.filter((id) => !isEscrowId(id)),
    ),
    escrowJobsByIds(db, ids.filter(isEscrowId)),
  ]);
  const byId = new Map<string, AnyJob>([...agentJobs, ...escrowJobs].map((job) => [job.id, job]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}
