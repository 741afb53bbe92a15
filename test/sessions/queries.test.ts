import { expect, it } from 'vitest';
import { sessionStates } from '../../src/sessions/machine.ts';
import { isSessionOpen } from '../../src/sessions/queries.ts';
import { useDatabase } from '../support/database.ts';

const db = useDatabase();

it('knows which sessions go on', async () => {
  const open = [];
  for (const state of sessionStates) {
    await db().query(
      `INSERT INTO sessions (id, state, deposit_invoice, created_at, updated_at) VALUES ($1, $1, '', now(), now())`,
      [state],
    );
    if (await isSessionOpen(db(), state)) open.push(state);
  }
  expect(open).toEqual(['AWAITING_PAYMENT', 'ACTIVE', 'PAUSED']);
  expect(await isSessionOpen(db(), 'unknown')).toBe(false);
});
