import { expect, it } from 'vitest';
import { startTestApp, type TestApp, temporaryFolder, useTestApp } from '../../support/app.ts';
import { movableClock } from '../../support/clock.ts';
import {
  escrow,
  escrowRefusal,
  newJob,
  readEscrowJob,
  toldOf,
  watchEscrowJob,
} from '../../support/escrow.ts';
import { expectMoneyAddsUp } from '../../support/money.ts';
import { key } from '../../support/operations.ts';
import { until } from '../../support/until.ts';
import { fund, walletOf } from '../../support/wallets.ts';

const hourMs = 3_600_000;
const yearSeconds = 365 * 24 * 3_600;

const clock = movableClock();
const app = useTestApp({}, { clock });

/** A user whose token outlives every jump of the clock. */
async function user(on: TestApp, name: string, sats = 0) {
  const token = await on.token(name, ['USER'], yearSeconds);
  const { viewer } = await on.ask('{ viewer { user { id } } }', {}, { token });
  if (sats > 0) await fund(on, viewer.user.id, sats);
  return { id: viewer.user.id as string, token };
}

const inAnHour = () => ({ deadline: new Date(clock.now() + hourMs).toISOString() });

it('gives the pay back at its deadline, whether or not a worker has taken it on', async () => {
  const employer = await user(app(), 'late employer', 2_000);
  const worker = await user(app(), 'late worker');
  const { id: open } = await escrow(app(), 'postJob', newJob(inAnHour()), employer);
  const { id: accepted } = await escrow(app(), 'postJob', newJob(inAnHour()), employer);
  await escrow(app(), 'acceptJob', { jobId: accepted }, worker);
  const feeds = [
    app().watch(watchEscrowJob, { id: open }, employer),
    app().watch(watchEscrowJob, { id: accepted }, employer),
    app().watch(watchEscrowJob, { id: accepted }, worker),
  ];
  for (const feed of feeds) await feed.count(1);
  expect(await walletOf(app(), employer.id)).toBe(0);
  clock.advance(hourMs + 1_000);
  for (const feed of feeds)
    expect(await feed.event('JobRefunded')).toMatchObject({
      refundedSats: 1_000,
      why: 'DEADLINE_PASSED',
      job: { state: 'REFUNDED' },
    });
  expect(await walletOf(app(), employer.id)).toBe(2_000);
  expect(await walletOf(app(), worker.id)).toBe(0);
  expect(await escrowRefusal(app(), 'acceptJob', { jobId: open }, worker)).toEqual({
    code: 'CONFLICT',
    reason: 'INVALID_STATE',
  });
  expect((await toldOf(app(), 'jobs')).filter(({ type }) => type === 'JobRefunded')).toHaveLength(2);
  await expectMoneyAddsUp(app().services.db);
});

it('leaves a job alone that has come to its end before its deadline', async () => {
  const employer = await user(app(), 'early employer', 2_000);
  const worker = await user(app(), 'early worker');
  const { id: completed } = await escrow(app(), 'postJob', newJob(inAnHour()), employer);
  const { id: cancelled } = await escrow(app(), 'postJob', newJob(inAnHour()), employer);
  await escrow(app(), 'acceptJob', { jobId: completed }, worker);
  await escrow(app(), 'completeJob', { jobId: completed }, employer);
  await escrow(app(), 'cancelJob', { jobId: cancelled }, employer);
  const timers = await app().services.db.query(
    "SELECT 1 FROM work WHERE kind = 'escrow.deadline' AND key = ANY($1)",
    [[completed, cancelled]],
  );
  expect(timers).toEqual([]);
  clock.advance(hourMs + 1_000);
  // A deadline that comes late, or twice, or too early, does nothing.
  for (const id of [completed, cancelled]) expect(await app().services.escrowJobs.expire(id)).toBeUndefined();
  expect(await walletOf(app(), employer.id)).toBe(1_000);
  const deadline = new Date(clock.now() + 10 * hourMs);
  const { id } = await escrow(app(), 'postJob', newJob({ deadline: deadline.toISOString() }), employer);
  expect(await app().services.escrowJobs.expire(id)).toEqual(deadline);
  expect(await readEscrowJob(app(), id, employer)).toMatchObject({ state: 'OPEN' });
  await expect(app().services.escrowJobs.expire('unknown')).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

it('refuses everything behind the deadline, before the pay has gone back as well', async () => {
  const employer = await user(app(), 'racing employer', 2_000);
  const worker = await user(app(), 'racing worker');
  const { id: open } = await escrow(app(), 'postJob', newJob(inAnHour()), employer);
  const idempotencyKey = key();
  const posted = { ...newJob(inAnHour()), idempotencyKey };
  const { id: accepted } = await escrow(app(), 'postJob', posted, employer);
  await escrow(app(), 'acceptJob', { jobId: accepted }, worker);
  const { db } = app().services;
  // As if nobody had come round to the timers yet.
  await db.query("DELETE FROM work WHERE kind = 'escrow.deadline' AND key = ANY($1)", [[open, accepted]]);
  clock.advance(hourMs);
  const invalid = { code: 'CONFLICT', reason: 'INVALID_STATE' };
  expect(await escrowRefusal(app(), 'acceptJob', { jobId: open }, worker)).toEqual(invalid);
  expect(await escrowRefusal(app(), 'cancelJob', { jobId: open }, employer)).toEqual(invalid);
  expect(await escrowRefusal(app(), 'completeJob', { jobId: accepted }, employer)).toEqual(invalid);
  expect(await escrowRefusal(app(), 'withdrawFromJob', { jobId: accepted }, worker)).toEqual(invalid);
  expect(
    await escrowRefusal(app(), 'updateChecklist', { jobId: accepted, itemId: '1', completed: true }, worker),
  ).toEqual(invalid);
  // A repetition is answered as before, though its deadline has passed since.
  expect((await escrow(app(), 'postJob', posted, employer)).id).toBe(accepted);
  for (const id of [open, accepted]) await app().services.escrowJobs.expire(id);
  expect(await walletOf(app(), employer.id)).toBe(2_000);
  await expectMoneyAddsUp(db);
});

it('gives the pay back though the server was down at the deadline', async () => {
  const later = movableClock();
  const DATA_DIR = await temporaryFolder();
  const first = await startTestApp({ DATA_DIR }, { clock: later });
  const employer = await user(first, 'restarted employer', 1_000);
  const deadline = new Date(later.now() + hourMs).toISOString();
  const { id } = await escrow(first, 'postJob', newJob({ deadline }), employer);
  await first.stop();
  later.advance(2 * hourMs);
  const second = await startTestApp({ DATA_DIR }, { clock: later });
  await until('the refund', async () => (await readEscrowJob(second, id, employer)).state === 'REFUNDED');
  expect(await walletOf(second, employer.id)).toBe(1_000);
  expect((await toldOf(second, `job:${id}`)).map(({ type }) => type)).toEqual(['JobPosted', 'JobRefunded']);
  await expectMoneyAddsUp(second.services.db);
});
