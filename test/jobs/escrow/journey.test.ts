import { expect, it } from 'vitest';
import { useTestApp } from '../../support/app.ts';
import {
  escrow,
  newJob,
  readEscrowJob,
  toldOf,
  watchBoard,
  watchEscrowJob,
  watchPosted,
} from '../../support/escrow.ts';
import { expectMoneyAddsUp } from '../../support/money.ts';
import { until } from '../../support/until.ts';
import { createUser, fund, walletOf } from '../../support/wallets.ts';

const app = useTestApp();

const typesOf = (events: ReadonlyArray<{ readonly __typename: string }>) =>
  events.map(({ __typename }) => __typename);

it('carries a job from the board to its pay, before the eyes of its parties and of all', async () => {
  const employer = await createUser(app(), 'journey employer', 5_000);
  const worker = await createUser(app(), 'journey worker');
  const stranger = await createUser(app(), 'journey stranger');
  const { jobBoard } = await app().ask('{ jobBoard { feedCursor } }', {}, stranger);
  const board = app().watch(watchBoard, { after: jobBoard.feedCursor }, stranger);
  const posted = app().watch(watchPosted, { after: jobBoard.feedCursor }, worker);

  const job = await escrow(app(), 'postJob', newJob(), employer);
  const { id } = job;
  expect(job).toMatchObject({
    state: 'OPEN',
    title: 'Paint a fence',
    jobType: 'painting',
    paySats: 1_000,
    payAmountUsd: 0.99,
    employer: { id: employer.id },
    worker: null,
    checklist: [
      { id: '1', text: 'Front', completed: false },
      { id: '2', text: 'Back', completed: false },
      { id: '3', text: 'Gate', completed: false },
    ],
  });
  expect(await walletOf(app(), employer.id)).toBe(4_000);
  expect(await posted.event('JobPosted')).toMatchObject({
    paySats: 1_000,
    job: { id, title: 'Paint a fence', employer: null, worker: null, checklist: null },
  });

  const employers = app().watch(watchEscrowJob, { id, after: job.cursor }, employer);
  expect(await escrow(app(), 'acceptJob', { jobId: id }, worker)).toMatchObject({
    state: 'ACCEPTED',
    employer: { id: employer.id },
    worker: { id: worker.id },
  });
  expect(await employers.event('JobAccepted')).toMatchObject({ worker: { id: worker.id } });
  const workers = app().watch(watchEscrowJob, { id }, worker);
  expect(await workers.event('JobSnapshot')).toMatchObject({
    reason: 'SUBSCRIBED',
    job: { state: 'ACCEPTED' },
  });

  const tick = (itemId: string, completed = true) =>
    escrow(app(), 'updateChecklist', { jobId: id, itemId, completed }, worker);
  expect((await tick('2')).checklist[1]).toEqual({ id: '2', text: 'Back', completed: true });
  await tick('2');
  await tick('1');
  await tick('1', false);
  await employers.count(4);
  expect(employers.events.slice(1).map(({ progressPercent }) => progressPercent)).toEqual([33, 66, 33]);

  expect(await escrow(app(), 'completeJob', { jobId: id }, employer)).toMatchObject({ state: 'COMPLETED' });
  for (const feed of [employers, workers])
    expect(await feed.event('JobCompleted')).toMatchObject({
      result: null,
      paymentReleased: true,
      paidSats: 980,
      job: { state: 'COMPLETED', worker: { id: worker.id } },
    });
  expect(await board.event('JobCompleted')).toMatchObject({
    paymentReleased: true,
    paidSats: null,
    job: { state: 'COMPLETED', worker: null, employer: null, checklist: null },
  });
  expect(await walletOf(app(), worker.id)).toBe(980);
  expect(await walletOf(app(), employer.id)).toBe(4_000);
  expect(await app().services.ledger.balance(app().services.db, 'treasury')).toBe(20n);

  expect(typesOf(board.events)).toEqual(['JobPosted', 'JobAccepted', 'JobCompleted']);
  expect(board.events[1].worker).toBeNull();
  expect(typesOf(posted.events)).toEqual(['JobPosted']);
  expect((await toldOf(app(), `user:${employer.id}`)).map(({ type }) => type)).toEqual([
    'WalletCredited',
    'WalletDebited',
    'JobPosted',
    'JobAccepted',
    ...Array(3).fill('JobChecklistUpdated'),
    'JobCompleted',
  ]);
  expect((await toldOf(app(), `user:${worker.id}`)).map(({ type }) => type)).toEqual([
    'JobAccepted',
    ...Array(3).fill('JobChecklistUpdated'),
    'WalletCredited',
    'JobCompleted',
  ]);
  await expectMoneyAddsUp(app().services.db);
});

