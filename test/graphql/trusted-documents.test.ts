import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { buildSchema } from 'graphql';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  anyDocuments,
  type DocumentParams,
  type Documents,
  ManifestError,
  readTrustedDocuments,
} from '../../src/graphql/trusted-documents.ts';

const schema = buildSchema(await readFile('schema.graphql', 'utf8'));
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const viewer = 'query Viewer { viewer { roles } }';
const watch = 'subscription WatchJob($id: ID!) {\n  jobUpdated(id: $id) { cursor }\n}';

async function read(manifest: unknown): Promise<Documents> {
  const folder = await mkdtemp(join(tmpdir(), 'satwire-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'manifest.json');
  await writeFile(path, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  return readTrustedDocuments(path, schema);
}

const plain = { [sha256(viewer)]: viewer, [sha256(watch)]: watch };
const byHash = (text: string) => ({
  extensions: { persistedQuery: { version: 1, sha256Hash: sha256(text) } },
});
const refusal = expect.objectContaining({
  code: 'BAD_USER_INPUT',
  message: 'Only trusted documents are taken, and this is none of them.',
  details: { argument: 'query' },
});

describe('a trusted document', () => {
  it.each<[string, DocumentParams, string]>([
    ['its hash', byHash(viewer), viewer],
    ['its hash, and no text', { query: '', ...byHash(watch) }, watch],
    ['its hash as Apollo sends it', { query: null, ...byHash(watch) }, watch],
    ['its id', { documentId: sha256(viewer) }, viewer],
    ['its id with the algorithm', { documentId: `sha256:${sha256(watch)}` }, watch],
    ['its text', { query: watch }, watch],
    ['its text, written otherwise', { query: `# A comment\n${watch.replaceAll('\n', ', ')}` }, watch],
    ['its text and its hash', { query: viewer, ...byHash(viewer) }, viewer],
    ['its text and a hash of another manifest', { query: viewer, ...byHash('other') }, viewer],
  ])('is found by %s', async (_by, params, text) => {
    expect((await read(plain)).resolve(params)).toBe(text);
  });

  it.each<[string, DocumentParams]>([
    ['another text', { query: '{ viewer { roles } }' }],
    ['introspection', { query: '{ __schema { types { name } } }' }],
    ['the name of a type', { query: '{ __typename }' }],
    ['what is no text', { query: 7 }],
    ['what is no document', { query: '{ "' }],
    ['nothing', {}],
    ['an empty text', { query: '' }],
    ['a hash that is not known', byHash('other')],
    ['a hash that is no text', { extensions: { persistedQuery: { sha256Hash: 7 } } }],
    ['extensions that are none', { extensions: 'x' }],
    ['an id that is not known', { documentId: '__proto__' }],
    ['an id that is no text', { documentId: { [sha256(viewer)]: 1 } }],
    ['an id that cannot be made one', { documentId: { toString: null } }],
    ['another text beside the hash of one', { query: '{ viewer { roles } }', ...byHash(viewer) }],
    ['the text of one beside the hash of another', { query: viewer, ...byHash(watch) }],
  ])('is not %s', async (_what, params) => {
    const documents = await read(plain);
    expect(() => documents.resolve(params)).toThrow(refusal);
  });

  it('is never any that the manifest has not, whatever is sent', async () => {
    const documents = await read(plain);
    const anything = fc.oneof(fc.anything(), fc.string(), fc.constantFrom(viewer, watch, sha256(viewer)));
    const params = fc.record(
      {
        query: anything,
        documentId: anything,
        extensions: fc.oneof(
          fc.anything(),
          fc.record({ persistedQuery: fc.record({ sha256Hash: anything }) }),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(params, (sent) => {
        try {
          expect([viewer, watch]).toContain(documents.resolve(sent));
        } catch (error) {
          expect(error).toEqual(refusal);
        }
      }),
    );
  });
});

describe('a manifest', () => {
  const operation = (id: string, body: string) => ({ id, name: 'Named', type: 'query', body });

  it('may be one of Apollo', async () => {
    const documents = await read({
      format: 'apollo-persisted-query-manifest',
      version: 1,
      operations: [operation(sha256(viewer), viewer)],
    });
    expect(documents.areTrusted).toBe(true);
    expect(documents.resolve(byHash(viewer))).toBe(viewer);
    expect(() => documents.resolve(byHash(watch))).toThrow(refusal);
  });

  it('may have ids of any form, and no documents at all', async () => {
    expect((await read({ 'sha256:1': viewer })).resolve({ documentId: '1' })).toBe(viewer);
    expect((await read({ 'Viewer.1': viewer })).resolve({ documentId: 'Viewer.1' })).toBe(viewer);
    expect(() => anyDocuments.resolve({ documentId: 'x' })).toThrow();
    const none = await read({});
    expect(() => none.resolve({ query: viewer })).toThrow(refusal);
  });

  const noManifest = 'TRUSTED_DOCUMENTS must be a JSON object of documents by id, or a manifest of Apollo';

  it.each<[string, unknown, string | RegExp]>([
    ['no JSON', '{', noManifest],
    ['a list', [viewer], noManifest],
    ['something else than texts', { a: 7 }, noManifest],
    [
      'a newer manifest of Apollo',
      { format: 'apollo-persisted-query-manifest', version: 2, operations: [] },
      noManifest,
    ],
    [
      'a field that the schema has not',
      { a: viewer, b: 'query Other {\n viewer { nothing } }' },
      'TRUSTED_DOCUMENTS has Other, which does not fit the schema: Cannot query field "nothing" on type "Viewer".',
    ],
    [
      'no name',
      { 'the id': '{ nothing }' },
      /^TRUSTED_DOCUMENTS has the id, which does not fit the schema: .+$/,
    ],
    ['no syntax', { 'the id': 'query Other {' }, /^TRUSTED_DOCUMENTS has the id, .*: Syntax Error: .+$/],
    [
      'no operation',
      { 'the id': 'fragment F on Viewer { roles }' },
      /^TRUSTED_DOCUMENTS has the id, .*"F".*$/,
    ],
    [
      'no syntax, in one of Apollo',
      { format: 'apollo-persisted-query-manifest', version: 1, operations: [operation('1', 'x')] },
      /^TRUSTED_DOCUMENTS has Named, .*: Syntax Error: .+$/,
    ],
  ])('with %s is refused, in a line', async (_what, manifest, message) => {
    const refused = await read(manifest).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ManifestError);
    expect((refused as Error).message).toMatch(message);
    expect((refused as Error).message).not.toContain('\n');
  });

  it('that is not there is refused', async () => {
    await expect(readTrustedDocuments('test/graphql/none.json', schema)).rejects.toThrow(
      new ManifestError('TRUSTED_DOCUMENTS cannot be read: ENOENT'),
    );
  });
});

describe('without a manifest', () => {
  it('any text is taken as it is', () => {
    expect(anyDocuments.areTrusted).toBe(false);
    for (const params of [{ query: '{ anything }' }, {}, { query: viewer, ...byHash(viewer) }, { query: 7 }])
      expect(anyDocuments.resolve(params)).toBeUndefined();
  });

  it('a hash alone is refused, so that clients send the text', () => {
    const unsupported = expect.objectContaining({
      code: 'BAD_USER_INPUT',
      message: 'PersistedQueryNotSupported',
    });
    for (const params of [byHash(viewer), { query: '', ...byHash(viewer) }, { documentId: 'x' }])
      expect(() => anyDocuments.resolve(params)).toThrow(unsupported);
  });
});
