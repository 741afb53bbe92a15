import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { createSchema, createYoga } from 'graphql-yoga';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createMaskError } from '../../src/graphql/errors.ts';
import { anyDocuments, type Documents, readTrustedDocuments } from '../../src/graphql/trusted-documents.ts';
import { useRequestErrors } from '../../src/transport/request-errors.ts';
import { useTrustedDocuments } from '../../src/transport/trusted-documents.ts';
import { until } from '../support/until.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const read = 'query Read($n: Int) { read(n: $n) }';
const write = 'mutation Write { write }';
const watch = 'subscription Watch { watch }';

const schema = createSchema({
  typeDefs: `
    type Query { read(n: Int): Int }
    type Mutation { write: Boolean }
    type Subscription { watch: Int }
  `,
  resolvers: {
    Query: { read: (_root: unknown, { n }: { n?: number }) => n ?? 0 },
    Mutation: { write: () => true },
    Subscription: {
      watch: {
        async *subscribe() {
          yield { watch: 1 };
        },
      },
    },
  },
});

/** A server with this choice of documents. */
async function startServer(documents: Documents): Promise<string> {
  const yoga = createYoga({
    schema,
    maskedErrors: { maskError: createMaskError((error) => expect.fail(String(error))) },
    multipart: false,
    logging: false,
    graphiql: false,
    plugins: [useRequestErrors(), useTrustedDocuments(documents)],
  });
  const server = createServer((request, response) => void yoga(request, response));
  server.listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await until('it listens', () => server.listening);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

async function post(url: string, body: object, accept = 'application/json') {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: JSON.stringify(body),
  });
  return [response.status, await response.text()];
}

async function get(url: string, parameters: Record<string, string>, accept = 'application/json') {
  const response = await fetch(`${url}?${new URLSearchParams(parameters)}`, { headers: { accept } });
  return [response.status, await response.text()];
}

const persisted = (text: string) => ({ persistedQuery: { version: 1, sha256Hash: sha256(text) } });
const refused = [400, expect.stringMatching(/"Only trusted documents are taken.*"code":"BAD_USER_INPUT"/)];
const seven = [200, '{"data":{"read":7}}'];

describe('with trusted documents', () => {
  let trusted: Documents;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'satwire-test-'));
    const path = join(folder, 'manifest.json');
    const texts = [read, write, watch];
    await writeFile(path, JSON.stringify(Object.fromEntries(texts.map((text) => [sha256(text), text]))));
    trusted = await readTrustedDocuments(path, schema);
    await rm(folder, { recursive: true });
  });

  const variables = { n: 7 };

  it('a POST names one by its hash, by its id, or has its text', async () => {
    const url = await startServer(trusted);
    expect(await post(url, { extensions: persisted(read), variables })).toEqual(seven);
    expect(await post(url, { documentId: sha256(read), variables })).toEqual(seven);
    expect(await post(url, { documentId: `sha256:${sha256(read)}`, variables })).toEqual(seven);
    expect(await post(url, { query: read, variables, operationName: 'Read' })).toEqual(seven);
    expect(await post(url, { documentId: sha256(write) })).toEqual([200, '{"data":{"write":true}}']);
  });

  it('a GET does so too, and still changes nothing', async () => {
    const url = await startServer(trusted);
    const n = { variables: JSON.stringify(variables) };
    expect(await get(url, { extensions: JSON.stringify(persisted(read)), ...n })).toEqual(seven);
    expect(await get(url, { documentId: sha256(read), ...n })).toEqual(seven);
    expect(await get(url, { query: read, ...n })).toEqual(seven);
    expect((await get(url, { documentId: sha256(write) }))[0]).toBe(405);
  });

  it('a stream does so too', async () => {
    const url = await startServer(trusted);
    const event = [200, expect.stringContaining('data: {"data":{"watch":1}}')];
    expect(await get(url, { documentId: sha256(watch) }, 'text/event-stream')).toEqual(event);
    expect(await post(url, { extensions: persisted(watch) }, 'text/event-stream')).toEqual(event);
    expect(await get(url, { query: 'subscription { watch }' }, 'text/event-stream')).toEqual(refused);
  });

  it('everything else is refused', async () => {
    const url = await startServer(trusted);
    const others = [
      { query: '{ read }' },
      { query: '{ __schema { queryType { name } } }' },
      { query: '{ __typename }' },
      { query: '{' },
      { query: `${read} query Other { read }`, operationName: 'Other' },
      { query: 7 },
      { extensions: persisted('{ read }') },
      { documentId: 'unknown' },
      {},
    ];
    for (const body of others) expect([body, ...(await post(url, body))]).toEqual([body, ...refused]);
    expect(await get(url, { query: '{ read }' })).toEqual(refused);
    expect(await get(url, { documentId: '' })).toEqual(refused);
  });
});

describe('without a manifest', () => {
  it('any document is executed, and what names one alone is refused', async () => {
    const url = await startServer(anyDocuments);
    expect(await post(url, { query: '{ a: read(n: 7) }' })).toEqual([200, '{"data":{"a":7}}']);
    expect(await post(url, { query: '{ read(n: 7) }', extensions: persisted('other') })).toEqual(seven);
    const unsupported = [400, expect.stringMatching(/"PersistedQueryNotSupported".*"code":"BAD_USER_INPUT"/)];
    expect(await post(url, { extensions: persisted(read) })).toEqual(unsupported);
    expect(await post(url, { documentId: sha256(read) })).toEqual(unsupported);
    expect(await get(url, { documentId: sha256(read) })).toEqual(unsupported);
  });

  it('Apollo Client sends the text when it is told that hashes are not known', async () => {
    const url = await startServer(anyDocuments);
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: new PersistedQueryLink({ sha256 }).concat(new HttpLink({ uri: url })),
    });
    onTestFinished(() => client.stop());
    const query = gql('query ($n: Int) { read(n: $n) }');
    for (const n of [1, 2]) {
      const { data } = await client.query({ query, variables: { n } });
      expect(data).toEqual({ read: n });
    }
  });
});
