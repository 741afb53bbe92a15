import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Block, decide, type KnownBlock } from '../../src/inbox/blocks.ts';

const block = (hash: string, height: number, parent: string): Block => ({ hash, height, parent });
const known = (of: Block, canonical = true): KnownBlock => ({ ...of, canonical });
const nothing = { undone: [], applied: [], gaps: [] };

const one = block('1', 1, '0');
const a = block('a', 2, '1');
const b = block('b', 2, '1');
const aa = block('aa', 3, 'a');

describe('a block', () => {
  it('is applied upon a canonical parent, or one that we do not know', () => {
    expect(decide([], { rollback: [], apply: [a] })).toEqual({ ...nothing, applied: ['a'] });
    expect(decide([known(one)], { rollback: [], apply: [a] })).toEqual({ ...nothing, applied: ['a'] });
  });

  it('is not applied upon one that was undone, nor where another one stands, nor again', () => {
    expect(decide([known(a, false)], { rollback: [], apply: [aa] })).toEqual(nothing);
    expect(decide([known(one), known(b)], { rollback: [], apply: [a] })).toEqual(nothing);
    expect(decide([known(one), known(a)], { rollback: [], apply: [a, a] })).toEqual(nothing);
  });

  it('is undone when it stands, and only then', () => {
    expect(decide([known(one), known(a)], { rollback: [a], apply: [] })).toEqual({
      ...nothing,
      undone: ['a'],
    });
    expect(decide([known(a, false)], { rollback: [a], apply: [] })).toEqual(nothing);
    expect(decide([], { rollback: [a], apply: [] })).toEqual(nothing);
  });

  it('is put in the place of others: the highest goes first, the lowest comes first', () => {
    const bb = block('bb', 3, 'b');
    expect(decide([known(one), known(a), known(aa)], { rollback: [a, aa], apply: [bb, b] })).toEqual({
      undone: ['aa', 'a'],
      applied: ['b', 'bb'],
      gaps: [],
    });
  });

  it('leaves a gap when it is higher than the next, and its parent is not known', () => {
    const far = block('far', 9, 'x');
    expect(decide([known(one)], { rollback: [], apply: [far] }).gaps).toEqual([{ from: 2, to: 8 }]);
    expect(
      decide([known(one), known({ ...far, hash: 'x', height: 8 })], { rollback: [], apply: [far] }).gaps,
    ).toEqual([]);
    expect(decide([], { rollback: [], apply: [far] }).gaps).toEqual([]);
  });
});

it('never has two blocks at one height, nor a block whose parent was undone, whatever is delivered', () => {
  const delivered = fc.record({
    height: fc.integer({ min: 1, max: 5 }),
    fork: fc.integer({ min: 0, max: 2 }),
    on: fc.integer({ min: 0, max: 2 }),
  });
  const parents = new Map<string, string>();
  const toBlock = ({ height, fork, on }: { height: number; fork: number; on: number }): Block => {
    const hash = `${height}.${fork}`;
    // A block has one parent for good.
    if (!parents.has(hash)) parents.set(hash, `${height - 1}.${on}`);
    return block(hash, height, parents.get(hash) as string);
  };
  const delivery = fc.record({
    rollback: fc.array(delivered, { maxLength: 4 }),
    apply: fc.array(delivered, { maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(delivery, { maxLength: 20 }), (deliveries) => {
      parents.clear();
      const all = new Map<string, KnownBlock>();
      for (const each of deliveries) {
        const rollback = each.rollback.map(toBlock);
        const apply = each.apply.map(toBlock);
        const { undone, applied } = decide([...all.values()], { rollback, apply });
        for (const hash of undone) all.set(hash, { ...(all.get(hash) as KnownBlock), canonical: false });
        for (const hash of applied) {
          const found = apply.find((other) => other.hash === hash) as Block;
          const parent = all.get(found.parent);
          expect(parent === undefined || parent.canonical).toBe(true);
          all.set(hash, known(found));
        }
        const heights = [...all.values()].flatMap(({ canonical, height }) => (canonical ? [height] : []));
        expect(new Set(heights).size).toBe(heights.length);
        // The same again is a repeat.
        expect(
          decide([...all.values()], { rollback: [], apply: applied.map((hash) => all.get(hash) as Block) }),
        ).toEqual(nothing);
      }
    }),
  );
});
