import { beforeAll, describe, expect, it } from 'vitest';
import type { Context } from '../../../src/graphql/context.ts';
import { watchAsParty } from '../../../src/jobs/escrow/graphql-watch.ts';
import { escrowJobsByIds } from '../../../src/jobs/escrow/queries.ts';
import { useTestApp } from '../../support/app.ts';
import type { As, Json } from '../../support/clients.ts';
import {
  type EscrowMutation,
  escrow,
  escrowRefusal,
  newJob,
  readEscrowJob,
  watchBoard,
  watchEscrowJob,
} from '../../support/escrow.ts';
import { createJob, key } from '../../support/operations.ts';
import { createUser, walletOf } from '../../support/wallets.ts';

const app = useTestApp();

const names = ['employer', 'worker', 'stranger', 'formerWorker', 'service', 'admin'] as const;
type Name = (typeof names)[number];

const users = {} as Record<Name, { readonly id: string; readonly token: string }>;
let holder: As;
let id: string;

beforeAll(async () => {
  const roles: Partial<Record<Name, string[]>> = { service: ['SERVICE'], admin: ['ADMIN'] };
  for (const name of names) users[name] = await createUser(app(), `access ${name}`, 10_000, roles[name]);
  holder = (await createJob(app(), 'Something else.')).as;
  id = (await escrow(app(), 'postJob', newJob(), users.employer)).id;
  await escrow(app(), 'acceptJob', { jobId: id }, users.formerWorker);
  await escrow(app(), 'withdrawFromJob', { jobId: id }, users.formerWorker);
  await escrow(app(), 'acceptJob', { jobId: id }, users.worker);
  await escrow(app(), 'updateChecklist', { jobId: id, itemId: '1', completed: true }, users.worker);
});

const seeing: readonly Name[] = ['employer', 'worker', 'service', 'admin'];
const others = [
  ['a stranger', () => users.stranger],
  ['who has given it back', () => users.formerWorker],
  ['the holder of another job’s access token', () => holder],
] as const satisfies ReadonlyArray<readonly [string, () => As]>;

const history = `query ($id: ID!) {
  job(id: $id) { events(first: 50) { trimmed edges { node { __typename ... on JobAccepted { worker { id } } } } } }
}`;

const seqOf = (cursor: string) => Number(Buffer.from(cursor, 'base64url').toString().split('.')[1]);

const publicFields = { title: 'Paint a fence', jobType: 'painting', paySats: 1_000, payAmountUsd: 0.99 };

const codeOf = async (query: string, variables: object, as: As) =>
  (await app().send(query, { ...variables }, as)).errors?.[0]?.extensions.code;

