import { describe, expect, it } from 'vitest';
import type { Received } from '../support/clients.ts';
import { escrow, escrowRefusal, newJob, watchBoard, watchEscrowJob } from '../support/escrow.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { type Node, type Nodes, useNodes, userMaker } from '../support/nodes.ts';
import { key } from '../support/operations.ts';
import { until } from '../support/until.ts';
import { createUser, walletOf } from '../support/wallets.ts';

const activity = `
  subscription ($after: Cursor) {
    activity(after: $after) { __typename }
  }`;

/** What was told of one job, in order, without its snapshot. */
const toldOf = (received: Received, id: string): string[] =>
  received.events
    .filter(({ __typename, job }) => __typename !== 'JobSnapshot' && job.id === id)
    .map(({ __typename }) => __typename);

/** Has a job posted and judged on one node and done on the other, before eyes on both. */
async function expectPay(nodes: Nodes, here: Node, there: Node): Promise<void> {
  const maker = userMaker(nodes);
  const [employer, worker, stranger] = await Promise.all([
    createUser(maker, `employer ${key()}`, 1_000),
    createUser(maker, `worker ${key()}`),
    createUser(maker, `stranger ${key()}`),
  ]);
  const boards = [here, there].map((node) => node.watch(watchBoard, { after: 'START' }, stranger));
  const { id } = await escrow(here, 'postJob', newJob({ checklist: ['All of it'] }), employer);
  const employers = [here, there].map((node) => node.watch(watchEscrowJob, { id, after: 'START' }, employer));
  await escrow(there, 'acceptJob', { jobId: id }, worker);
  const workers = [here, there].map((node) => node.watch(watchEscrowJob, { id, after: 'START' }, worker));
  const activities = [here, there].map((node) => node.watch(activity, { after: 'START' }, worker));
  await escrow(there, 'updateChecklist', { jobId: id, itemId: '1', completed: true }, worker);
  await escrow(here, 'completeJob', { jobId: id }, employer);

  for (const each of [...employers, ...workers]) {
    await each.event('JobCompleted');
    expect(toldOf(each, id)).toEqual(['JobPosted', 'JobAccepted', 'JobChecklistUpdated', 'JobCompleted']);
    expect(each.events.at(-1)).toMatchObject({ paymentReleased: true, paidSats: 980 });
  }
  for (const board of boards) {
    await until('the board to tell of the end', () => toldOf(board, id).at(-1) === 'JobCompleted');
    expect(toldOf(board, id)).toEqual(['JobPosted', 'JobAccepted', 'JobCompleted']);
    for (const { job } of board.events)
      expect(job).toMatchObject({ employer: null, worker: null, checklist: null });
  }
  for (const each of activities) {
    await each.count(4);
    expect(each.events.map(({ __typename }) => __typename)).toEqual([
      'JobAccepted',
      'JobChecklistUpdated',
      'WalletCredited',
      'JobCompleted',
    ]);
  }
  expect(await walletOf(maker, worker.id)).toBe(980);
}

describe.each([
  ['with Redis', {}],
  ['without Redis', { REDIS_URL: '' }],
])('%s', (_how, env) => {
  const nodes = useNodes(env);

  it('a job is posted on one node, done on the other, paid, and told on both', async () => {
    const { one, two, db } = nodes();
    await expectPay(nodes(), one, two);
    await expectPay(nodes(), two, one);
    await expectMoneyAddsUp(db);
  });

  it('is accepted by one of many who come through both nodes', async () => {
    const { one, two, db } = nodes();
    const maker = userMaker(nodes());
    const employer = await createUser(maker, `employer ${key()}`, 1_000);
    const workers = await Promise.all(Array.from({ length: 20 }, () => createUser(maker, `worker ${key()}`)));
    const { id } = await escrow(one, 'postJob', newJob(), employer);
    const refusals = await Promise.all(
      workers.map((who, n) => escrowRefusal(n % 2 ? one : two, 'acceptJob', { jobId: id }, who)),
    );
    const outcomes = refusals.map((refusal) => refusal?.reason ?? 'DONE');
    expect(outcomes.sort()).toEqual(['DONE', ...Array(19).fill('TAKEN')]);
    await expectMoneyAddsUp(db);
  });

  it('gives the pay back at the deadline, by one node alone, and tells of it on both', async () => {
    const { one, two, db } = nodes();
    const maker = userMaker(nodes());
    const employer = await createUser(maker, `employer ${key()}`, 1_000);
    const deadline = new Date(Date.now() + 3_000).toISOString();
    const { id } = await escrow(one, 'postJob', newJob({ deadline }), employer);
    const watching = [one, two].map((node) => node.watch(watchEscrowJob, { id, after: 'START' }, employer));
    for (const each of watching) {
      expect(await each.event('JobRefunded')).toMatchObject({ refundedSats: 1_000 });
      expect(toldOf(each, id)).toEqual(['JobPosted', 'JobRefunded']);
    }
    expect(await walletOf(maker, employer.id)).toBe(1_000);
    await expectMoneyAddsUp(db);
  });
});
