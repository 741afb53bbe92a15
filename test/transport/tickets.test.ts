import { describe, expect, it } from 'vitest';
import { startTestApp, type TestApp, useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { movableClock, standingClock } from '../support/clock.ts';
import { appendEvent, withoutTable } from '../support/faults.ts';
import { createJob, key, openSession, watchJob, watchSession } from '../support/operations.ts';
import { openSocket } from '../support/raw-socket.ts';
import { openStream, type RawStream } from '../support/raw-sse.ts';
import { until } from '../support/until.ts';

const clock = movableClock();
const app = useTestApp({}, { clock });

const createTicket = 'mutation { createTicket { ticket expiresAt } }';

async function ticketOf(as: As, of: TestApp = app()): Promise<{ ticket: string; expiresAt: string }> {
  return (await of.ask(createTicket, {}, as)).createTicket;
}

/** Opens a stream as an EventSource does: by a URL, and no header but that of its last event. */
function withTicket(ticket: string, query: string, variables: object, headers = {}): Promise<RawStream> {
  return openStream(app().url, query, variables, { get: true, parameters: { ticket }, headers });
}

async function aliceAndHerJob(): Promise<{ job: Json; token: string; ticket: string }> {
  const token = await app().token('alice');
  const { job } = await createJob(app(), 'Be watched.', { token });
  const { ticket } = await ticketOf({ token });
  return { job, token, ticket };
}

const refusal = {
  errors: [
    { message: 'The token is not valid.', extensions: { code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' } },
  ],
};

async function expectRefused(stream: RawStream): Promise<void> {
  expect(stream.status).toBe(401);
  expect(JSON.parse(await stream.end())).toEqual(refusal);
}

describe('a ticket', () => {
  it('stands for the credentials that it was made with', async () => {
    const { job, ticket, token } = await aliceAndHerJob();
    const stream = await withTicket(ticket, watchJob, { id: job.id });
    expect((await stream.events(1))[0].data.jobUpdated.job.id).toBe(job.id);
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token });
    const other = await ticketOf({ token });
    const asked = await withTicket(other.ticket, '{ viewer { user { id } } }', {});
    expect((await asked.events(1))[0].data).toEqual({ viewer });
  });

  it('is bound by its first use to that document and those variables', async () => {
    const { job, token, ticket } = await aliceAndHerJob();
    const second = await createJob(app(), 'Be watched too.', { token });
    const first = await withTicket(ticket, watchJob, { id: job.id });
    await first.events(1);
    await expectRefused(await withTicket(ticket, watchJob, { id: second.job.id }));
    await expectRefused(await withTicket(ticket, watchJob, { id: job.id, after: 'START' }));
    await expectRefused(await withTicket(ticket, `${watchJob} `, { id: job.id }));
    await expectRefused(await withTicket(ticket, '{ viewer { roles } }', {}));
    const named = { get: true, parameters: { ticket, operationName: 'Named' } };
    const query = watchJob.replace('subscription', 'subscription Named');
    await expectRefused(await openStream(app().url, query, { id: job.id }, named));
    // What was refused has not ended the stream that is there.
    expect(first.ended).toBe(false);
    await appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
    expect((await first.events(2))[1].data.jobUpdated.why).toBe('No.');
  });

  it('is not bound by what is no operation', async () => {
    const { job, ticket } = await aliceAndHerJob();
    expect((await withTicket(ticket, 'subscription {', {})).status).toBe(400);
    expect((await withTicket(ticket, '{ nothing }', {})).status).toBe(400);
    expect((await withTicket(ticket, watchJob, { id: job.id })).status).toBe(200);
  });

  it('is good for the same again, which ends the response before', async () => {
    const { job, ticket } = await aliceAndHerJob();
    const older = await withTicket(ticket, watchJob, { id: job.id });
    const [snapshot] = await older.events(1);
    const newer = await withTicket(
      ticket,
      watchJob,
      { id: job.id },
      { 'last-event-id': snapshot.data.jobUpdated.cursor },
    );
    expect(newer.status).toBe(200);
    expect(await older.end()).not.toContain('complete');
    await appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
    const [event] = await newer.events(1);
    expect(event.data.jobUpdated).toMatchObject({ __typename: 'JobRejected', why: 'No.' });
    expect(event.data.jobUpdated.cursor).not.toBe(snapshot.data.jobUpdated.cursor);
    await until('one is left', () => app().hub.size().members === 2);
    newer.close();
    await until('none is left', () => app().hub.size().members === 1);
    expect((await withTicket(ticket, watchJob, { id: job.id })).status).toBe(200);
  });

  it('works for the holder of access tokens, for what these open', async () => {
    const { job, accessToken } = await createJob(app(), 'Mine.');
    const { session, accessToken: further } = await openSession(app(), 200);
    const made = await ticketOf({ token: accessToken, accessTokens: [further] });
    const days = (Date.parse(made.expiresAt) - clock.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29);
    expect(days).toBeLessThanOrEqual(30);
    const first = await withTicket(made.ticket, watchJob, { id: job.id });
    expect((await first.events(1))[0].data.jobUpdated.job.id).toBe(job.id);
    await expectRefused(await withTicket(made.ticket, watchSession, { id: session.id }));
    const again = await withTicket(made.ticket, watchJob, { id: job.id });
    await again.events(1);
    await first.end();
    const { ticket } = await ticketOf({ accessTokens: [further] });
    const second = await withTicket(ticket, watchSession, { id: session.id });
    expect((await second.events(1))[0].data.sessionUpdated.session.id).toBe(session.id);
    const foreign = await ticketOf({ accessTokens: [further] });
    expect((await withTicket(foreign.ticket, watchJob, { id: job.id })).status).toBe(403);
  });

  it('needs credentials to be made', async () => {
    const { errors } = await app().send(createTicket);
    expect(errors?.[0]?.extensions).toEqual({ code: 'UNAUTHENTICATED' });
  });

  it('is worth nothing in a POST, as a bearer token, or on a WebSocket', async () => {
    const { job, ticket } = await aliceAndHerJob();
    const url = new URL(app().url);
    url.searchParams.set('ticket', ticket);
    const posted = await openStream(url.href, watchJob, { id: job.id });
    expect(posted.status).toBe(401);
    expect(JSON.parse(await posted.end()).errors[0].message).toBe('This needs credentials.');
    await expectRefused(await openStream(app().url, watchJob, { id: job.id }, { token: ticket }));
    await expectRefused(await openStream(app().url, watchJob, { id: job.id }, { accessTokens: [ticket] }));
    const socket = await openSocket(app().webSocketUrl, { params: { authorization: `Bearer ${ticket}` } });
    expect(await socket.closed).toMatchObject({ code: 4401 });
    const webSocketUrl = `${app().webSocketUrl}?ticket=${ticket}`;
    const presented = await openSocket(webSocketUrl, { params: { ticket } });
    expect(await presented.closed).toMatchObject({ code: 4401 });
    const anonymous = await openSocket(webSocketUrl);
    anonymous.subscribe('job', watchJob, { id: job.id });
    expect((await anonymous.over('job'))[0].payload[0].extensions.code).toBe('UNAUTHENTICATED');
    expect((await withTicket(ticket, watchJob, { id: job.id })).status).toBe(200);
  });

  it('opens no mutation', async () => {
    const { ticket } = await aliceAndHerJob();
    const stream = await withTicket(ticket, 'mutation { signOut { signedOut } }', {});
    expect(stream.status).toBe(405);
  });

  it.each([
    ['nothing', ''],
    ['a prefix', 'tkt_'],
    ['made up', 'tkt_nothing'],
    ['not to be stored', '\u0000'],
    ['long', 'x'.repeat(3_000)],
  ])('is not what is %s', async (_name, ticket) => {
    const { job } = await aliceAndHerJob();
    await expectRefused(await withTicket(ticket, watchJob, { id: job.id }));
  });
});

describe('the end of a ticket', () => {
  it('comes with the expiry of its token', async () => {
    const own = movableClock();
    const aged = await startTestApp({}, { clock: own });
    const token = await aged.token('alice', ['USER'], 60);
    const { job } = await createJob(aged, 'Be watched.', { token });
    const { ticket, expiresAt } = await ticketOf({ token }, aged);
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
    expect(Date.parse(expiresAt)).toBe(exp * 1000);
    const get = { get: true, parameters: { ticket } };
    expect((await openStream(aged.url, watchJob, { id: job.id }, get)).status).toBe(200);
    own.advance(60_000);
    await expectRefused(await openStream(aged.url, watchJob, { id: job.id }, get));
    const fromAccessToken = await createJob(aged, 'Anonymous.');
    const long = await ticketOf(fromAccessToken.as, aged);
    own.advance(31 * 24 * 3_600_000);
    const late = { get: true, parameters: { ticket: long.ticket } };
    await expectRefused(await openStream(aged.url, watchJob, { id: fromAccessToken.job.id }, late));
  });

  it('ends its stream, without telling that it is complete', async () => {
    const standing = standingClock();
    const aging = await startTestApp({}, { clock: standing });
    const token = await aging.token('alice', ['USER'], 1);
    const { job } = await createJob(aging, 'Be watched.', { token });
    const { ticket } = await ticketOf({ token }, aging);
    const get = { get: true, parameters: { ticket } };
    const stream = await openStream(aging.url, watchJob, { id: job.id }, get);
    await stream.events(1);
    standing.advance(26_000);
    expect(await stream.end()).not.toContain('complete');
    await expectRefused(await openStream(aging.url, watchJob, { id: job.id }, get));
  });

  it('comes with the revocation of its token', async () => {
    const { job, token, ticket } = await aliceAndHerJob();
    const unused = await ticketOf({ token });
    const stream = await withTicket(ticket, watchJob, { id: job.id });
    await stream.events(1);
    await app().ask('mutation { signOut { signedOut } }', {}, { token });
    expect(await stream.end()).not.toContain('complete');
    await expectRefused(await withTicket(ticket, watchJob, { id: job.id }));
    await expectRefused(await withTicket(unused.ticket, watchJob, { id: job.id }));
  });

  it('comes with the revocation of all tokens of its user', async () => {
    const admin = await app().token('root', ['ADMIN']);
    const token = await app().token('zoe');
    const { job } = await createJob(app(), 'Be watched.', { token });
    const { ticket } = await ticketOf({ token });
    const stream = await withTicket(ticket, watchJob, { id: job.id });
    await stream.events(1);
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token });
    await app().ask(
      'mutation ($id: ID!) { revokeTokens(input: { userId: $id }) { revoked } }',
      { id: viewer.user.id },
      { token: admin },
    );
    expect(await stream.end()).not.toContain('complete');
    await expectRefused(await withTicket(ticket, watchJob, { id: job.id }));
  });
});

