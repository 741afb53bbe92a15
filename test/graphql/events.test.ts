import { describe, expect, it } from 'vitest';
import { jobTopic } from '../../src/jobs/events.ts';
import { agentJobStates } from '../../src/jobs/machine.ts';
import { encodeCursor, parseCursor } from '../../src/platform/log/cursor.ts';
import { sessionTopic } from '../../src/sessions/events.ts';
import { useTestApp } from '../support/app.ts';
import type { As, Json, Received } from '../support/clients.ts';
import { createJob, debitSession, key, openSession, watchJob, watchSession } from '../support/operations.ts';
import { until } from '../support/until.ts';

const app = useTestApp();

const watchStates = `
  subscription ($id: ID!, $after: Cursor) {
    jobUpdated(id: $id, after: $after) {
      __typename cursor
      job { ... on AgentJob { state } }
      ... on JobPaymentConfirmed { state }
      ... on JobEvaluated { state }
      ... on JobWorkStarted { state }
    }
  }`;

/** How far a job has come. */
const rank = (state: string) => [...agentJobStates, ''].indexOf(state);

const kept = (events: readonly Json[]) =>
  events.filter(({ __typename }) => __typename !== 'JobProgressed' && __typename !== 'JobSnapshot');

/** The states that events brought, each once; and that the jobs beside them were never older, nor went back. */
function expectNoneOlder(events: readonly Json[]): string[] {
  const states: string[] = [];
  let newest = 0;
  for (const event of events) {
    const shown = rank(event.job.state);
    expect(shown).toBeGreaterThanOrEqual(newest);
    newest = shown;
    const state = event.__typename === 'JobCompleted' ? 'COMPLETE' : event.state;
    if (state === undefined) continue;
    expect(shown).toBeGreaterThanOrEqual(rank(state));
    if (!states.includes(state)) states.push(state);
  }
  return states;
}

const transitions = ['EVALUATING', 'AWAITING_WORK_PAYMENT', 'EXECUTING', 'COMPLETE'];

describe('the job beside an event of it', () => {
  it('is never older than the event, and never goes back: live, in a replay, and from one to the other', async () => {
    const { job, as } = await createJob(app(), 'Go on.');
    const live = app().watch(watchStates, { id: job.id }, as);
    await live.count(1);
    await app().pay(job.evalInvoice.paymentHash);
    await live.event('JobEvaluated');

    const midway = app().watch(watchStates, { id: job.id, after: 'START' }, as);
    await midway.event('JobEvaluated');
    const { workInvoice } = await app()
      .ask(
        'query ($id: ID!) { job(id: $id) { ... on AgentJob { workInvoice { paymentHash } } } }',
        { id: job.id },
        as,
      )
      .then(({ job: paid }) => paid);
    await app().pay(workInvoice.paymentHash);
    for (const watched of [live, midway]) await watched.event('JobCompleted');

    const replayed = app().watch(watchStates, { id: job.id, after: 'START' }, as);
    await replayed.event('JobCompleted');
    for (const watched of [live, midway, replayed]) {
      expect(expectNoneOlder(watched.events)).toEqual(transitions);
      expect(kept(watched.events).map(({ cursor }) => cursor)).toEqual(
        kept(live.events).map(({ cursor }) => cursor),
      );
    }
  });

  it('is as it is after each one that came by itself', async () => {
    const { job, as } = await createJob(app(), 'Go on.');
    const live = app().watch(watchStates, { id: job.id }, as);
    await live.count(1);
    expect(live.events[0].job.state).toBe('AWAITING_EVAL_PAYMENT');
    await app().pay(job.evalInvoice.paymentHash);
    const evaluated = await live.event('JobEvaluated');
    expect(evaluated.job.state).toBe('AWAITING_WORK_PAYMENT');
  });
});

