import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../../scripts/lib/server.ts';
import { clientAddress } from '../../src/transport/address.ts';
import { answer } from '../../src/transport/http.ts';
import { useTestApp } from '../support/app.ts';
import { createClients } from '../support/clients.ts';
import { startFakeNode } from '../support/fake-node.ts';
import { historyOf } from '../support/history.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { createJob, key, openSession, watchJob, watchSession } from '../support/operations.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { serverProcess } from '../support/process.ts';
import { connectRaw } from '../support/raw-http.ts';
import { openStream } from '../support/raw-sse.ts';
import { resumingEventSource, resumingSocket } from '../support/resuming.ts';
import { serve } from '../support/serve.ts';
import { until } from '../support/until.ts';

const database = await createTestDatabase();
afterAll(() => database.drop());
const shared = { DATABASE_URL: database.url, TRUST_PROXY: '1' };
const nodes = [useTestApp(shared), useTestApp(shared)] as const;

const portOf = (url: string) => Number(new URL(url).port);
const ports = () => [portOf(nodes[0]().url), portOf(nodes[1]().url)] as const;

const ask = '{ __typename }';
const typename = { data: { __typename: 'Query' } };
const postOf = (body: string) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body,
});
const unavailable = {
  errors: [
    {
      message: 'No node has answered.',
      extensions: { code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) },
    },
  ],
};

/**
 * The nodes that two requests were passed on to, sorted, as each process of nginx writes its own lines when it
 * comes to it.
 */
const askedNodes = async (nginx: Nginx) => (await nginx.log(2)).map(({ node }) => String(node)).sort();

