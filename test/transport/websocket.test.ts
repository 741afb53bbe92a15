import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { startTestApp, useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { appendEvent, holdDatabase, withoutTable } from '../support/faults.ts';
import { createJob, key, watchJob } from '../support/operations.ts';
import { openSocket, type RawSocket, refusedUpgrade } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { refusedDocuments } from '../support/refused-documents.ts';
import { until } from '../support/until.ts';

const createJobMutation = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }';

const bearer = (token: string) => ({ params: { authorization: `Bearer ${token}` } });

/** A socket that watches a job of its own. */
async function watchingSocket(
  app: ReturnType<typeof useTestApp>,
  subject = 'alice',
  expiresInSeconds = 3600,
): Promise<{ socket: RawSocket; job: Json; token: string }> {
  const token = await app().token(subject, ['USER'], expiresInSeconds);
  const { job } = await createJob(app(), 'Be watched.', { token });
  const socket = await openSocket(app().webSocketUrl, bearer(token));
  socket.subscribe('watch', watchJob, { id: job.id });
  await socket.count('watch', 1);
  return { socket, job, token };
}

/** Shows that a socket and its subscription live, by an event. */
async function expectAlive(app: ReturnType<typeof useTestApp>, socket: RawSocket, job: Json): Promise<void> {
  const before = socket.of('watch').length;
  await appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
  const messages = await socket.count('watch', before + 1);
  expect(messages.at(-1)).toMatchObject({
    type: 'next',
    payload: { data: { jobUpdated: { __typename: 'JobRejected', why: 'No.' } } },
  });
}

describe('an operation that is refused', () => {
  const app = useTestApp({ LIMIT_SUBSCRIPTIONS_PER_CONNECTION: '3' });

  it('gets an error message, and the socket lives with all that runs on it', async () => {
    const { socket, job } = await watchingSocket(app);
    for (const { name, query, variables, operationName, code, argument, message } of refusedDocuments) {
      socket.subscribe(name, query, variables, operationName);
      const messages = await socket.over(name);
      expect([name, messages]).toEqual([
        name,
        [{ id: name, type: 'error', payload: [expect.objectContaining({ extensions: expect.anything() })] }],
      ]);
      const [error] = messages[0].payload;
      expect([name, error.extensions]).toEqual([name, { code, ...(argument && { argument }) }]);
      if (message) expect(error.message).toMatch(message);
    }
    socket.subscribe('foreign', watchJob, { id: 'job_nothing' });
    expect(await socket.over('foreign')).toMatchObject([
      { type: 'error', payload: [{ path: ['jobUpdated'], extensions: { code: 'FORBIDDEN' } }] },
    ]);
    socket.subscribe('cursor', watchJob, { id: job.id, after: 'nonsense' });
    expect(await socket.over('cursor')).toMatchObject([
      { type: 'error', payload: [{ extensions: { code: 'BAD_USER_INPUT', argument: 'after' } }] },
    ]);
    await expectAlive(app, socket, job);
  });

  it('gets RATE_LIMITED when too many run already, until one is over', async () => {
    const { socket, job } = await watchingSocket(app);
    for (const id of ['second', 'third']) {
      socket.subscribe(id, watchJob, { id: job.id });
      await socket.count(id, 1);
    }
    socket.subscribe('fourth', watchJob, { id: job.id });
    expect(await socket.over('fourth')).toEqual([
      {
        id: 'fourth',
        type: 'error',
        payload: [
          {
            message: 'At most 3 operations at a time on one socket.',
            extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 },
          },
        ],
      },
    ]);
    await expectAlive(app, socket, job);
    socket.send({ id: 'third', type: 'complete' });
    await until('the third is over', () => app().hub.size().members === 1 + 2);
    socket.subscribe('fifth', watchJob, { id: job.id });
    expect(await socket.count('fifth', 1)).toMatchObject([{ type: 'next' }]);
  });

  it('is not told of the limits where there are none', async () => {
    const free = await startTestApp({ LIMIT_SUBSCRIPTIONS_PER_CONNECTION: '0' });
    const { job, as } = await createJob(free, 'Be watched by many.');
    const socket = await openSocket(free.webSocketUrl, bearer(as.token as string));
    for (let index = 0; index < 150; index += 1) socket.subscribe(`w${index}`, watchJob, { id: job.id });
    for (let index = 0; index < 150; index += 1)
      expect((await socket.count(`w${index}`, 1))[0].type).toBe('next');
  });
});

