import { describe, expect, it } from 'vitest';
import { describeJourneys } from '../clients/journeys.ts';
import { useNodes } from '../support/nodes.ts';
import { createJob, openSession, watchJob } from '../support/operations.ts';

const nodes = useNodes();

describe('commands on one node, subscriptions on the other', () => {
  describeJourneys(() => {
    const { one, two } = nodes();
    return { ...one, url: one.url, webSocketUrl: two.webSocketUrl, streamUrl: two.url };
  });
});

it('hears on one node what is not kept and was made on the other', async () => {
  const { one, two } = nodes();
  const { job, as } = await createJob(one, 'Count to three.');
  const watched = [one, two].map((node) => node.watch(watchJob, { id: job.id }, as));
  for (const each of watched) await each.event('JobSnapshot');
  await one.pay(job.evalInvoice.paymentHash);
  const { workInvoice } = await watched[0]!.event('JobEvaluated');
  await two.pay(workInvoice.paymentHash);
  for (const each of watched) {
    await each.event('JobCompleted');
    expect(each.events.map((event) => event.__typename)).toContain('JobProgressed');
    each.unsubscribe();
  }
});

it('takes a token, an access token and an idempotency key of one node on the other', async () => {
  const { one, two } = nodes();
  const as = { token: await one.token('alice') };
  const { viewer } = await two.ask('{ viewer { user { id } } }', {}, as);
  expect((await one.ask('{ viewer { user { id } } }', {}, as)).viewer).toEqual(viewer);

  const { session, accessToken } = await openSession(one, 500);
  const query = 'query ($id: ID!) { session(id: $id) { id } }';
  expect(await two.ask(query, { id: session.id }, { token: accessToken })).toEqual({
    session: { id: session.id },
  });

  const input = { prompt: 'Count.', idempotencyKey: 'the same key on both nodes' };
  const create = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { accessToken job { id } } }';
  const made = await Promise.all([one, two, one, two].map((node) => node.ask(create, { input })));
  expect(new Set(made.map((each) => JSON.stringify(each))).size).toBe(1);
});

it('ends the stream of a ticket when it is opened again, on the other node', async () => {
  const { one, two } = nodes();
  const as = { token: await one.token('eva') };
  const { job } = await createJob(one, 'Wait.', as);
  const { createTicket } = await one.ask('mutation { createTicket { ticket } }', {}, as);
  const open = (url: string) => {
    const address = new URL(url);
    address.searchParams.set('query', watchJob);
    address.searchParams.set('variables', JSON.stringify({ id: job.id }));
    address.searchParams.set('ticket', createTicket.ticket);
    return fetch(address, { headers: { accept: 'text/event-stream' } });
  };
  const first = await open(one.url);
  const second = await open(two.url);
  // Its end, which comes without \`complete\`.
  expect(await first.text()).not.toContain('event: complete');
  await second.body?.cancel();
});

it('ends the sockets of a revoked token on every node', async () => {
  const { one, two } = nodes();
  const as = { token: await one.token('bob') };
  const { job } = await createJob(one, 'Wait.', as);
  const watched = [one, two].map((node) => node.watch(watchJob, { id: job.id }, as));
  for (const each of watched) await each.event('JobSnapshot');
  await one.ask('mutation { signOut { signedOut } }', {}, as);
  for (const each of watched) await expect.poll(() => each.ended, { timeout: 30_000 }).toBe(true);
});
