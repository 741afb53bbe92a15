import { expect, it } from 'vitest';
import { escrowJobStates } from '../../../src/jobs/escrow/machine.ts';
import { isAnyJobOpen } from '../../../src/jobs/kinds.ts';
import { newId } from '../../../src/platform/ids.ts';
import { useTestApp } from '../../support/app.ts';
import type { Json } from '../../support/clients.ts';
import { escrow, newJob } from '../../support/escrow.ts';
import { createJob } from '../../support/operations.ts';
import { createUser } from '../../support/wallets.ts';

const app = useTestApp();

const idsOf = ({ edges }: Json): string[] => edges.map(({ node }: Json) => node.id);

it('lists a user’s jobs of both kinds, the newest first, page by page from either end', async () => {
  const one = await createUser(app(), 'a lister', 10_000);
  const other = await createUser(app(), 'another lister', 10_000);
  const agentJob = async () => (await createJob(app(), 'Think.', one)).job.id as string;
  const posts = async (as: typeof one) => (await escrow(app(), 'postJob', newJob(), as)).id as string;
  const takes = async () => {
    const id = await posts(other);
    await escrow(app(), 'acceptJob', { jobId: id }, one);
    return id;
  };
  const made = [
    await agentJob(),
    await posts(one),
    await takes(),
    await agentJob(),
    await takes(),
    await posts(one),
  ];
  await posts(other);
  const given = await takes();
  await escrow(app(), 'withdrawFromJob', { jobId: given }, one);
  const newest = made.toReversed();

  const page = async (args: string): Promise<Json> =>
    (
      await app().ask(
        `{ viewer { jobs(${args}) { edges { node { __typename id createdAt } } pageInfo { hasNextPage endCursor startCursor } } } }`,
        {},
        one,
      )
    ).viewer.jobs;
  expect(idsOf(await page('first: 50'))).toEqual(newest);
  for (const size of [1, 2, 4]) {
    const forwards: string[] = [];
    for (let after: string | null = null; ; ) {
      const found = await page(`first: ${size}${after === null ? '' : `, after: "${after}"`}`);
      forwards.push(...idsOf(found));
      if (!found.pageInfo.hasNextPage) break;
      after = found.pageInfo.endCursor;
    }
    expect(forwards).toEqual(newest);
  }
  const last = await page('last: 2');
  expect(idsOf(last)).toEqual(newest.slice(-2));
  expect(idsOf(await page(`last: 3, before: "${last.pageInfo.startCursor}"`))).toEqual(newest.slice(-5, -2));
  expect(idsOf(await page('first: 3, after: "unknown"'))).toEqual([]);
  expect((await page('first: 2')).edges.map(({ node }: Json) => node.__typename)).toEqual([
    'EscrowJob',
    'EscrowJob',
  ]);
});

it('shows the board, newest first, in one state or all, and where its feeds stand', async () => {
  const employer = await createUser(app(), 'a lister of the board', 10_000);
  const first = await escrow(app(), 'postJob', newJob(), employer);
  const second = await escrow(app(), 'postJob', newJob(), employer);
  await escrow(app(), 'cancelJob', { jobId: first.id }, employer);
  const board = async (args: string): Promise<Json> =>
    (
      await app().ask(
        `{ jobBoard(${args}) { feedCursor edges { node { id } } pageInfo { hasNextPage endCursor } } }`,
        {},
        employer,
      )
    ).jobBoard;
  const all = await board('first: 2');
  expect(idsOf(all)).toEqual([second.id, first.id]);
  expect(idsOf(await board(`first: 1, after: "${second.id}"`))).toEqual([first.id]);
  expect(idsOf(await board('first: 1, state: CANCELLED'))).toEqual([first.id]);
  expect(all.feedCursor).toBe(await app().services.feeds.log.cursor('jobs'));
});

it('knows which jobs go on, of either kind', async () => {
  const { db } = app().services;
  const open = [];
  for (const state of escrowJobStates) {
    const id = newId('esc');
    await db.query(
      `INSERT INTO escrow_jobs (id, employer, state, title, pay_sats, deadline, checklist, created_at, updated_at)
       VALUES ($1, 'usr', $2, '', 1, now(), '[]', now(), now())`,
      [id, state],
    );
    if (await isAnyJobOpen(db, id)) open.push(state);
  }
  expect(open).toEqual(['OPEN', 'ACCEPTED']);
  expect(await isAnyJobOpen(db, newId('esc'))).toBe(false);
  const { job } = await createJob(app(), 'Think.');
  expect(await isAnyJobOpen(db, job.id)).toBe(true);
});