describe('secrets', () => {
  it('reach no log, whatever goes wrong', async () => {
    const { job, token, ticket } = await aliceAndHerJob();
    const { accessToken } = await createJob(app(), 'Anonymous.');
    const idempotencyKey = key();
    const secrets = { ticket, token, accessToken, idempotencyKey };
    const get = (parameters: Record<string, string>) =>
      openStream(app().url, watchJob, { id: job.id }, { get: true, parameters });

    await withoutTable(app(), 'tickets', async () => expect((await get({ ticket })).status).toBe(500));
    await withoutTable(app(), 'agent_jobs', async () => expect((await get({ ticket })).status).toBe(500));
    await withoutTable(app(), 'access_tokens', async () => {
      const { errors } = await app().send('{ viewer { roles } }', {}, { token: accessToken });
      expect(errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
    });
    await withoutTable(app(), 'idempotency_keys', async () => {
      const { errors } = await app().send(
        'mutation ($input: CreateJobInput!) { createJob(input: $input) { accessToken } }',
        { input: { prompt: 'A private matter.', idempotencyKey } },
      );
      expect(errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
    });
    expect((await get({ ticket, variables: 'nonsense' })).status).toBe(400);
    expect((await get({ ticket: `${ticket}x` })).status).toBe(401);

    const logged = app().logged.join('');
    expect(logged.match(/does not exist/g)?.length).toBeGreaterThanOrEqual(4);
    for (const [name, secret] of Object.entries(secrets))
      expect([name, logged.includes(secret)]).toEqual([name, false]);
    expect(logged).not.toContain('A private matter.');
  });

  it('are in the database as hashes alone', async () => {
    const { job, ticket } = await aliceAndHerJob();
    await withTicket(ticket, watchJob, { id: job.id });
    const rows = await app().services.db.query<{ row: string }>('SELECT t::text AS row FROM tickets t');
    expect(rows.map(({ row }) => row).join('\n')).not.toContain(ticket.slice(4));
  });
});
