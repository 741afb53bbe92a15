import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSchema, createYoga } from 'graphql-yoga';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createConnections } from '../../src/platform/auth/connections.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { parseCursor } from '../../src/platform/log/cursor.ts';
import { useResumableSse } from '../../src/transport/sse.ts';
import { useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { appendEvent, holdDatabase } from '../support/faults.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { connectRaw } from '../support/raw-http.ts';
import { openStream } from '../support/raw-sse.ts';
import { refusedDocuments } from '../support/refused-documents.ts';
import { until } from '../support/until.ts';
import { anonymous } from '../support/viewers.ts';

const app = useTestApp();
const activity = 'subscription ($after: Cursor) { activity(after: $after) { __typename id cursor } }';

/** Lets something happen to a job. */
const reject = (job: Json, reason: string) =>
  appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason });

/** Waits until nobody watches but the server itself. */
const allGone = () => until('everybody has left', () => app().hub.size().members === 1);

describe('a stream', () => {
  it('begins with the id of its present position and no data', async () => {
    const token = await app().token('alice');
    const { viewer } = await app().ask('{ viewer { activityCursor user { id } } }', {}, { token });
    const stream = await openStream(app().url, activity, {}, { token });
    const blocks = await stream.count(1);
    expect(blocks).toEqual([{ retry: '1000', id: viewer.activityCursor }]);
    expect(parseCursor(viewer.activityCursor, `user:${viewer.user.id}`).seq).toBe(0);
    expect(stream).toMatchObject({ status: 200, contentType: 'text/event-stream' });
  });

  it('gives every event the id that is its cursor', async () => {
    const { job, as } = await createJob(app(), 'Be watched.');
    const stream = await openStream(app().url, watchJob, { id: job.id }, as);
    for (const reason of ['One.', 'Two.']) await reject(job, reason);
    const events = await stream.events(3);
    const blocks = stream.blocks.filter(({ event }) => event === 'next');
    expect(blocks.map(({ id }) => id)).toEqual(events.map(({ data }) => data.jobUpdated.cursor));
    expect(new Set(blocks.map(({ id }) => id)).size).toBe(3);
    expect(stream.blocks[0]).toEqual({ retry: '1000', id: expect.any(String) });
    expect(parseCursor(stream.blocks[0]?.id as string, `job:${job.id}`)).toMatchObject({ seq: 0, due: 's' });
    expect(stream.text).not.toContain('complete');
  });

  it('goes on behind Last-Event-ID, which wins over `after`', async () => {
    const { job, as } = await createJob(app(), 'Be watched.');
    for (const reason of ['One.', 'Two.', 'Three.']) await reject(job, reason);
    const all = await openStream(app().url, watchJob, { id: job.id, after: 'START' }, as);
    const cursors = (await all.events(3)).map(({ data }) => data.jobUpdated.cursor);
    const reasons = async (after: string | undefined, lastEventId: string, count: number) => {
      const stream = await openStream(
        app().url,
        watchJob,
        { id: job.id, ...(after && { after }) },
        { ...as, headers: { 'last-event-id': lastEventId }, get: true },
      );
      const events = await stream.events(count);
      return events.map(({ data }) => data.jobUpdated.why);
    };
    expect(await reasons(undefined, cursors[0], 2)).toEqual(['Two.', 'Three.']);
    expect(await reasons('START', cursors[1], 1)).toEqual(['Three.']);
    expect(await reasons(cursors[1], 'START', 3)).toEqual(['One.', 'Two.', 'Three.']);
    // An EventSource that has had no event yet sends none, or an empty one.
    expect(await reasons(cursors[1], '', 1)).toEqual(['Three.']);
  });

  it('loses nothing when it is cut before its first event', async () => {
    const token = await app().token('bob');
    const cut = await openStream(app().url, activity, {}, { token });
    const [begin] = await cut.count(1);
    cut.close();
    const { job } = await createJob(app(), 'Be active.', { token });
    await app().pay(job.evalInvoice.paymentHash);
    const resumed = await openStream(
      app().url,
      activity,
      {},
      { token, headers: { 'last-event-id': begin?.id as string } },
    );
    const [first] = await resumed.events(1);
    expect(first.data.activity.__typename).toBe('JobPaymentConfirmed');
  });

  it('is sent to a client that takes anything, as curl does', async () => {
    const { job, as } = await createJob(app(), 'Be watched.');
    const stream = await openStream(
      app().url,
      watchJob,
      { id: job.id },
      { ...as, headers: { accept: '*/*' } },
    );
    await stream.events(1);
    expect(stream.contentType).toBe('text/event-stream');
    expect(stream.blocks[0]).toHaveProperty('id');
  });

  it('leaves its feed when its client goes away', async () => {
    const { job, as } = await createJob(app(), 'Be watched.');
    const streams = await Promise.all(
      [true, false].map((get) => openStream(app().url, watchJob, { id: job.id }, { ...as, get })),
    );
    for (const stream of streams) await stream.events(1);
    expect(app().hub.size().members).toBeGreaterThan(2);
    for (const stream of streams) stream.close();
    await allGone();
    expect(app().connections.size).toBe(0);
  });

  it('is not begun for a client that has gone while its credentials were looked at', async () => {
    const { job, as } = await createJob(app(), 'Be watched.');
    const held = await holdDatabase(app());
    const body = JSON.stringify({ query: watchJob, variables: { id: job.id } });
    const connection = await connectRaw(app().url);
    connection.write(
      `POST /graphql HTTP/1.1\r\nHost: satwire\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n` +
        `Authorization: Bearer ${as.token}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    // Answered without the database: by then the server has read what came before.
    await fetch(new URL('/health', app().url));
    await connection.end();
    await fetch(new URL('/health', app().url));
    await held.release();
    await app().ask('{ viewer { roles } }', {}, as);
    await allGone();
    await until('its connection is forgotten', () => app().connections.size === 0);
  });

  it('answers a query too, and says that it is complete', async () => {
    const stream = await openStream(app().url, '{ viewer { roles } }');
    const text = await stream.end();
    expect(stream).toMatchObject({ status: 200, contentType: 'text/event-stream' });
    expect(text).toContain('event: next\ndata: {"data":{"viewer":null}}\n\nevent: complete\n');
  });

  it('is not there for a client that takes no stream', async () => {
    const { job, as } = await createJob(app(), 'Be watched.');
    for (const accept of ['application/json', 'application/graphql-response+json', 'multipart/mixed']) {
      const stream = await openStream(app().url, watchJob, { id: job.id }, { ...as, headers: { accept } });
      expect([accept, stream.status, await stream.end()]).toEqual([accept, 406, '']);
    }
    await allGone();
  });
});

describe('a subscription that is refused', () => {
  it.each(refusedDocuments)(
    'for $name is answered as JSON',
    async ({ query, variables, operationName, code, argument }) => {
      const token = await app().token('alice');
      const stream = await openStream(app().url, query, variables, { token, operationName });
      expect(stream).toMatchObject({ status: 400, contentType: expect.stringContaining('json') });
      const { errors, data } = JSON.parse(await stream.end());
      expect(data).toBeUndefined();
      expect(errors[0].extensions).toEqual({ code, ...(argument && { argument }) });
    },
  );

  it.each([
    ['without credentials', {}, 'job', 401, 'UNAUTHENTICATED'],
    ['by a token that is none', { token: 'x.y.z' }, 'job', 401, 'UNAUTHENTICATED'],
    ['for what is not theirs', {}, 'foreign', 403, 'FORBIDDEN'],
    ['with a cursor that is none', {}, 'cursor', 400, 'BAD_USER_INPUT'],
    [
      'with more access tokens than are taken',
      { accessTokens: Array(21).fill('swt_x') },
      'job',
      400,
      'BAD_USER_INPUT',
    ],
  ])(
    '%s is answered with its status, whatever else the client takes',
    async (_name, as, what, status, code) => {
      const owner = await app().token('alice');
      const { job } = await createJob(app(), 'Be refused.', { token: owner });
      const variables = {
        id: what === 'foreign' ? 'job_nothing' : job.id,
        ...(what === 'cursor' && { after: 'nonsense' }),
      };
      const token = what === 'job' ? (as as { token?: string }).token : owner;
      for (const accept of [
        'text/event-stream',
        'application/json, text/event-stream',
        '*/*',
        'application/json',
      ]) {
        const stream = await openStream(app().url, watchJob, variables, {
          ...as,
          token,
          headers: { accept },
        });
        const { errors } = JSON.parse(await stream.end());
        expect([accept, stream.status, errors[0].extensions.code]).toEqual([accept, status, code]);
        expect(errors[0].extensions).not.toHaveProperty('http');
      }
    },
  );
});

describe('an idle stream', () => {
  const pingEveryMs = 15;

  /** A server whose one subscription says what it is given. */
  async function sayingServer() {
    const say: Array<(text: string) => void> = [];
    const connections = createConnections({ clock: systemClock });
    const connection = connections.open(anonymous);
    onTestFinished(() => connections.close());
    async function* said() {
      for (;;) yield { said: await new Promise<string>((resolve) => say.push(resolve)) };
    }
    const schema = createSchema({
      typeDefs: 'type Query { a: Int } type Subscription { said: String }',
      resolvers: { Subscription: { said: { subscribe: said } } },
    });
    const state = { position: undefined, connection };
    const yoga = createYoga({ schema, plugins: [useResumableSse(() => state, pingEveryMs)] });
    const server = createServer(yoga).listen(0, '127.0.0.1');
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    await until('it listens', () => server.listening);
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
      say: async (text: string) => (await until('it is asked', () => say.shift()))(text),
      isAsked: () => say.length > 0,
      /** What happens when the connection is over. */
      over: () => connection.closed(),
    };
  }

  const pingsIn = (text: string) => text.split('\n\n').filter((block) => block === ':').length;

  it('is kept alive by comments', async () => {
    const server = await sayingServer();
    const stream = await openStream(server.url, 'subscription { said }');
    await until('three pings', () => pingsIn(stream.text) >= 4);
    // Without a position it has no id, and neither has a result without a cursor.
    expect(stream.blocks).toEqual([{ retry: '1000' }]);
    await server.say('hello');
    expect(await stream.events(1)).toEqual([{ data: { said: 'hello' } }]);
    expect(stream.blocks[1]).not.toHaveProperty('id');
  });

  it('is sent no comments that would wait behind what its client does not read', async () => {
    const server = await sayingServer();
    const connection = await connectRaw(server.url);
    const intervals = vi.spyOn(globalThis, 'setInterval');
    const cleared = vi.spyOn(globalThis, 'clearInterval');
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    connection.pause();
    connection.write(
      'GET /graphql?query=subscription{said} HTTP/1.1\r\nHost: satwire\r\nAccept: text/event-stream\r\n\r\n',
    );
    const large = 'x'.repeat(1_000_000);
    // While it is asked for more within the time of ten pings, the way to the client is not full.
    const isAsked = () =>
      until('it is asked for more', server.isAsked, 10 * pingEveryMs).then(
        () => true,
        () => false,
      );
    let sent = 0;
    for (; await isAsked(); sent += 1) await server.say(large);
    expect(sent).toBeGreaterThan(0);
    expect(connection.received).toBe('');
    connection.resume();
    await until('all has come', () => connection.received.split('event: next').length > sent);
    const [, behindTheFirst = ''] = connection.received.split(large);
    expect(pingsIn(behindTheFirst)).toBe(0);
    const own = intervals.mock.calls.findIndex(([, ms]) => ms === pingEveryMs);
    const timer = intervals.mock.results[own]?.value;
    expect(cleared).not.toHaveBeenCalledWith(timer);
    server.over();
    expect(cleared).toHaveBeenCalledWith(timer);
  });
});