describe('two nodes behind nginx', () => {
  it('have a configuration that nginx finds nothing wrong with', async () => {
    const { checked } = await startNginx(ports());
    expect(checked).toContain('test is successful');
    expect(checked).not.toMatch(/\[(warn|error|crit|alert|emerg)\]/);
  });

  it('answer queries and mutations, either of them', async () => {
    const nginx = await startNginx(ports());
    const clients = createClients(nginx.url, nginx.webSocketUrl);
    const token = await nodes[0]().token('alice');
    const input = { prompt: 'Count to three.', idempotencyKey: key() };
    const create = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }';
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => clients.ask(create, { input }, { token })),
    );
    const ids = new Set(answers.map(({ createJob: { job } }) => job.id));
    expect(ids.size).toBe(1);
    const asked = await fetch(nginx.url, postOf(JSON.stringify({ query: ask })));
    expect(await asked.json()).toEqual(typename);
    const used = new Set((await nginx.log(9)).map(({ node }) => node));
    expect(used).toEqual(new Set(ports().map((port) => `127.0.0.1:${port}`)));
  });

  it('are watched over a WebSocket, which stays', async () => {
    const nginx = await startNginx(ports());
    const clients = createClients(nginx.url, nginx.webSocketUrl);
    const { job, as } = await createJob(clients, 'Be watched.');
    const socket = clients.socket(as, { lazy: false });
    const closes: unknown[] = [];
    socket.on('closed', (event) => closes.push(event));
    const watched = clients.watch(watchJob, { id: job.id }, { socket });
    await watched.event('JobSnapshot');
    await nodes[0]().pay(job.evalInvoice.paymentHash);
    await watched.event('JobEvaluated');
    const again = clients.watch(watchJob, { id: job.id, after: 'START' }, { socket });
    await again.event('JobEvaluated');
    expect(again.events.map(({ id }) => id)).toEqual(
      (await historyOf(clients, 'job', job.id, as)).map(({ id }) => id),
    );
    expect([watched.errors, again.errors, closes]).toEqual([undefined, undefined, []]);
    await clients.dispose();
  });

  it('are watched over SSE, where each event arrives while the response is open', async () => {
    const nginx = await startNginx(ports());
    const clients = createClients(nginx.url, nginx.webSocketUrl);
    const { job, as } = await createJob(clients, 'Be watched.');
    const stream = await openStream(nginx.url, watchJob, { id: job.id }, as);
    const [snapshot] = await stream.events(1);
    expect(snapshot.data.jobUpdated.__typename).toBe('JobSnapshot');
    await nodes[1]().pay(job.evalInvoice.paymentHash);
    await stream.events(2);
    expect(stream.ended).toBe(false);

    const paid = stream.blocks.find(({ data }) => data?.includes('JobPaymentConfirmed'));
    stream.close();
    const headers = { 'last-event-id': paid?.id as string };
    const resumed = await openStream(nginx.url, watchJob, { id: job.id, after: 'START' }, { ...as, headers });
    const [next] = await resumed.events(1);
    expect(next.data.jobUpdated.__typename).toBe('JobEvaluated');
  });

  it('are not reached but where they are meant to be', async () => {
    const nginx = await startNginx(ports());
    const statusOf = async (method: string, target: string) => {
      const connection = await connectRaw(nginx.url);
      connection.write(`${method} ${target} HTTP/1.1\r\nHost: satwire\r\nConnection: close\r\n\r\n`);
      await until('an answer', () => connection.ended);
      expect(connection.received).not.toContain('satwire_connections');
      return connection.received.slice(9, 12);
    };
    for (const path of ['/health', '/ready', `/graphql?query=${encodeURIComponent(ask)}`])
      expect([path, await statusOf('GET', path)]).toEqual([path, '200']);
    for (const path of [
      '/metrics',
      '//metrics',
      '/%6detrics',
      '/graphql/../metrics',
      '/graphql/..\\metrics',
      '/webhooks/lnbits/../../metrics',
      '/webhooks/lnbits/..\\..\\metrics',
      '/webhooks/lnbits/..%5c..%5cmetrics',
      '/webhooks/lnbits/%2e%2e/%2e%2e/metrics',
      'http://satwire/metrics',
      '/dev/token',
      '/',
    ])
      expect([path, await statusOf('GET', path)]).toEqual([path, '404']);
    for (const path of [
      '/dev/token',
      '/webhooks/lnbits/..\\..\\dev/token',
      `/dev/stub/pay/${'0'.repeat(64)}`,
    ])
      expect([path, await statusOf('POST', path)]).toEqual([path, '404']);
    // Nothing of it has got to a node, which would answer 404 itself.
    const refused = (await nginx.log(18)).filter(({ status }) => status === 404);
    expect(refused.map(({ node }) => node)).toEqual(refused.map(() => ''));
  });

  it('get the path that nginx has read, and not another one that can be read out of it', async () => {
    const nginx = await startNginx(ports());
    const { origin } = new URL(nginx.url);
    const odd = await connectRaw(origin);
    odd.write(`GET //%67raphql?query=${encodeURIComponent(ask)} HTTP/1.1\r\nHost: satwire\r\n\r\n`);
    await odd.receive('{"data":{"__typename":"Query"}}');

    const clients = createClients(nginx.url, nginx.webSocketUrl);
    const { job, as } = await createJob(clients, 'Count to three.');
    const { paymentHash } = job.evalInvoice;
    // To nginx a webhook, to a node the payment of an invoice by the stub.
    const disguised = `/webhooks/lnbits/..\\..\\dev\\stub\\pay\\x/../${paymentHash}`;
    const connection = await connectRaw(origin);
    connection.write(`POST ${disguised} HTTP/1.1\r\nHost: satwire\r\nContent-Length: 0\r\n\r\n`);
    await connection.receive('{"error":"Not found."}');
    const asked = await clients.ask(
      'query ($id: ID!) { job(id: $id) { ... on AgentJob { evalInvoice { state } } } }',
      { id: job.id },
      as,
    );
    expect(asked.job.evalInvoice.state).toBe('OPEN');
  });

  it('get webhooks, which have to be right', async () => {
    const nginx = await startNginx(ports());
    const response = await fetch(new URL('/webhooks/lnbits/no-such-token', nginx.url), { method: 'POST' });
    expect([response.status, await response.json()]).toEqual([404, { error: 'Not found.' }]);
    const [{ node, path } = {}] = await nginx.log(1);
    expect([node, path]).toEqual([expect.stringContaining('127.0.0.1:'), '/webhooks/lnbits/…']);
  });

  it.each([
    ['/graphql', 131_072],
    ['/webhooks/lnbits/token', 65_536],
  ])('are not sent a body that is too large: %s', async (path, most) => {
    const nginx = await startNginx(ports());
    const url = new URL(path, nginx.url);
    const response = await fetch(url, postOf(' '.repeat(most + 1)));
    expect([response.status, await response.json()]).toEqual([
      413,
      { errors: [{ message: 'The body is too large.', extensions: { code: 'PAYLOAD_TOO_LARGE' } }] },
    ]);
    const fits = await fetch(url, postOf(' '.repeat(most)));
    expect([400, 404]).toContain(fits.status);
    expect(await askedNodes(nginx)).toEqual(['', expect.stringContaining('127.0.0.1:')]);
  });

  it('are not sent headers that they would not read', async () => {
    const nginx = await startNginx(ports());
    const query = (size: number) =>
      fetch(nginx.url, {
        ...postOf(JSON.stringify({ query: ask })),
        headers: { 'content-type': 'application/json', 'x-one': 'x'.repeat(size), 'x-two': 'x'.repeat(size) },
      });
    expect(await (await query(6_900)).json()).toEqual(typename);
    expect((await query(8_000)).status).toBe(400);
    expect(await askedNodes(nginx)).toEqual(['', expect.stringContaining('127.0.0.1:')]);
  });
});

