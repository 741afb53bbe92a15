import { expect, it } from 'vitest';
import { createTickets } from '../../../src/platform/auth/tickets.ts';
import { standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';
import { anonymous } from '../../support/viewers.ts';

const db = useDatabase();

const count = async (table: string) =>
  Number((await db().query<{ count: bigint }>(`SELECT count(*) FROM ${table}`))[0]?.count);

it('forgets tickets and revocations that are past their time, a bounded number at once', async () => {
  const clock = standingClock();
  const tickets = createTickets({ db: db(), clock });
  const viewer = { ...anonymous, objects: new Set(['job_1']) };
  const { ticket, expiresAt } = await tickets.create(viewer);
  await db().query(
    `INSERT INTO tickets (ticket_hash, viewer, expires_at)
     SELECT 'old ' || n, '{}'::jsonb, $1 FROM generate_series(1, 700) n`,
    [new Date(clock.now())],
  );
  await db().query(`INSERT INTO revoked_tokens (token_id, expires_at) VALUES ('past', $1), ('to come', $2)`, [
    new Date(clock.now()),
    new Date(clock.now() + 1),
  ]);
  expect(await tickets.forgetExpired()).toBe(true);
  expect(await count('tickets')).toBe(201);
  expect(await tickets.forgetExpired()).toBe(false);
  expect(await count('tickets')).toBe(1);
  expect(await db().query('SELECT token_id FROM revoked_tokens')).toEqual([{ token_id: 'to come' }]);

  const operation = { query: '{ viewer { roles } }', operationName: undefined, variables: undefined };
  expect(await tickets.redeem(ticket, operation)).toEqual(viewer);
  clock.advance(expiresAt.getTime() - clock.now());
  await expect(tickets.redeem(ticket, operation)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await tickets.forgetExpired();
  expect(await count('tickets')).toBe(0);
});
