import { describe, expect, it } from 'vitest';
import { startTestApp, useTestApp } from '../support/app.ts';
import { appendEvent, holdDatabase, withoutTable } from '../support/faults.ts';
import { createJob, key, watchJob } from '../support/operations.ts';
import { openSocket } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { refusedDocuments } from '../support/refused-documents.ts';
import { until } from '../support/until.ts';
import { bearer, expectAlive, watchingSocket } from '../support/watching.ts';

const createJobMutation = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }';

describe('an operation that is refused', () => {
  const app = useTestApp({ LIMIT_SUBSCRIPTIONS_PER_CONNECTION: '3' });

  it('gets an error message, and the socket lives with all that runs on it', async () => {
    const { socket, job } = await watchingSocket(app());
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
    await expectAlive(app(), socket, job);
  });

  it('gets RATE_LIMITED when too many run already, until one is over', async () => {
    const { socket, job } = await watchingSocket(app());
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
    await expectAlive(app(), socket, job);
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
    const { socket, job, token } = await watchingSocket(app());
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
    await expectAlive(app(), socket, job);
  });

  it('ends a subscription, and says no more, when the log itself cannot be read', async () => {
    const { socket, job, token } = await watchingSocket(app());
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
    const { socket, job, token } = await watchingSocket(app);
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
    const held = await holdDatabase(app());
    for (const prompt of ['One.', 'Another.'])
      socket.subscribe('one', createJobMutation, { input: { prompt, idempotencyKey: key() } });
    expect((await socket.closed).code).toBe(4409);
    await held.release();
  });
});