describe('a node behind nginx', () => {
  it('is told the address of the client, whatever the client says', async () => {
    const url = await serve({
      'GET /graphql': (request, response) =>
        answer(response, 200, { address: clientAddress(request, 1), headers: request.headers }),
    });
    const nginx = await startNginx([portOf(url), portOf(url)]);
    const forged = '198.51.100.7';
    const connection = await connectRaw(nginx.url);
    const headers = [
      'Host: app.example:8443',
      `X-Forwarded-For: ${forged}`,
      `x-forwarded-for: ${forged}, ${forged}`,
      'Connection: close, upgrade',
      'Upgrade: h2c',
    ];
    connection.write(`GET /graphql HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    const heard = JSON.parse(/\{.*\}/.exec(await connection.receive(/\}\}/))?.[0] ?? '');
    expect(heard.address).toBe('127.0.0.1');
    expect(JSON.stringify(heard)).not.toContain(forged);
    // The port is part of the origin that a page has.
    expect(heard.headers.host).toBe('app.example:8443');
    expect(heard.headers.upgrade).toBeUndefined();
  });

  it('that breaks off over a POST is not the reason for a second one', async () => {
    for (const breakOff of [
      (socket: Socket) => socket.end(),
      (socket: Socket) => socket.resetAndDestroy(),
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
    ]) {
      const fakes = [await startFakeNode(breakOff), await startFakeNode(breakOff)] as const;
      const nginx = await startNginx([fakes[0].port, fakes[1].port]);
      for (const path of ['/graphql', '/webhooks/lnbits/token']) {
        const before = fakes[0].requests.length + fakes[1].requests.length;
        const response = await fetch(new URL(path, nginx.url), postOf('{"query":"mutation { signOut }"}'));
        expect([response.status, await response.json()]).toEqual([502, unavailable]);
        expect(fakes[0].requests.length + fakes[1].requests.length).toBe(before + 1);
      }
      // What only reads may go to the other node too.
      const read = await fetch(`${nginx.url}?query=${encodeURIComponent(ask)}`);
      expect(read.status).toBe(502);
      expect(fakes[0].requests.length + fakes[1].requests.length).toBe(4);
      const statuses = (await nginx.log(3)).map(({ nodeStatus }) => nodeStatus);
      expect(statuses.sort()).toEqual(['502', '502', '502, 502']);
    }
  });

  it('that breaks off over a query by GET is helped out by the other', async () => {
    const broken = await startFakeNode((socket) => socket.end());
    const nginx = await startNginx([broken.port, ports()[1]]);
    await until('the broken one to be asked', async () => {
      const response = await fetch(`${nginx.url}?query=${encodeURIComponent(ask)}`);
      expect([response.status, await response.json()]).toEqual([200, typename]);
      return broken.requests.length > 0;
    });
  });

  it('is heard while it writes, though it does not ask for that', async () => {
    const slow = await startFakeNode((socket) =>
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\nhalf of it',
      ),
    );
    const nginx = await startNginx([slow.port, slow.port]);
    const connection = await connectRaw(nginx.url);
    connection.write('GET /graphql HTTP/1.1\r\nHost: satwire\r\n\r\n');
    await connection.receive('half of it');
    expect(connection.ended).toBe(false);
  });
});

describe('what nginx writes down', () => {
  it('names no ticket and no token of a webhook, also where a node is down', async () => {
    const nginx = await startNginx([await freePort(), ports()[1]]);
    const clients = createClients(nginx.url, nginx.webSocketUrl);
    const { job, as } = await createJob(clients, 'Be watched.');
    const { createTicket } = await clients.ask('mutation { createTicket { ticket } }', {}, as);
    const { ticket } = createTicket;
    const secret = randomBytes(32).toString('base64url');

    const stream = await openStream(
      nginx.url,
      watchJob,
      { id: job.id },
      { get: true, parameters: { ticket } },
    );
    await stream.events(1);
    stream.close();
    const requests = [`/graphql?ticket=${ticket}`, `/graphq?ticket=${ticket}`, `/${secret}`];
    for (const path of requests)
      await fetch(new URL(path, nginx.url), { headers: { referer: secret, 'user-agent': secret } });
    for (const path of [
      `/webhooks/lnbits/${secret}`,
      `//webhooks/lnbits/${secret}`,
      `/webhooks//lnbits/${secret}`,
    ])
      await fetch(`${new URL(nginx.url).origin}${path}`, { method: 'POST' });
    await fetch(new URL(`/webhooks/lnbits/${secret}`, nginx.url), postOf(' '.repeat(70_000)));
    const odd = await connectRaw(nginx.url);
    odd.write(`GET /graphql?ticket=${ticket} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`);
    await odd.receive('400');

    const lines = await nginx.log(11);
    expect(JSON.stringify(lines) + nginx.output).not.toMatch(new RegExp(`${ticket}|${secret}`));
    expect(lines.some(({ nodeStatus }) => nodeStatus === '502, 200')).toBe(true);
    expect(new Set(lines.map(({ path }) => path))).toEqual(
      new Set(['/graphql', '(other)', '/webhooks/lnbits/…']),
    );
  });

  it('names none where no node answers', async () => {
    const nginx = await startNginx([await freePort(), await freePort()]);
    const ticket = randomBytes(32).toString('base64url');
    for (const path of [`/graphql?ticket=${ticket}`, `/webhooks/lnbits/${ticket}`]) {
      const response = await fetch(new URL(path, nginx.url), path.startsWith('/w') ? postOf('{}') : {});
      expect([response.status, await response.json()]).toEqual([502, unavailable]);
    }
    expect(JSON.stringify(await nginx.log(2)) + nginx.output).not.toContain(ticket);
  });
});

