import { expect, it } from 'vitest';
import { agentJobStates } from '../../src/jobs/machine.ts';
import { isJobOpen } from '../../src/jobs/queries.ts';
import { useDatabase } from '../support/database.ts';

const db = useDatabase();

it('knows which jobs go on', async () => {
  const open = [];
  for (const state of agentJobStates) {
    await db().query(
      `INSERT INTO agent_jobs (id, prompt, state, eval_invoice, created_at, updated_at)
       VALUES ($1, '', $1, '', now(), now())`,
      [state],
    );
    if (await isJobOpen(db(), state)) open.push(state);
  }
  expect(open).toEqual(['AWAITING_EVAL_PAYMENT', 'EVALUATING', 'AWAITING_WORK_PAYMENT', 'EXECUTING']);
  expect(await isJobOpen(db(), 'unknown')).toBe(false);
});