describe('an escrowed job', () => {
  it.each(seeing)('shows all of itself to %s', async (name) => {
    const job = await readEscrowJob(app(), id, users[name]);
    expect(job).toMatchObject({
      ...publicFields,
      state: 'ACCEPTED',
      employer: { id: users.employer.id },
      worker: { id: users.worker.id },
    });
    expect(job.checklist).toHaveLength(3);
    expect(seqOf(job.cursor)).toBe(5);
    const told = (await app().ask(history, { id }, users[name])).job.events;
    expect(told.trimmed).toBe(false);
    expect(told.edges.map(({ node }: Json) => node.__typename)).toEqual([
      'JobPosted',
      'JobAccepted',
      'JobWithdrawn',
      'JobAccepted',
      'JobChecklistUpdated',
    ]);
    expect(told.edges[1].node.worker).toEqual(name === 'worker' ? null : { id: users.formerWorker.id });
    expect(told.edges[3].node.worker).toEqual({ id: users.worker.id });
  });

  it.each(others)('shows its public fields alone to %s', async (_name, as) => {
    const job = await readEscrowJob(app(), id, as());
    expect(job).toMatchObject({
      ...publicFields,
      state: 'ACCEPTED',
      employer: null,
      worker: null,
      checklist: null,
    });
    expect(seqOf(job.cursor)).toBe(0);
    expect((await app().ask(history, { id }, as())).job.events).toEqual({ trimmed: false, edges: [] });
    const { node } = await app().ask('query ($id: ID!) { node(id: $id) { __typename id } }', { id }, as());
    expect(node).toEqual({ __typename: 'EscrowJob', id });
  });

  it('is not shown to who presents nothing', async () => {
    for (const query of [
      'query ($id: ID!) { job(id: $id) { id } }',
      'query ($id: ID!) { node(id: $id) { id } }',
      '{ jobBoard { edges { node { id } } } }',
    ])
      expect(await codeOf(query, { id }, {})).toBe('UNAUTHENTICATED');
  });

  it.each(seeing)('tells %s what happens to it', async (name) => {
    const watched = app().watch(watchEscrowJob, { id }, users[name]);
    expect(await watched.event('JobSnapshot')).toMatchObject({
      job: { id, worker: { id: users.worker.id }, checklist: [{ completed: true }, {}, {}] },
    });
    watched.unsubscribe();
  });

  it.each(others)('does not tell %s what happens to it', async (_name, as) => {
    for (const after of [undefined, 'START']) {
      const watched = app().watch(watchEscrowJob, { id, after }, as());
      await expect.poll(() => watched.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
      expect(watched.events).toEqual([]);
    }
  });

  it.each(['employer', 'worker', 'service', 'admin', 'stranger'] as const)(
    'shows its public fields alone on the board, to %s as well',
    async (name) => {
      const watched = app().watch(watchBoard, { after: 'START' }, users[name]);
      await watched.count(4);
      expect(watched.events.map(({ __typename }) => __typename)).toEqual([
        'JobPosted',
        'JobAccepted',
        'JobWithdrawn',
        'JobAccepted',
      ]);
      for (const event of watched.events) {
        expect(event.worker ?? null).toBeNull();
        expect(event.job).toMatchObject({ ...publicFields, employer: null, worker: null, checklist: null });
        expect(seqOf(event.job.cursor)).toBe(0);
      }
      watched.unsubscribe();
    },
  );

  it('is not told to a worker who gives it back in the moment in which they subscribe', async () => {
    const { services } = app();
    const job = await escrow(app(), 'postJob', newJob({ paySats: 10 }), users.employer);
    await escrow(app(), 'acceptJob', { jobId: job.id }, users.worker);
    const user = { ...users.worker, roles: ['USER'] };
    const context = { services, viewer: { user, objects: new Set() } } as unknown as Context;
    const [accepted] = await escrowJobsByIds(services.db, [job.id]);
    const { view, confirm } = watchAsParty(context, accepted!);
    expect(view).toEqual({ access: 'PARTY', userId: users.worker.id });
    await expect(confirm?.()).resolves.toBe(2);
    await escrow(app(), 'withdrawFromJob', { jobId: job.id }, users.worker);
    await expect(confirm?.()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await escrow(app(), 'cancelJob', { jobId: job.id }, users.employer);
  });

  it('shows its parties in a list to them alone', async () => {
    const board = `{ jobBoard(state: ACCEPTED) { edges { node { id employer { id } worker { id } checklist { id } } } } }`;
    const of = async (as: As): Promise<Json> => (await app().ask(board, {}, as)).jobBoard.edges[0].node;
    expect(await of(users.worker)).toMatchObject({ employer: { id: users.employer.id } });
    expect(await of(users.stranger)).toEqual({ id, employer: null, worker: null, checklist: null });
    const { jobBoard } = await app().ask(
      '{ jobBoard(state: REFUNDED) { edges { node { id } } } }',
      {},
      holder,
    );
    expect(jobBoard.edges).toEqual([]);
  });
});

describe('a command', () => {
  const forbidden = { code: 'FORBIDDEN' };
  const byId = {
    acceptJob: ['employer'],
    withdrawFromJob: ['employer', 'stranger', 'formerWorker', 'service', 'admin'],
    updateChecklist: ['employer', 'stranger', 'formerWorker', 'service', 'admin'],
    completeJob: ['worker', 'stranger', 'formerWorker', 'service', 'admin'],
    cancelJob: ['worker', 'stranger', 'formerWorker', 'service', 'admin'],
  } as const satisfies Partial<Record<EscrowMutation, readonly Name[]>>;
  const inputOf = (name: string, jobId: string) =>
    name === 'updateChecklist' ? { jobId, itemId: '2', completed: true } : { jobId };
  const mutations = Object.keys(byId) as Array<keyof typeof byId>;

  it.each(mutations)('%s is refused to whoever may not', async (name) => {
    for (const user of byId[name])
      expect([user, await escrowRefusal(app(), name, inputOf(name, id), users[user])]).toEqual([
        user,
        forbidden,
      ]);
    expect(await escrowRefusal(app(), name, inputOf(name, id), {})).toEqual({ code: 'UNAUTHENTICATED' });
    expect(await escrowRefusal(app(), name, inputOf(name, id), holder)).toEqual(forbidden);
    expect(await readEscrowJob(app(), id, users.worker)).toMatchObject({
      state: 'ACCEPTED',
      checklist: [{ completed: true }, { completed: false }, { completed: false }],
    });
  });

  it.each(mutations)('%s says the same of what is not there', async (name) => {
    const { job } = await createJob(app(), 'An agent job.', users.employer);
    for (const jobId of [`esc_${'A'.repeat(22)}`, 'esc_short', '', job.id])
      expect(await escrowRefusal(app(), name, inputOf(name, jobId), users.employer)).toEqual(forbidden);
  });

  it('refuses what a job cannot be', async () => {
    const at = (ms: number) => new Date(Date.now() + ms).toISOString();
    const wrong: ReadonlyArray<readonly [string, object]> = [
      ['title', { title: '' }],
      ['title', { title: 'x'.repeat(201) }],
      ['jobType', { jobType: '' }],
      ['jobType', { jobType: 'x'.repeat(51) }],
      ['paySats', { paySats: 0 }],
      ['payAmountUsd', { payAmountUsd: -0.01 }],
      ['deadline', { deadline: at(-1) }],
      ['deadline', { deadline: at(366 * 24 * 3_600_000) }],
      ['checklist', { checklist: Array(51).fill('x') }],
      ['checklist', { checklist: [''] }],
      ['checklist', { checklist: ['x'.repeat(201)] }],
      ['idempotencyKey', { idempotencyKey: 'short' }],
    ];
    const before = await walletOf(app(), users.employer.id);
    for (const [argument, changes] of wrong)
      expect(await escrowRefusal(app(), 'postJob', newJob(changes), users.employer)).toEqual({
        code: 'BAD_USER_INPUT',
        argument,
      });
    expect(await escrowRefusal(app(), 'postJob', newJob({ paySats: 100_000 }), users.employer)).toEqual({
      code: 'INSUFFICIENT_FUNDS',
    });
    expect(await escrowRefusal(app(), 'postJob', newJob(), {})).toEqual({ code: 'UNAUTHENTICATED' });
    expect(await walletOf(app(), users.employer.id)).toBe(before);
  });

  it('posts a job that says no more than it must', async () => {
    const { title, paySats, deadline } = newJob();
    const job = await escrow(app(), 'postJob', { title, paySats, deadline }, users.employer);
    expect(job).toMatchObject({ title, jobType: null, payAmountUsd: null, checklist: [] });
  });

  it('refuses an item that the checklist has not', async () => {
    for (const itemId of ['0', '4', 'x', ''])
      expect(
        await escrowRefusal(app(), 'updateChecklist', { jobId: id, itemId, completed: true }, users.worker),
      ).toEqual({ code: 'BAD_USER_INPUT', argument: 'itemId' });
  });

  it('is refused in a state that it does not fit', async () => {
    const invalid = { code: 'CONFLICT', reason: 'INVALID_STATE' };
    const taken = { code: 'CONFLICT', reason: 'TAKEN' };
    const { employer, worker, stranger } = users;
    const post = async () =>
      (await escrow(app(), 'postJob', newJob({ paySats: 100 }), employer)).id as string;
    const open = await post();
    expect(await escrowRefusal(app(), 'completeJob', { jobId: open }, employer)).toEqual(invalid);
    await escrow(app(), 'acceptJob', { jobId: open }, worker);
    expect(await escrowRefusal(app(), 'cancelJob', { jobId: open }, employer)).toEqual(invalid);
    for (const late of [stranger, worker])
      expect(await escrowRefusal(app(), 'acceptJob', { jobId: open }, late)).toEqual(taken);
    await escrow(app(), 'completeJob', { jobId: open }, employer);
    expect(await escrowRefusal(app(), 'acceptJob', { jobId: open }, stranger)).toEqual(taken);
    expect(await escrowRefusal(app(), 'withdrawFromJob', { jobId: open }, worker)).toEqual(invalid);
    expect(
      await escrowRefusal(app(), 'updateChecklist', { jobId: open, itemId: '1', completed: true }, worker),
    ).toEqual(invalid);
    for (const name of ['completeJob', 'cancelJob'] as const)
      expect(await escrowRefusal(app(), name, { jobId: open }, employer)).toEqual(invalid);
    const cancelled = await post();
    await escrow(app(), 'cancelJob', { jobId: cancelled }, employer);
    expect(await escrowRefusal(app(), 'acceptJob', { jobId: cancelled }, worker)).toEqual(invalid);
  });

  it('does nothing when it is repeated, and is refused with another input', async () => {
    const { employer } = users;
    const worker = await createUser(app(), 'repeating worker');
    const repeat = async (name: EscrowMutation, input: object, as: As) => {
      const idempotencyKey = key();
      const answers = [];
      for (let times = 0; times < 3; times += 1)
        answers.push(await escrow(app(), name, { ...input, idempotencyKey }, as));
      const [first, ...again] = answers;
      for (const answer of again) expect(answer).toEqual(first);
      const another = name === 'postJob' ? newJob({ title: 'Another' }) : { ...inputOf(name, id) };
      expect(await escrowRefusal(app(), name, { ...another, idempotencyKey }, as)).toEqual({
        code: 'CONFLICT',
        reason: 'IDEMPOTENCY_KEY_REUSED',
      });
      return first;
    };
    const before = await walletOf(app(), employer.id);
    const { id: jobId } = await repeat('postJob', newJob({ paySats: 100 }), employer);
    expect(await walletOf(app(), employer.id)).toBe(before - 100);
    await repeat('acceptJob', { jobId }, worker);
    await repeat('updateChecklist', { jobId, itemId: '3', completed: true }, worker);
    await repeat('withdrawFromJob', { jobId }, worker);
    await escrow(app(), 'acceptJob', { jobId }, worker);
    await repeat('completeJob', { jobId }, employer);
    expect(await walletOf(app(), worker.id)).toBe(98);
    const cancelled = await escrow(app(), 'postJob', newJob({ paySats: 100 }), employer);
    await repeat('cancelJob', { jobId: cancelled.id }, employer);
    expect(await walletOf(app(), employer.id)).toBe(before - 100);
    const told = (await app().ask(history, { id: jobId }, employer)).job.events.edges;
    expect(told.map(({ node }: Json) => node.__typename)).toEqual([
      'JobPosted',
      'JobAccepted',
      'JobChecklistUpdated',
      'JobWithdrawn',
      'JobAccepted',
      'JobCompleted',
    ]);
  });
});
