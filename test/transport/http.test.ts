import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openPglite } from '../../src/platform/database/pglite.ts';
import { createLogger } from '../../src/platform/telemetry/logger.ts';
import { createMetrics } from '../../src/platform/telemetry/metrics.ts';
import { createHttpServer, type Routes } from '../../src/transport/http.ts';
import { operationRoutes } from '../../src/transport/operation-routes.ts';
import { databaseImage, startTestApp, temporaryFolder, useTestApp } from '../support/app.ts';
import { withoutTable } from '../support/faults.ts';
import { createJob, key } from '../support/operations.ts';
import { connectRaw } from '../support/raw-http.ts';
import { refusedDocuments } from '../support/refused-documents.ts';
import { until } from '../support/until.ts';

const app = useTestApp({ LIMIT_BODY_BYTES: '20000' });
const viewerRoles = '{ viewer { roles } }';

const at = (path: string) => new URL(path, app().url);

function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(app().url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** Serves routes until the test is over. */
async function serve(routes: Routes, write: (line: string) => void = () => {}): Promise<string> {
  const server = createHttpServer(routes, createLogger('info', { write })).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await until('it listens', () => server.listening);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('whoever runs the server', () => {
  it('is told that it is alive and ready', async () => {
    const health = await fetch(at('/health'));
    expect([health.status, await health.json()]).toEqual([200, { status: 'alive' }]);
    expect(health.headers.get('cache-control')).toBe('no-store');
    const ready = await fetch(at('/ready'));
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
  });

  it('may ask by HEAD', async () => {
    for (const path of ['/health', '/ready', '/metrics']) {
      const response = await fetch(at(path), { method: 'HEAD' });
      expect([path, response.status, await response.text()]).toEqual([path, 200, '']);
    }
  });

  it('reads metrics, of what happens too', async () => {
    await createJob(app(), 'Count me.');
    const response = await fetch(at('/metrics'));
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0.0.4/);
    const metrics = await response.text();
    for (const name of [
      'satwire_connections 0',
      'satwire_websockets 0',
      'satwire_feed_topics 1',
      'satwire_subscriptions 1',
      'satwire_work_failures_total 0',
      'satwire_unexpected_errors_total 0',
      'process_cpu_seconds_total',
    ])
      expect(metrics).toContain(name);
    expect(metrics).toMatch(/^satwire_events_appended_total \d+$/m);
    const authorization = `Bearer ${await app().token('alice')}`;
    await withoutTable(app(), 'users', () => post({ query: viewerRoles }, { authorization }));
    expect(await (await fetch(at('/metrics'))).text()).toContain('satwire_unexpected_errors_total 1');
  });

  it('keeps the metrics to whoever has their token', async () => {
    const guarded = await startTestApp({ METRICS_TOKEN: 'let me see' });
    const status = async (authorization?: string) =>
      (
        await fetch(new URL('/metrics', guarded.url), {
          headers: authorization === undefined ? {} : { authorization },
        })
      ).status;
    expect(await status()).toBe(401);
    expect(await status('Bearer let me')).toBe(401);
    expect(await status('Bearer let me see more')).toBe(401);
    expect(await status('let me see')).toBe(401);
    expect(await status('Bearer let me see')).toBe(200);
  });

  it('is told that the server drains, and later that nobody is there', async () => {
    const stopping = await startTestApp();
    const connection = await connectRaw(stopping.url);
    connection.write('GET /ready HTTP/1.1\r\nHost: satwire\r\n');
    // Its request has begun, so that it is waited for.
    await fetch(new URL('/health', stopping.url));
    const stopped = stopping.stop();
    connection.write('\r\n');
    const answer = await connection.receive('draining');
    expect(answer).toMatch(/^HTTP\/1.1 503 /);
    await stopped;
    await until('the connection ends', () => connection.ended);
    await expect(fetch(stopping.url)).rejects.toThrow();
  });

  it('is told when the database does not answer', async () => {
    const db = await openPglite(await temporaryFolder(), databaseImage());
    const metrics = createMetrics({
      connections: () => 0,
      sockets: () => 0,
      feeds: () => ({ topics: 0, members: 0 }),
    });
    const url = await serve(
      operationRoutes({ db, metrics, metricsToken: undefined, isDraining: () => false }),
    );
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    await db.close();
    const response = await fetch(`${url}/ready`);
    expect([response.status, await response.json()]).toEqual([
      503,
      { status: 'the database does not answer' },
    ]);
  });
});

let token = '';
describe('/dev/token', () => {
  const ask = async (body: string) => {
    const response = await fetch(at('/dev/token'), { method: 'POST', body });
    return { status: response.status, body: (await response.json()) as { token: string } };
  };

  it('makes tokens for anyone', async () => {
    const made = await ask('{"sub":"alice","roles":["USER","ADMIN"]}');
    token = made.body.token;
    expect(await app().ask('{ viewer { roles } }', {}, { token })).toEqual({
      viewer: { roles: ['USER', 'ADMIN'] },
    });
    const { body } = await ask('{"sub":"bob"}');
    const claims = JSON.parse(Buffer.from(body.token.split('.')[1] as string, 'base64url').toString());
    expect(claims).toMatchObject({ sub: 'bob', roles: ['USER'] });
    expect(claims.exp - claims.iat).toBe(86_400);
  });

  it.each([
    '',
    'alice',
    '{}',
    '{"sub":""}',
    '{"sub":7}',
    '{"sub":"alice","roles":["KING"]}',
    '{"sub":"alice","expiresInSeconds":0}',
    `{"sub":"${'a'.repeat(256)}"}`,
    `{"sub":"alice","more":"${'a'.repeat(20_000)}"}`,
  ])('says what it wants when it is sent %.60s', async (body) => {
    expect(await ask(body)).toEqual({
      status: 400,
      body: { error: 'Send {"sub": "alice", "roles": ["USER"]}.' },
    });
  });

  it('is not there where tokens are made elsewhere, whose keys are then asked for', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    let answering = true;
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' };
    const keys = createServer((_request, response) => {
      response.writeHead(answering ? 200 : 500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ keys: [jwk] }));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => {
      keys.close();
    });
    await until('the keys are there', () => keys.listening);
    const JWKS_URL = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`;
    const sign = () =>
      new SignJWT({ roles: ['SERVICE'] })
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setSubject('a service')
        .setIssuedAt()
        .setExpirationTime('1 min')
        .sign(privateKey);

    answering = false;
    const elsewhere = await startTestApp({ JWKS_URL });
    const development = await fetch(new URL('/dev/token', elsewhere.url), {
      method: 'POST',
      body: '{"sub":"a"}',
    });
    expect(development.status).toBe(404);
    const unavailable = await fetch(elsewhere.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await sign()}` },
      body: JSON.stringify({ query: viewerRoles }),
    });
    expect([unavailable.status, await unavailable.json()]).toEqual([
      503,
      {
        errors: [
          {
            message: 'Tokens cannot be checked at the moment.',
            extensions: { code: 'UNAVAILABLE', retryAfterMs: 2_000 },
          },
        ],
      },
    ]);
    answering = true;
    expect(await elsewhere.ask(viewerRoles, {}, { token: await sign() })).toEqual({
      viewer: { roles: ['SERVICE'] },
    });
  });
});

