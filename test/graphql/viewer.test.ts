import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import { createJob } from '../support/operations.ts';
import { until } from '../support/until.ts';

const app = useTestApp();

it('shows a user to themselves: their id, roles, wallet, and where their activity stood', async () => {
  const token = await app().token('alice', ['USER', 'SERVICE']);
  const { viewer } = await app().ask(
    '{ viewer { user { __typename id } roles wallet { balanceSats } activityCursor } }',
    {},
    { token },
  );
  expect(viewer).toEqual({
    user: { __typename: 'User', id: expect.stringMatching(/^usr_/) },
    roles: ['USER', 'SERVICE'],
    wallet: { balanceSats: 0 },
    activityCursor: expect.any(String),
  });
  const { node } = await app().ask(
    'query ($id: ID!) { node(id: $id) { __typename id } }',
    { id: viewer.user.id },
    { token },
  );
  expect(node).toEqual(viewer.user);
});

it('shows nobody to whoever has no token of a user', async () => {
  const { as } = await createJob(app(), 'Anonymous.');
  expect(await app().ask('{ viewer { roles } }')).toEqual({ viewer: null });
  expect(await app().ask('{ viewer { roles } }', {}, as)).toEqual({ viewer: null });
});

it('tells a user all that concerns them, and nothing else', async () => {
  const alice = await app().token('alice');
  const bob = await app().token('bob');
  const activity = 'subscription ($after: Cursor) { activity(after: $after) { __typename id cursor } }';
  const watched = app().watch(activity, {}, { token: alice });
  await until('it has begun', () => app().hub.size().members > 1);
  const { viewer } = await app().ask('{ viewer { activityCursor } }', {}, { token: alice });
  for (const token of [bob, alice]) {
    const { job } = await createJob(app(), 'Be active.', { token });
    await app().pay(job.evalInvoice.paymentHash);
  }
  const [paid, evaluated] = await watched.count(2);
  expect([paid.__typename, evaluated.__typename]).toEqual(['JobPaymentConfirmed', 'JobEvaluated']);
  const again = app().watch(activity, { after: viewer.activityCursor }, { token: alice });
  expect(await again.count(2)).toEqual([paid, evaluated]);
  const rest = app().watch(activity, { after: paid.cursor }, { token: alice });
  expect(await rest.count(1)).toEqual([evaluated]);
});