describe('a node that is away', () => {
  it('at the start is done without', async () => {
    const nginx = await startNginx([await freePort(), ports()[1]]);
    const clients = createClients(nginx.url, nginx.webSocketUrl);
    for (let n = 0; n < 10; n += 1) {
      const { job, as } = await createJob(clients, 'Count to three.');
      const watched = clients.watch(watchJob, { id: job.id }, as);
      await watched.event('JobSnapshot');
    }
    await clients.dispose();
    const statuses = (await nginx.log(20)).map(({ nodeStatus }) => nodeStatus);
    // Here the first node was tried, with a POST too, and the second one has answered.
    expect(statuses.some((status) => String(status).startsWith('502, '))).toBe(true);
  });

  it.each(['kill', 'stop'] as const)(
    'after a %s is done without, and nobody misses an event',
    async (end) => {
      const processes = [await serverProcess(shared), await serverProcess(shared)] as const;
      await Promise.all(processes.map((each) => each.start()));
      const nginx = await startNginx([processes[0].port, processes[1].port]);
      const direct = createClients(processes[1].url, processes[1].webSocketUrl);
      const clients = createClients(nginx.url, nginx.webSocketUrl);
      const as = { token: await direct.token('walter') };
      const { session } = await openSession(clients, 1_000, as);
      const subscribers = [
        resumingSocket(clients, watchSession, session.id, as),
        resumingSocket(clients, watchSession, session.id, as),
        await resumingEventSource(clients, nginx.url, watchSession, session.id, as),
        await resumingEventSource(clients, nginx.url, watchSession, session.id, as),
      ];
      await direct.pay(session.depositInvoice.paymentHash);
      for (const { events } of subscribers) await until('the first event', () => events.length > 0);

      await processes[0][end]();
      const top = `mutation ($input: TopUpSessionInput!) { topUpSession(input: $input) { invoice { paymentHash } } }`;
      for (let n = 0; n < 5; n += 1) {
        const input = { sessionId: session.id, amountSats: 100, idempotencyKey: key() };
        const { topUpSession } = await clients.ask(top, { input }, as);
        await direct.pay(topUpSession.invoice.paymentHash);
      }
      const history = await historyOf(clients, 'session', session.id, as);
      expect(history.filter(({ __typename }) => __typename === 'SessionToppedUp')).toHaveLength(5);
      for (const subscriber of subscribers) {
        await until('the last event', () => subscriber.events.at(-1)?.id === history.at(-1)?.id);
        expect(subscriber.events.map(({ id }) => id)).toEqual(history.map(({ id }) => id));
        expect(subscriber.failures).toEqual([]);
      }
      // Some of them were on the node that went away.
      expect(subscribers.some(({ resumedBehind }) => resumedBehind.length > 0)).toBe(true);
      for (const subscriber of subscribers) subscriber.close();
      await Promise.all([clients.dispose(), direct.dispose()]);
    },
  );
});