describe('/dev/stub/pay', () => {
  const pay = async (paymentHash: string) => {
    const response = await fetch(at(`/dev/stub/pay/${paymentHash}`), { method: 'POST' });
    return { status: response.status, body: await response.json() };
  };

  it('pays an invoice, once', async () => {
    const { job } = await createJob(app(), 'Be paid.');
    const { paymentHash } = job.evalInvoice;
    const paid = { status: 200, body: { paymentHash, state: 'PAID' } };
    expect(await pay(paymentHash)).toEqual(paid);
    expect(await pay(paymentHash)).toEqual(paid);
  });

  it.each(['', 'x', '0'.repeat(64), '%00', 'a/b'])('knows no invoice %j', async (paymentHash) => {
    expect(await pay(paymentHash)).toEqual({ status: 404, body: { error: 'There is no such invoice.' } });
  });
});

describe('a request', () => {
  it.each(['/', '/graphq', '/graphql/', '/graphql/x', '/dev', '/metrics/'])(
    'for %s finds nothing',
    async (path) => {
      const response = await fetch(at(path));
      expect([response.status, await response.json()]).toEqual([404, { error: 'Not found.' }]);
    },
  );

  it('finds nothing by another method', async () => {
    for (const [method, path] of [
      ['POST', '/health'],
      ['GET', '/dev/token'],
      ['HEAD', '/dev/token'],
      ['DELETE', '/metrics'],
    ])
      expect([method, path, (await fetch(at(path as string), { method: method as string })).status]).toEqual([
        method,
        path,
        404,
      ]);
  });

  it.each([
    ['GET // HTTP/1.1\r\nHost: satwire', 404],
    ['GET //[ HTTP/1.1\r\nHost: satwire', 404],
    ['GET http:// HTTP/1.1\r\nHost: satwire', 404],
    ['OPTIONS * HTTP/1.1\r\nHost: satwire', 404],
    ['GET /health HTTP/1.1\r\nHost: [', 404],
    ['GET http://satwire/health HTTP/1.1\r\nHost: satwire', 200],
    ['GET /graphql?query={__typename} HTTP/1.1\r\nHost: [', 404],
    ['GET /graphql?query={__typename} HTTP/1.0', 200],
    ['GET http://satwire/graphql?query={__typename} HTTP/1.1\r\nHost: satwire', 200],
    ['GET //satwire/graphql?query={__typename} HTTP/1.1\r\nHost: satwire', 200],
    ['GET // HTTP/1.1\r\nHost: satwire\r\nConnection: Upgrade\r\nUpgrade: websocket', 404],
  ])('that is odd brings nothing down: %j', async (head, status) => {
    const connection = await connectRaw(app().url);
    connection.write(`${head}\r\n\r\n`);
    expect((await connection.receive(/^HTTP.*\r\n/)).slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    expect((await fetch(at('/health'))).status).toBe(200);
  });

  it('that fails is answered without a word of why, which is logged', async () => {
    const logged: string[] = [];
    const routes: Routes = {
      'GET /fails': () => {
        throw new Error('a secret of the house');
      },
      'GET /later': async () => Promise.reject(new Error('another secret')),
      'GET /middle': async (_request, response) => {
        response.writeHead(200);
        response.write('half of it');
        throw new Error('a third secret');
      },
    };
    const url = await serve(routes, (line) => logged.push(line));
    for (const path of ['/fails', '/later']) {
      const response = await fetch(url + path);
      expect([response.status, await response.json()]).toEqual([500, { error: 'Unexpected error.' }]);
    }
    const connection = await connectRaw(url);
    connection.write('GET /middle HTTP/1.1\r\nHost: satwire\r\n\r\n');
    await until('it is cut off', () => connection.ended);
    expect(connection.received).not.toContain('secret');
    expect(logged).toHaveLength(3);
    expect(logged.join('')).toMatch(/a secret of the house.*another secret.*a third secret/s);
  });
});

describe('a GraphQL request', () => {
  it.each(refusedDocuments)(
    'with $name is refused',
    async ({ query, variables, operationName, ...expected }) => {
      const accepts = { 'application/json': [200, 400], 'application/graphql-response+json': [400] };
      for (const [accept, statuses] of Object.entries(accepts)) {
        const response = await post({ query, variables, operationName }, { accept });
        const { errors, data } = (await response.json()) as { errors: any[]; data: unknown };
        expect([accept, statuses.includes(response.status)]).toEqual([accept, true]);
        expect(data).toBeUndefined();
        expect(errors[0].extensions).toEqual({
          code: expected.code,
          ...(expected.argument && { argument: expected.argument }),
        });
        if (expected.message) expect(errors[0].message).toMatch(expected.message);
      }
    },
  );

  it('whose argument is null by a variable is refused', async () => {
    const query = 'query ($id: ID = "x") { node(id: $id) { id } }';
    const response = await post({ query, variables: { id: null } }, { authorization: `Bearer ${token}` });
    expect(await response.json()).toEqual({
      data: { node: null },
      errors: [
        {
          message: 'Argument "id" of non-null type "ID!" must not be null.',
          locations: expect.anything(),
          path: ['node'],
          extensions: { code: 'BAD_USER_INPUT', argument: 'id' },
        },
      ],
    });
  });

  const malformed = [
    ['no JSON', '{', 400],
    ['no object', '7', 400],
    ['null', 'null', 400],
    ['no query', '{}', 400],
    ['a query of another type', '{"query":7}', 400],
    ['variables of another type', `{"query":"${viewerRoles}","variables":[]}`, 400],
    ['something else beside it', `{"query":"${viewerRoles}","more":1}`, 400],
    ['a batch', `[{"query":"${viewerRoles}"},{"query":"${viewerRoles}"}]`, 400],
  ] as const;

  it.each(malformed)('of %s is refused', async (_name, body, status) => {
    for (const accept of ['application/json', 'application/graphql-response+json']) {
      const response = await post(body, { accept });
      expect(response.status).toBe(status);
      expect(await response.json()).toEqual({
        errors: [{ message: expect.any(String), extensions: { code: 'BAD_USER_INPUT' } }],
      });
    }
  });

  it('that is too large is refused, whether it says so or not', async () => {
    const body = JSON.stringify({ query: `{ ${'a'.repeat(20_000)} }` });
    const chunks = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent < body.length; sent += 5_000)
          controller.enqueue(new TextEncoder().encode(body.slice(sent, sent + 5_000)));
        controller.close();
      },
    });
    for (const sent of [body, chunks]) {
      const response = await fetch(app().url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: sent,
        ...(sent === chunks && { duplex: 'half' }),
      } as RequestInit);
      expect([response.status, await response.json()]).toEqual([
        413,
        { errors: [{ message: expect.any(String), extensions: { code: 'PAYLOAD_TOO_LARGE' } }] },
      ]);
    }
    const { prompt } = { prompt: 'x'.repeat(9_000) };
    const fits = await app().ask(
      'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { prompt } } }',
      { input: { prompt, idempotencyKey: key() } },
    );
    expect(fits.createJob.job.prompt).toBe(prompt);
  });

  it('by GET reads, and changes nothing', async () => {
    const get = async (parameters: Record<string, string>, headers: Record<string, string> = {}) => {
      const url = new URL(app().url);
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      const response = await fetch(url, { headers });
      return { status: response.status, allow: response.headers.get('allow'), body: await response.json() };
    };
    const authorization = `Bearer ${token}`;
    expect(await get({ query: viewerRoles }, { authorization })).toMatchObject({
      status: 200,
      body: { data: { viewer: { roles: ['USER', 'ADMIN'] } } },
    });
    expect(await get({ query: 'mutation { signOut { signedOut } }' }, { authorization })).toMatchObject({
      status: 405,
      allow: 'POST',
      body: { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] },
    });
    for (const parameter of ['variables', 'extensions'])
      expect(await get({ query: viewerRoles, [parameter]: '{nonsense' })).toEqual({
        status: 400,
        allow: null,
        body: {
          errors: [
            {
              message: 'variables and extensions must be JSON.',
              extensions: { code: 'BAD_USER_INPUT', argument: 'variables' },
            },
          ],
        },
      });
    expect(await app().ask(viewerRoles, {}, { token })).toBeTruthy();
    expect(app().logged.join('')).not.toContain('nonsense');
  });

  it.each(['PUT', 'DELETE', 'PATCH', 'HEAD'])('by %s is refused', async (method) => {
    const response = await fetch(app().url, { method });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST']);
  });

  it.each(['text/plain', 'multipart/form-data; boundary=x', 'application/xml'])(
    'as %s is refused',
    async (type) => {
      const response = await post(`{"query":"${viewerRoles}"}`, { 'content-type': type });
      expect([response.status, await response.text()]).toEqual([415, '']);
    },
  );
});