it('opens a job again whose worker gives it back, who is told so and nothing further', async () => {
  const employer = await createUser(app(), 'reopening employer', 1_000);
  const first = await createUser(app(), 'first worker');
  const second = await createUser(app(), 'second worker');
  const { id } = await escrow(app(), 'postJob', newJob(), employer);
  await escrow(app(), 'acceptJob', { jobId: id }, first);
  const board = app().watch(watchBoard, { after: 'START' }, second);
  const firsts = app().watch(watchEscrowJob, { id }, first);
  await firsts.count(1);
  await escrow(app(), 'updateChecklist', { jobId: id, itemId: '1', completed: true }, first);
  const given = await escrow(app(), 'withdrawFromJob', { jobId: id }, first);
  expect(given).toMatchObject({ id, state: 'OPEN', employer: null, worker: null, checklist: null });

  await until('the feed of who is no party any more ends', () => firsts.ended);
  expect(firsts.errors).toBeUndefined();
  expect(typesOf(firsts.events)).toEqual(['JobSnapshot', 'JobChecklistUpdated', 'JobWithdrawn']);
  expect(firsts.events[2]).toMatchObject({
    worker: { id: first.id },
    job: { state: 'OPEN', employer: null },
  });
  await until('the board tells of it', () =>
    board.events.find(({ __typename, job }) => __typename === 'JobWithdrawn' && job.id === id),
  );

  expect(await readEscrowJob(app(), id, employer)).toMatchObject({
    worker: null,
    checklist: [{ completed: false }, { completed: false }, { completed: false }],
  });
  await escrow(app(), 'acceptJob', { jobId: id }, second);
  const seconds = app().watch(watchEscrowJob, { id, after: 'START' }, second);
  await seconds.count(5);
  expect(typesOf(seconds.events)).toEqual([
    'JobPosted',
    'JobAccepted',
    'JobChecklistUpdated',
    'JobWithdrawn',
    'JobAccepted',
  ]);
  // Who did it before is the employer's business, not that of whoever does it now.
  expect(seconds.events.map(({ worker }) => worker)).toEqual([
    undefined,
    null,
    undefined,
    null,
    { id: second.id },
  ]);
  const employers = app().watch(watchEscrowJob, { id, after: 'START' }, employer);
  await employers.count(5);
  expect(employers.events[3].worker).toEqual({ id: first.id });
});

it('gives all of the pay back when the employer cancels', async () => {
  const employer = await createUser(app(), 'cancelling employer', 700);
  const { id } = await escrow(app(), 'postJob', newJob({ paySats: 700, checklist: undefined }), employer);
  expect(await walletOf(app(), employer.id)).toBe(0);
  const employers = app().watch(watchEscrowJob, { id }, employer);
  await employers.count(1);
  expect(await escrow(app(), 'cancelJob', { jobId: id }, employer)).toMatchObject({
    state: 'CANCELLED',
    checklist: [],
  });
  expect(await employers.event('JobCancelled')).toMatchObject({ refundedSats: 700 });
  expect(await walletOf(app(), employer.id)).toBe(700);
  await expectMoneyAddsUp(app().services.db);
});

it('moves no fee where that is nothing', async () => {
  const employer = await createUser(app(), 'thrifty employer');
  const worker = await createUser(app(), 'thrifty worker');
  await fund(app(), employer.id, 49);
  const { id } = await escrow(app(), 'postJob', newJob({ paySats: 49 }), employer);
  await escrow(app(), 'acceptJob', { jobId: id }, worker);
  await escrow(app(), 'completeJob', { jobId: id }, employer);
  expect(await walletOf(app(), worker.id)).toBe(49);
  const moved = await app().services.db.query('SELECT to_account FROM transfers WHERE from_account = $1', [
    `job:${id}`,
  ]);
  expect(moved).toEqual([{ to_account: `wallet:${worker.id}` }]);
});