/** A job that is done: its id, and whose it is. */
async function finishedJob(): Promise<{ id: string; as: As; topic: string }> {
  const { job, as } = await createJob(app(), 'Be done.');
  const watched = app().watch(watchJob, { id: job.id, after: 'START' }, as);
  await app().pay(job.evalInvoice.paymentHash);
  await app().pay((await watched.event('JobEvaluated')).workInvoice.paymentHash);
  await watched.event('JobCompleted');
  watched.unsubscribe();
  return { id: job.id, as, topic: jobTopic(job.id) };
}

const history = `
  query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
    job(id: $id) {
      cursor
      events(first: $first, after: $after, last: $last, before: $before) {
        trimmed
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges { cursor node { __typename id cursor } }
      }
    }
  }`;

const log = () => app().services.feeds.log;

describe('a history', () => {
  it('is the log of its feed, whole or in pages from either end, and its cursors are those of the feed', async () => {
    const { id, as, topic } = await finishedJob();
    const rows = await log().readPage(topic, 0, 100);
    const expected = rows.map((row) => ({
      cursor: encodeCursor(row),
      node: { __typename: row.event.type, id: row.event.id, cursor: encodeCursor(row) },
    }));
    expect(expected).toHaveLength(5);
    const read = async (args: object) => (await app().ask(history, { id, ...args }, as)).job.events;
    const whole = await read({});
    expect(whole.edges).toEqual(expected);
    expect(whole.trimmed).toBe(false);

    const forward = await read({ first: 2, after: expected[0]?.cursor });
    expect(forward.edges).toEqual(expected.slice(1, 3));
    expect(forward.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
    const backward = await read({ last: 2, before: expected[4]?.cursor });
    expect(backward.edges).toEqual(expected.slice(2, 4));
    expect((await read({ last: 2 })).edges).toEqual(expected.slice(-2));
    expect((await read({ first: 9, after: expected[1]?.cursor, before: expected[4]?.cursor })).edges).toEqual(
      expected.slice(2, 4),
    );

    const behind = app().watch(watchJob, { id, after: expected[2]?.cursor }, as);
    await behind.event('JobCompleted');
    expect(behind.events.map((event) => event.cursor)).toEqual(expected.slice(3).map((each) => each.cursor));
  });

  it('says when its beginning is no longer kept', async () => {
    const { id, as, topic } = await finishedJob();
    await app().services.db.query('DELETE FROM topic_events WHERE topic = $1 AND seq <= 3', [topic]);
    await app().services.db.query('UPDATE topics SET trimmed_to = 3 WHERE topic = $1', [topic]);
    const { job } = await app().ask(history, { id }, as);
    expect(job.events.trimmed).toBe(true);
    expect(job.events.edges.map((edge: Json) => parseCursor(edge.cursor, topic).seq)).toEqual([4, 5]);
  });

  it.each(['after', 'before'])('refuses what is no cursor of it as `%s`', async (argument) => {
    const { id, as, topic } = await finishedJob();
    const answer = async (cursor: string) =>
      (await app().send(history, { id, [argument]: cursor }, as)).errors?.[0]?.extensions;
    const refusal = { code: 'BAD_USER_INPUT', argument };
    expect(await answer('nonsense')).toEqual(refusal);
    expect(await answer(encodeCursor({ topic: `${topic}x`, epoch: '000000000000', seq: 1 }))).toEqual(
      refusal,
    );
    const [first] = await log().readPage(topic, 0, 1);
    expect(await answer(encodeCursor({ topic, epoch: '000000000000', seq: 1 }))).toEqual({
      code: 'CURSOR_EXPIRED',
      cursor: encodeCursor({ topic, epoch: String(first?.epoch), seq: 0 }),
    });
  });

  it.each([{ first: -1 }, { last: 101 }, { first: 101 }])('refuses a page of %j', async (size) => {
    const { id, as } = await finishedJob();
    const { errors } = await app().send(history, { id, ...size }, as);
    expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });
});

describe('a cursor that has expired', () => {
  const watchDebits = `
    subscription ($id: ID!, $after: Cursor) {
      sessionDebited(id: $id, after: $after) { cursor debitedSats }
    }`;

  it('is refused with where to begin anew, or answered with the present state', async () => {
    const { session, as } = await openSession(app(), 500);
    await app().pay(session.depositInvoice.paymentHash);
    const after = encodeCursor({ topic: sessionTopic(session.id), epoch: '000000000000', seq: 1 });
    const socket = app().socket(as, { lazy: false });

    const refused = app().watch(watchDebits, { id: session.id, after }, { socket });
    await until('the refusal', () => refused.errors);
    expect(refused.errors?.[0]?.extensions.code).toBe('CURSOR_EXPIRED');
    const anew = refused.errors?.[0]?.extensions.cursor;
    const shown = app().watch(watchSession, { id: session.id, after }, { socket });
    expect((await shown.count(1))[0]).toMatchObject({
      __typename: 'SessionSnapshot',
      reason: 'GAP',
      cursor: anew,
      session: { state: 'ACTIVE', balanceSats: 500 },
    });

    const service = { token: await app().token('meter', ['SERVICE']) };
    const input = { sessionId: session.id, amountSats: 7, idempotencyKey: key() };
    await app().ask(debitSession, { input }, service);
    const begun = app().watch(watchDebits, { id: session.id, after: anew }, { socket });
    expect((await begun.count(1))[0].debitedSats).toBe(7);
    expect((await shown.count(2))[1]).toMatchObject({ __typename: 'SessionDebited', balanceAfter: 493 });
  });
});

describe('an event that a newer version has written', () => {
  const closed = async (watched: Received) =>
    until('the end', () => (watched.ended ? (watched.errors?.[0] as unknown as CloseEvent) : undefined));

  it('ends a subscription by closing its socket with 1012, live and at each return: it is never skipped', async () => {
    const { id, as, topic } = await finishedJob();
    const first = app().watch(watchJob, { id, after: 'START' }, as);
    await first.event('JobCompleted');
    const { job: untouched, as: itsOwner } = await createJob(app(), 'Stay.');
    const other = app().watch(watchJob, { id: untouched.id }, itsOwner);
    await other.count(1);
    await app().services.db.transaction(async (tx) =>
      log().append(
        tx,
        { type: 'JobTeleported', facts: { jobId: id }, topics: [topic] },
        { type: 'JobWorkStarted', facts: { jobId: id, state: 'EXECUTING' }, topics: [topic] },
      ),
    );
    expect(await closed(first)).toMatchObject({ code: 1012, reason: 'Newer server needed' });
    expect(kept(first.events)).toHaveLength(5);
    for (let time = 0; time < 2; time += 1) {
      const again = app().watch(watchJob, { id, after: first.events.at(-1).cursor }, as);
      expect((await closed(again)).code).toBe(1012);
      expect(again.events).toEqual([]);
    }
    expect(other.ended).toBe(false);
  });

  it.each([
    ['type', `type = 'JobTeleported'`],
    ['shape', 'version = 2'],
  ])('in a replay, with an unknown %s, comes after all that were before it', async (_, change) => {
    const { id, as, topic } = await finishedJob();
    const rows = await log().readPage(topic, 0, 100);
    await app().services.db.query(`UPDATE events SET ${change} WHERE id = $1`, [rows[2]?.event.id]);
    const replayed = app().watch(watchJob, { id, after: 'START' }, as);
    expect((await closed(replayed)).code).toBe(1012);
    expect(replayed.events.map((event) => event.id)).toEqual(rows.slice(0, 2).map(({ event }) => event.id));
  });

  it('leaves the history that has it unanswered, for a while', async () => {
    const { id, as, topic } = await finishedJob();
    await app().services.db.query(
      `UPDATE events SET type = 'JobTeleported'
       WHERE id = (SELECT event_id FROM topic_events WHERE topic = $1 AND seq = 2)`,
      [topic],
    );
    const { errors } = await app().send(history, { id }, as);
    expect(errors?.[0]?.extensions).toEqual({ code: 'UNAVAILABLE', retryAfterMs: 1_000 });
    expect(app().logged.join('')).not.toContain('unexpected error');
  });
});