describe('an unexpected error', () => {
  const app = useTestApp();
  const masked = { message: 'Unexpected error.', extensions: { code: 'INTERNAL_SERVER_ERROR' } };

  it('tells the same, and nothing of what it was, on HTTP, SSE and WebSocket', async () => {
    const { socket, job, token } = await watchingSocket(app);
    const stream = await openStream(app().url, watchJob, { id: job.id }, { token });
    await stream.events(1);
    const readJob = 'query ($id: ID!) { job(id: $id) { id } }';

    const told = await withoutTable(app(), 'agent_jobs', async () => {
      await appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
      const [, overSocket] = await socket.count('watch', 2);
      const [, overSse] = await stream.events(2);
      socket.subscribe('query', readJob, { id: job.id });
      const [query] = await socket.over('query');
      socket.subscribe('refused', watchJob, { id: job.id });
      const [refused] = await socket.over('refused');
      const refusedStream = await openStream(app().url, watchJob, { id: job.id }, { token });
      const overHttp = await app().send(readJob, { id: job.id }, { token });
      return {
        inEvent: [overSocket.payload, overSse],
        inQuery: [query.payload, overHttp],
        ofSubscription: [refused.payload, JSON.parse(await refusedStream.end()).errors],
        status: refusedStream.status,
      };
    });

    for (const { errors, data } of told.inEvent) {
      expect(errors).toEqual([{ ...masked, path: ['jobUpdated', 'job'], locations: expect.anything() }]);
      expect(data.jobUpdated).toMatchObject({ __typename: 'JobRejected', why: 'No.', job: null });
    }
    for (const { errors, data } of told.inQuery) {
      expect(errors).toEqual([{ ...masked, path: ['job'], locations: expect.anything() }]);
      expect(data).toEqual({ job: null });
    }
    for (const errors of told.ofSubscription)
      expect(errors).toEqual([{ ...masked, path: ['jobUpdated'], locations: expect.anything() }]);
    expect(told.status).toBe(500);
    expect(JSON.stringify(told)).not.toMatch(/relation|agent_jobs|select|\bat \//i);
    expect(app().logged.join('')).toContain('relation \\"agent_jobs\\" does not exist');
    await expectAlive(app, socket, job);
  });

  it('ends a subscription, and says no more, when the log itself cannot be read', async () => {
    const { socket, job, token } = await watchingSocket(app);
    const stream = await openStream(app().url, watchJob, { id: job.id }, { token });
    await stream.events(1);
    const { feed, leave } = await app().hub.attach(`job:${job.id}`);
    await withoutTable(app(), 'events', async () => {
      // What is at hand no longer reaches back to where they stand.
      feed.jump(feed.head + 1);
      expect(await socket.over('watch')).toMatchObject([
        { type: 'next' },
        { type: 'error', payload: [masked] },
      ]);
      const text = await stream.end();
      expect(text).toContain(`data: ${JSON.stringify({ errors: [masked] })}\n\nevent: complete`);
    });
    leave();
    expect(socket.isOpen).toBe(true);
  });

  it('while credentials are looked at lets a socket come back later', async () => {
    const token = await app().token('alice');
    const told = await withoutTable(app(), 'users', async () => {
      const socket = await openSocket(app().webSocketUrl, bearer(token));
      const close = await socket.closed;
      const response = await fetch(app().url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: '{ viewer { roles } }' }),
      });
      return { close, status: response.status, body: await response.json() };
    });
    expect(told).toEqual({
      close: { code: 1013, reason: 'Try again later' },
      status: 500,
      body: { errors: [masked] },
    });
    expect(app().logged.join('')).toContain('relation \\"users\\" does not exist');
  });
});

describe('an event that only a newer server knows', () => {
  it('closes the socket with 1012, and is not skipped', async () => {
    const app = await startTestApp();
    const { socket, job, token } = await watchingSocket(() => app);
    const stream = await openStream(app.url, watchJob, { id: job.id }, { token });
    await stream.events(1);
    await appendEvent(app, `job:${job.id}`, 'JobPainted', { jobId: job.id });
    expect(await socket.closed).toEqual({ code: 1012, reason: 'Newer server needed' });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
    // An EventSource comes back of itself, unless it is told that it is over.
    expect(await stream.end()).not.toMatch(/complete|newer/);
    expect(stream.blocks.filter(({ event }) => event)).toHaveLength(1);
    await until('both have left', () => app.hub.size().members === 1);
  });
});

