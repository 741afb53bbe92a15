import { buildSchema, type DocumentNode, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createOperationKeys } from '../../src/graphql/operation-keys.ts';

const schema = buildSchema(`
  scalar Sats
  input Filter { least: Int = 0, name: String, place: Place }
  input Place { after: String }
  type Query { nothing: Int }
  type Subscription {
    watched(id: ID, after: String, filter: Filter, sats: Sats, ids: [ID!]): Watched
    other(after: String): Watched
  }
  type Watched { n(after: String): Int }
`);
Object.assign(schema.getType('Sats') ?? {}, { parseValue: (value: unknown) => BigInt(String(value)) });
const keys = createOperationKeys();

type Variables = Readonly<Record<string, unknown>>;

const keyOf = (
  document: DocumentNode | string,
  variableValues?: Variables | null,
  operationName?: string | null,
) =>
  keys.of({
    schema,
    document: typeof document === 'string' ? parse(document) : document,
    variableValues: variableValues ?? null,
    operationName: operationName ?? null,
  });

describe('the key of an operation', () => {
  const query = 'subscription ($id: ID, $from: String = "x") { watched(id: $id, after: $from) { n } }';

  it('is the same for another parse of the same text, and for the document itself without its text', () => {
    expect(keyOf(query, { id: 1 })).toBe(keyOf(query, { id: '1' }));
    const bare = parse(query, { noLocation: true });
    expect(keyOf(bare, { id: 1 })).toBe(keyOf(parse(query, { noLocation: true }), { id: 1 }));
  });

  it('is another for another text, operation or variable', () => {
    const both = 'subscription A { watched { n } } subscription B { watched { n } }';
    const distinct = [
      keyOf(query),
      keyOf(query, { id: 1 }),
      keyOf(query, { id: 2 }),
      keyOf(query, { id: null }),
      keyOf(`${query} `, { id: 1 }),
      keyOf(both, {}, 'A'),
      keyOf(both, {}, 'B'),
    ];
    expect(new Set(distinct).size).toBe(distinct.length);
  });

  it('knows the only operation of a document by its name or without', () => {
    const document = parse('subscription A { watched { n } }');
    expect(keyOf(document, null, 'A')).toBe(keyOf(document));
  });

  it('is of the variables as they are coerced: with defaults, in one order, without those that are not declared', () => {
    const filtered = 'subscription ($filter: Filter, $id: ID) { watched(filter: $filter, id: $id) { n } }';
    const key = keyOf(filtered, { filter: { least: 0, name: 'x' }, id: '1' });
    expect(keyOf(filtered, { id: 1, filter: { name: 'x' }, unknown: 1 })).toBe(key);
    expect(keyOf(filtered, { id: 1, filter: { name: 'x', least: 1 } })).not.toBe(key);
  });

  it('tells large numbers apart, also such as are no JSON', () => {
    const large = 'subscription ($sats: Sats) { watched(sats: $sats) { n } }';
    expect(keyOf(large, { sats: '9007199254740993' })).not.toBe(keyOf(large, { sats: '9007199254740992' }));
    expect(keyOf(large, { sats: '1' })).toBe(keyOf(large, { sats: 1 }));
  });

  it.each([
    ['whatever its name', query, 'from'],
    ['in an alias', 'subscription ($c: String) { alias: watched(after: $c) { n } }', 'c'],
    ['of another field', 'subscription ($c: String) { other(after: $c) { n } }', 'c'],
  ])('leaves out what only says where to begin: %s', (_, document, name) => {
    expect(keyOf(document, { [name]: 'a' })).toBe(keyOf(document, { [name]: 'b' }));
  });

  it.each([
    ['another argument', 'subscription ($c: ID) { watched(id: $c) { n } }'],
    ['a field below', 'subscription ($c: String) { watched { n(after: $c) } }'],
    ['both', 'subscription ($c: String) { watched(after: $c) { n(after: $c) } }'],
    [
      'both, in a fragment',
      'subscription ($c: String) { watched(after: $c) { ...F } } fragment F on Watched { n(after: $c) }',
    ],
    ['an input', 'subscription ($c: String) { watched(filter: { place: { after: $c } }) { n } }'],
    ['a list', 'subscription ($c: ID!) { watched(ids: [$c]) { n } }'],
    ['a root field in a fragment', 'subscription ($c: String) { ... { watched(after: $c) { n } } }'],
  ])('counts what is used elsewhere: in %s', (_, document) => {
    expect(keyOf(document, { c: 'a' })).not.toBe(keyOf(document, { c: 'b' }));
  });

  it('counts a directive', () => {
    const document = 'subscription ($c: Boolean!) { watched { n @include(if: $c) } }';
    expect(keyOf(document, { c: true })).not.toBe(keyOf(document, { c: false }));
  });

  it('does without variables, and with such as cannot be coerced', () => {
    expect(keyOf('subscription { watched { n } }', null)).toBe(keyOf('subscription { watched { n } }', {}));
    const strict = 'subscription ($ids: [ID!]) { watched(ids: $ids) { n } }';
    expect(keyOf(strict, { ids: [null] })).toMatch(/ \[\]$/);
  });
});
