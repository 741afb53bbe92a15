import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createKnownDocuments } from '../../src/transport/documents.ts';

const textOf = (n: number, characters = 0) => `{ f${n} } #${'x'.repeat(characters)}`;
const document = parse('{ f }');

describe('known documents', () => {
  it('are found again by the same text alone, and have the text that came first', () => {
    const known = createKnownDocuments();
    expect(known.get('{ f }')).toBeUndefined();
    const added = known.add('{ f }', document);
    expect(added).toEqual({ document, text: '{ f }' });
    expect(known.get(['{', 'f', '}'].join(' '))).toBe(added);
    expect(known.get('{ f  }')).toBeUndefined();
  });

  it('are a thousand: then the one that was not asked for longest is forgotten', () => {
    const known = createKnownDocuments();
    for (let n = 1; n <= 1_000; n += 1) known.add(textOf(n), document);
    expect(known.get(textOf(1))).toBeDefined();
    known.add(textOf(1_001), document);
    expect(known.get(textOf(2))).toBeUndefined();
    expect(known.get(textOf(1))).toBeDefined();
    expect(known.get(textOf(3))).toBeDefined();
    known.add(textOf(1_002), document);
    expect(known.get(textOf(4))).toBeUndefined();
    expect(known.get(textOf(1_001))).toBeDefined();
  });

  it('are four million characters together, however few they are', () => {
    const known = createKnownDocuments();
    for (let n = 1; n <= 4; n += 1) known.add(textOf(n, 999_900), document);
    for (let n = 1; n <= 4; n += 1) expect(known.get(textOf(n, 999_900))).toBeDefined();
    known.add(textOf(5, 1_500_000), document);
    for (const n of [1, 2]) expect(known.get(textOf(n, 999_900))).toBeUndefined();
    for (const n of [3, 4]) expect(known.get(textOf(n, 999_900))).toBeDefined();
    known.add(textOf(6, 500_000), document);
    expect(known.get(textOf(3, 999_900))).toBeDefined();
  });

  it('leave room for others when one is larger than all of it', () => {
    const known = createKnownDocuments();
    const added = known.add(textOf(1, 4_000_001), document);
    expect(added.document).toBe(document);
    expect(known.get(textOf(1, 4_000_001))).toBeUndefined();
    for (let n = 1; n <= 4; n += 1) known.add(textOf(n, 999_900), document);
    for (let n = 1; n <= 4; n += 1) expect(known.get(textOf(n, 999_900))).toBeDefined();
  });
});
