import { BreakingChangeType } from 'graphql';
import { describe, expect, it } from 'vitest';
import { unannouncedBreakingChanges } from '../../scripts/lib/breaking.ts';

const QUERY = 'type Query { ok: Boolean }';

// Of each kind of breaking change: before, after, its coordinate.
const CHANGES: Record<BreakingChangeType, [released: string, current: string, coordinate: string]> = {
  TYPE_REMOVED: [`${QUERY} type User { id: Boolean }`, QUERY, 'User'],
  TYPE_CHANGED_KIND: [`${QUERY} scalar User`, `${QUERY} type User { id: String }`, 'User'],
  TYPE_REMOVED_FROM_UNION: [
    `${QUERY} type A { x: Int } type B { x: Int } union Both = A | B`,
    `${QUERY} type A { x: Int } type B { x: Int } union Both = A`,
    'Both.B',
  ],
  VALUE_REMOVED_FROM_ENUM: [`${QUERY} enum State { ON OFF }`, `${QUERY} enum State { ON }`, 'State.OFF'],
  REQUIRED_INPUT_FIELD_ADDED: [
    `${QUERY} input In { a: Boolean }`,
    `${QUERY} input In { a: Boolean, b: Boolean! }`,
    'In.b',
  ],
  IMPLEMENTED_INTERFACE_REMOVED: [
    `${QUERY} interface Node { x: Boolean } type A implements Node { x: Boolean }`,
    `${QUERY} interface Node { x: Boolean } type A { x: Boolean }`,
    'A.Node',
  ],
  FIELD_REMOVED: ['type Query { ok: Boolean, no: Boolean }', QUERY, 'Query.no'],
  FIELD_CHANGED_KIND: ['type Query { ok: Boolean! }', QUERY, 'Query.ok'],
  REQUIRED_ARG_ADDED: [QUERY, 'type Query { ok(a: Boolean!): Boolean }', 'Query.ok(a:)'],
  ARG_REMOVED: ['type Query { ok(a: Boolean): Boolean }', QUERY, 'Query.ok(a:)'],
  ARG_CHANGED_KIND: [
    'type Query { ok(a: Boolean): Boolean }',
    'type Query { ok(a: [Boolean]!): Boolean }',
    'Query.ok(a:)',
  ],
  DIRECTIVE_REMOVED: [`${QUERY} directive @live on FIELD`, QUERY, '@live'],
  DIRECTIVE_ARG_REMOVED: [
    `${QUERY} directive @live(a: Boolean) on FIELD`,
    `${QUERY} directive @live on FIELD`,
    '@live(a:)',
  ],
  REQUIRED_DIRECTIVE_ARG_ADDED: [
    `${QUERY} directive @live on FIELD`,
    `${QUERY} directive @live(a: Boolean!) on FIELD`,
    '@live(a:)',
  ],
  DIRECTIVE_REPEATABLE_REMOVED: [
    `${QUERY} directive @live repeatable on FIELD`,
    `${QUERY} directive @live on FIELD`,
    '@live',
  ],
  DIRECTIVE_LOCATION_REMOVED: [
    `${QUERY} directive @live on FIELD | QUERY`,
    `${QUERY} directive @live on FIELD`,
    '@live',
  ],
};

const kinds = Object.values(BreakingChangeType).map((kind) => [kind, ...CHANGES[kind]] as const);

describe('each kind of change', () => {
  it.each(kinds)('%s fails until its coordinate is named', (_, released, current, coordinate) => {
    const changes = unannouncedBreakingChanges(released, current, '');
    expect(changes).toEqual([expect.stringMatching(/^\S+: .+\.$/)]);
    expect(changes[0]).toContain(`${coordinate}: `);
    const changelog = `# Changelog\n\n## Breaking\n\n- \`${coordinate}\` is no longer what it was.\n`;
    expect(unannouncedBreakingChanges(released, current, changelog)).toEqual([]);
  });
});

it('says nothing about changes that break nobody', () => {
  expect(unannouncedBreakingChanges(QUERY, 'type Query { ok: Boolean!, more(a: Int): Int }', '')).toEqual([]);
});

describe('the changelog', () => {
  const unannounced = (changelog: string) =>
    unannouncedBreakingChanges(
      'type Query { ok: Boolean, user: Boolean, name: Boolean }',
      QUERY,
      changelog,
    ).map((change) => change.split(':')[0]);

  it('needs to name every change', () => {
    expect(unannounced('## Breaking\n- Query.user is gone.')).toEqual(['Query.name']);
    expect(unannounced('## Breaking\n- Query.user is gone.\n- `Query.name` too')).toEqual([]);
    expect(unannounced('## Breaking\nGone: Query.user, Query.name.')).toEqual([]);
  });

  it('counts only what stands under a heading Breaking', () => {
    expect(unannounced('## Added\n- Query.user\n- Query.name')).toHaveLength(2);
    expect(unannounced('## Breaking\n- Query.user\n## Added\n- Query.name')).toEqual(['Query.name']);
    expect(unannounced('# 2.0\n### Breaking\n- Query.user\n\n# 1.9\n### Breaking\n- Query.name')).toEqual([]);
    expect(unannounced('## Breaking Query.user Query.name')).toHaveLength(2);
  });

  it('does not take a longer name for a shorter one', () => {
    expect(
      unannounced('## Breaking\n- Query.users, Query.name(of:), MyQuery.user, a.Query.name'),
    ).toHaveLength(2);
    expect(unannounced('## Breaking\n- Query.user.x and Query.name_')).toHaveLength(2);
  });
});