describe('credentials', () => {
  const app = useTestApp();

  it('that expire while the socket is open close it with 4403', async () => {
    const { socket } = await watchingSocket(app, 'alice', 2);
    expect(await socket.closed).toEqual({ code: 4403, reason: 'Token expired' });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
    await until('its subscription is over', () => app().hub.size().members === 1);
  });

  it('that are signed out close every socket and stream of their token with 4401, and are refused', async () => {
    const { socket, job, token } = await watchingSocket(app);
    const other = await watchingSocket(app);
    const stream = await openStream(app().url, watchJob, { id: job.id }, { token });
    await stream.events(1);
    expect(await app().ask('mutation { signOut { signedOut } }', {}, { token })).toEqual({
      signOut: { signedOut: true },
    });
    expect(await socket.closed).toEqual({ code: 4401, reason: 'Token revoked' });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
    expect(await stream.end()).not.toContain('complete');
    const { errors } = await app().send('{ viewer { roles } }', {}, { token });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' });
    const again = await openSocket(app().webSocketUrl, bearer(token));
    expect(await again.closed).toMatchObject({ code: 4401 });
    expect((await openStream(app().url, watchJob, { id: job.id }, { token })).status).toBe(401);
    await expectAlive(app, other.socket, other.job);
  });

  it('of a user are revoked all together, by their id', async () => {
    const admin = await app().token('root', ['ADMIN']);
    const first = await watchingSocket(app, 'bob');
    const second = await watchingSocket(app, 'bob');
    const other = await watchingSocket(app, 'carol');
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token: first.token });
    const revoke = 'mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) { revoked } }';
    const input = { userId: viewer.user.id };
    expect(await app().ask(revoke, { input }, { token: admin })).toEqual({ revokeTokens: { revoked: true } });
    for (const { socket, token } of [first, second]) {
      expect(await socket.closed).toEqual({ code: 4401, reason: 'Token revoked' });
      const { errors } = await app().send('{ viewer { roles } }', {}, { token });
      expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    }
    await expectAlive(app, other.socket, other.job);
  });

  it('are revoked one by one, by the id of the token', async () => {
    const admin = await app().token('root', ['ADMIN']);
    const { socket, token } = await watchingSocket(app, 'dave');
    const other = await watchingSocket(app, 'dave');
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
    await app().ask(`mutation { revokeTokens(input: { jti: "${jti}" }) { revoked } }`, {}, { token: admin });
    expect(await socket.closed).toEqual({ code: 4401, reason: 'Token revoked' });
    await expectAlive(app, other.socket, other.job);
  });

  it.each(['{}', '{ userId: "usr_x", jti: "x" }', '{ jti: "" }', '{ userId: "\\u0000" }'])(
    'are not revoked by %s',
    async (input) => {
      const token = await app().token('root', ['ADMIN']);
      const { errors } = await app().send(
        `mutation { revokeTokens(input: ${input}) { revoked } }`,
        {},
        { token },
      );
      expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    },
  );

  it('of who has gone while they were looked at leave nothing behind', async () => {
    const token = await app().token('alice');
    const { size } = app().connections;
    const held = holdDatabase(app());
    const socket = await openSocket(app().webSocketUrl, { init: false });
    socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    await socket.close();
    await held.release();
    // Whatever the database was asked before this has been answered.
    await app().ask('{ viewer { roles } }');
    await until('nothing is left', () => app().connections.size === size);
  });

  it.each([undefined, {}, { authorization: null }, { Authorization: undefined }])(
    'may be missing: %j',
    async (params) => {
      const socket = await openSocket(app().webSocketUrl, params ? { params } : {});
      socket.subscribe('viewer', '{ viewer { roles } }');
      expect(await socket.over('viewer')).toEqual([
        { id: 'viewer', type: 'next', payload: { data: { viewer: null } } },
        { id: 'viewer', type: 'complete' },
      ]);
    },
  );
});

