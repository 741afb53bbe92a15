import { describe, expect, it } from 'vitest';
import { startTestApp, useTestApp } from '../support/app.ts';
import type { GraphqlError } from '../support/clients.ts';
import { key } from '../support/operations.ts';
import { refusedDocuments } from '../support/refused-documents.ts';

const app = useTestApp({ LIMIT_BODY_BYTES: '20000' });
const viewerRoles = '{ viewer { roles } }';

function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(app().url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

const bearer = async () => ({ authorization: `Bearer ${await app().token('alice', ['USER', 'ADMIN'])}` });

describe('a GraphQL request', () => {
  it.each(refusedDocuments)(
    'with $name is refused',
    async ({ query, variables, operationName, ...expected }) => {
      const accepts = { 'application/json': [200, 400], 'application/graphql-response+json': [400] };
      for (const [accept, statuses] of Object.entries(accepts)) {
        const response = await post({ query, variables, operationName }, { accept });
        const { errors, data } = (await response.json()) as { errors: GraphqlError[]; data: unknown };
        expect([accept, statuses.includes(response.status)]).toEqual([accept, true]);
        expect(data).toBeUndefined();
        expect(errors[0]?.extensions).toEqual({
          code: expected.code,
          ...(expected.argument && { argument: expected.argument }),
        });
        if (expected.message) expect(errors[0]?.message).toMatch(expected.message);
      }
    },
  );

  it('whose argument is null by a variable is refused', async () => {
    const query = 'query ($id: ID = "x") { node(id: $id) { id } }';
    const response = await post({ query, variables: { id: null } }, await bearer());
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
    const prompt = 'x'.repeat(9_000);
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
    const { authorization } = await bearer();
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
    expect(await get({ query: viewerRoles }, { authorization })).toMatchObject({ status: 200 });
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