describe('a page of another origin', () => {
  const ask = (url: string, origin: string, init: RequestInit = {}) =>
    fetch(`${url}?query=${encodeURIComponent(viewerRoles)}`, {
      ...init,
      headers: { origin, ...init.headers },
    });
  const cors = ({ headers }: Response) =>
    Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));

  it('is told nothing without ALLOWED_ORIGINS', async () => {
    expect(cors(await ask(app().url, 'https://app.example'))).toEqual({});
    const preflight = await ask(app().url, 'https://app.example', {
      method: 'OPTIONS',
      headers: { 'access-control-request-method': 'POST' },
    });
    expect([preflight.status, cors(preflight)]).toEqual([405, {}]);
  });

  it.each([['https://app.example'], ['https://app.example,https://other.example']])(
    'may call when it is one of %s',
    async (ALLOWED_ORIGINS) => {
      const open = await startTestApp({ ALLOWED_ORIGINS });
      const allowed = cors(await ask(open.url, 'https://app.example'));
      expect(allowed).toMatchObject({ 'access-control-allow-origin': 'https://app.example' });
      expect(allowed).not.toHaveProperty('access-control-allow-credentials');
      const preflight = await ask(open.url, 'https://app.example', {
        method: 'OPTIONS',
        headers: {
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization, content-type, x-access-tokens, last-event-id',
        },
      });
      expect([preflight.status, cors(preflight)]).toEqual([
        204,
        {
          'access-control-allow-origin': 'https://app.example',
          'access-control-allow-methods': 'GET, POST',
          'access-control-allow-headers': 'authorization, content-type, x-access-tokens, last-event-id',
          'access-control-max-age': '600',
        },
      ]);
      const foreign = cors(await ask(open.url, 'https://evil.example'));
      expect(foreign['access-control-allow-origin']).not.toBe('https://evil.example');
      expect(foreign['access-control-allow-origin']).not.toBe('*');
    },
  );
});