describe('the protocol', () => {
  const app = useTestApp({ LIMIT_MESSAGE_BYTES: '1024' });

  it.each([{}, { 'sec-websocket-protocol': 'graphql-ws' }])(
    'is graphql-transport-ws: with another one it ends with 4406 (%j)',
    async (headers) => {
      const socket = await openSocket(app().webSocketUrl, { protocol: [], headers, init: false });
      expect(await socket.closed).toEqual({ code: 4406, reason: 'Subprotocol not acceptable' });
    },
  );

  it.each([
    ['a message of another language', 'hello', 4400],
    [
      'an operation before the introduction',
      { id: 'x', type: 'subscribe', payload: { query: '{ a }' } },
      4401,
    ],
    ['a second introduction', { type: 'connection_init' }, 4429],
    ['a message that is too large', 'x'.repeat(1025), 1009],
  ])('ends at %s', async (_name, message, code) => {
    const socket = await openSocket(app().webSocketUrl, { init: code === 4429 });
    socket.send(message);
    expect((await socket.closed).code).toBe(code);
  });

  it('ends at two operations of one id', async () => {
    const socket = await openSocket(app().webSocketUrl);
    const held = holdDatabase(app());
    for (const prompt of ['One.', 'Another.'])
      socket.subscribe('one', createJobMutation, { input: { prompt, idempotencyKey: key() } });
    expect((await socket.closed).code).toBe(4409);
    await held.release();
  });
});

describe('an upgrade', () => {
  it('is accepted from a page of the server itself and of the allowed origins, else refused with 403', async () => {
    const app = await startTestApp({ ALLOWED_ORIGINS: 'https://app.example,https://other.example' });
    for (const origin of ['https://elsewhere.example', 'null', 'http://127.0.0.1', 'nonsense'])
      expect([origin, await refusedUpgrade(app.webSocketUrl as string, { origin })]).toEqual([origin, 403]);
    for (const origin of ['https://app.example', 'https://other.example', new URL(app.url).origin])
      expect((await openSocket(app.webSocketUrl, { headers: { origin } })).isOpen).toBe(true);
    expect(await refusedUpgrade(app.webSocketUrl as string, { origin: 'https://app.example.evil' })).toBe(
      403,
    );
  });

  it('is answered 404 on another path, also on one that cannot be read', async () => {
    const app = await startTestApp({ WEBSOCKET_PATH: '/live' });
    const origin = new URL('/', app.url.replace('http', 'ws')).href.slice(0, -1);
    expect(app.webSocketUrl).toBe(`${origin}/live`);
    for (const path of ['/graphql', '/', '/live/', '//'])
      expect([path, await refusedUpgrade(`${origin}${path}`)]).toEqual([path, 404]);
    expect((await openSocket(app.webSocketUrl)).isOpen).toBe(true);
  });

  it('is answered 404 where WebSocket is switched off, and HTTP and SSE go on', async () => {
    const app = await startTestApp({ WEBSOCKET_ENABLED: 'false' });
    expect(app.webSocketUrl).toBeUndefined();
    expect(await refusedUpgrade(app.url.replace('http', 'ws'))).toBe(404);
    const { job, as } = await createJob(app, 'Be watched.');
    const stream = await openStream(app.url, watchJob, { id: job.id }, as);
    expect((await stream.events(1))[0].data.jobUpdated.__typename).toBe('JobSnapshot');
    expect(await (await fetch(new URL('/metrics', app.url))).text()).toContain('satwire_websockets 0');
  });

  it('is taken at its own port where it has one, and there alone', async () => {
    const port = await freePort();
    const app = await startTestApp({ WEBSOCKET_PORT: String(port) });
    expect(app.webSocketUrl).toBe(`ws://127.0.0.1:${port}/graphql`);
    expect((await openSocket(app.webSocketUrl)).isOpen).toBe(true);
    expect(await refusedUpgrade(app.url.replace('http', 'ws'))).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(426);
    expect((await fetch(new URL('/health', app.url))).status).toBe(200);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

describe('stopping', () => {
  it('closes sockets with 1001, and ends streams, without telling that anything is complete', async () => {
    const app = await startTestApp();
    const { socket, job, token } = await watchingSocket(() => app);
    const silent = await openSocket(app.webSocketUrl, { init: false });
    const stream = await openStream(app.url, watchJob, { id: job.id }, { token });
    await stream.events(1);
    const started = Date.now();
    await app.stop();
    expect(await socket.closed).toEqual({ code: 1001, reason: 'Going away' });
    expect(await silent.closed).toMatchObject({ code: 1001 });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
    expect(await stream.end()).not.toContain('complete');
    expect(app.connections.size).toBe(0);
    expect(Date.now() - started).toBeLessThan(2_500);
  });
});
