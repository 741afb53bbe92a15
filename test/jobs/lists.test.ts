import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { createJob, watchJob } from '../support/operations.ts';

const app = useTestApp();

it('lists the jobs of a user, the newest first, and nobody else’s', async () => {
  const as = { token: await app().token('makes three') };
  const made = [];
  for (const prompt of ['one', 'two', 'three']) made.push(await createJob(app(), prompt, as));
  await createJob(app(), 'of another', { token: await app().token('makes one') });
  const list = `query ($after: String) {
    viewer { jobs(first: 2, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }
  }`;
  const ids = (page: Json) => page.viewer.jobs.edges.map(({ node }: Json) => node.id);
  const first = await app().ask(list, {}, as);
  const second = await app().ask(list, { after: first.viewer.jobs.pageInfo.endCursor }, as);
  expect([...ids(first), ...ids(second)]).toEqual(made.map(({ job }) => job.id).reverse());
  expect(second.viewer.jobs.pageInfo.hasNextPage).toBe(false);
});

it('shows the history of a job, as its feed has told it, and where the feed stands', async () => {
  const { job, as } = await createJob(app(), 'reject: this');
  const watched = app().watch(watchJob, { id: job.id, after: 'START' }, as);
  await app().pay(job.evalInvoice.paymentHash);
  const rejected = await watched.event('JobRejected');
  const query = `query ($id: ID!) {
    node(id: $id) {
      ... on AgentJob { prompt createdAt updatedAt cursor events { edges { node { id } } trimmed } }
    }
  }`;
  const { node } = await app().ask(query, { id: job.id }, as);
  expect(node.events.edges.map((edge: Json) => edge.node.id)).toEqual(watched.events.map(({ id }) => id));
  expect(node).toMatchObject({ prompt: 'reject: this', cursor: rejected.cursor, events: { trimmed: false } });
  expect(Date.parse(node.updatedAt)).toBeGreaterThanOrEqual(Date.parse(node.createdAt));
});

it('tells nothing of jobs and sessions that are not there', async () => {
  const as = { token: await app().token('asks around') };
  for (const field of ['job', 'session'])
    for (const id of ['job_AAAAAAAAAAAAAAAAAAAAAA', 'ses_AAAAAAAAAAAAAAAAAAAAAA', 'x', ''])
      expect(
        (await app().send(`query ($id: ID!) { ${field}(id: $id) { id } }`, { id }, as)).errors,
      ).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
});

it('takes prompts of 1 to 10,000 characters', async () => {
  for (const prompt of ['', 'x'.repeat(10_001), 'a\0b'])
    await expect(createJob(app(), prompt)).rejects.toThrow(/"argument":"prompt"/);
  for (const prompt of ['x', 'x'.repeat(10_000)])
    expect((await createJob(app(), prompt)).job.state).toBe('AWAITING_EVAL_PAYMENT');
});
