import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type ListingAction,
  type ListingState,
  listingStates,
  nextState,
  splitPrice,
} from '../../src/marketplace/machine.ts';

/** Every step that there is; all others are refused. */
const steps: ReadonlyArray<readonly [ListingState, ListingAction, ListingState]> = [
  ['ACTIVE', 'UPDATE', 'ACTIVE'],
  ['ACTIVE', 'CANCEL', 'CANCELLED'],
  ['ACTIVE', 'BUY', 'SOLD'],
  ['ACTIVE', 'END', 'ENDED'],
];

const actions = steps.map(([, action]) => action);

it('allows each step that there is, and no other', () => {
  for (const state of listingStates)
    for (const action of actions) {
      const step = steps.find(([from, by]) => from === state && by === action);
      expect([state, action, nextState(state, action)]).toEqual([state, action, step?.[2]]);
    }
});

it('ends once, and by what came first', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...actions), { maxLength: 12 }), (happening) => {
      let state: ListingState = 'ACTIVE';
      for (const action of happening) state = nextState(state, action) ?? state;
      const first = happening.find((action) => action !== 'UPDATE');
      expect(state).toBe(steps.find(([, action]) => action === (first ?? 'UPDATE'))?.[2]);
    }),
    { numRuns: 2_000 },
  );
});

it('splits a price without losing a sat, and takes no more than its part', () => {
  fc.assert(
    fc.property(
      fc.bigInt(1n, 2_100_000_000_000_000n),
      fc.integer({ min: 0, max: 10_000 }),
      (price, points) => {
        const { fee, proceeds } = splitPrice(price, points);
        expect(fee + proceeds).toBe(price);
        expect(fee >= 0n && proceeds >= 0n).toBe(true);
        // Rounded down: the fee is at most its part, and less than a sat below it.
        expect(fee * 10_000n <= price * BigInt(points)).toBe(true);
        expect((fee + 1n) * 10_000n > price * BigInt(points)).toBe(true);
      },
    ),
  );
  expect(splitPrice(1n, 100)).toEqual({ fee: 0n, proceeds: 1n });
  expect(splitPrice(99n, 100)).toEqual({ fee: 0n, proceeds: 99n });
  expect(splitPrice(100n, 100)).toEqual({ fee: 1n, proceeds: 99n });
  expect(splitPrice(1n, 10_000)).toEqual({ fee: 1n, proceeds: 0n });
});
