import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type EscrowJobAction,
  type EscrowJobState,
  escrowJobStates,
  isOpen,
  isPast,
  newChecklist,
  nextState,
  progressPercent,
  splitPay,
  unticked,
  withItem,
} from '../../../src/jobs/escrow/machine.ts';

/** Every step that there is; all others are refused. */
const steps: ReadonlyArray<readonly [EscrowJobState, EscrowJobAction, EscrowJobState]> = [
  ['OPEN', 'ACCEPT', 'ACCEPTED'],
  ['OPEN', 'CANCEL', 'CANCELLED'],
  ['OPEN', 'EXPIRE', 'REFUNDED'],
  ['ACCEPTED', 'WITHDRAW', 'OPEN'],
  ['ACCEPTED', 'CHECK', 'ACCEPTED'],
  ['ACCEPTED', 'COMPLETE', 'COMPLETED'],
  ['ACCEPTED', 'EXPIRE', 'REFUNDED'],
];

const actions = [...new Set(steps.map(([, action]) => action))];

it('allows each step that there is, and no other', () => {
  for (const state of escrowJobStates)
    for (const action of actions) {
      const step = steps.find(([from, by]) => from === state && by === action);
      expect([state, action, nextState(state, action)]).toEqual([state, action, step?.[2]]);
    }
});

it('holds the pay until an end, which is never left', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...actions), { maxLength: 20 }), (happening) => {
      const passed: EscrowJobState[] = ['OPEN'];
      for (const action of happening) {
        const next = nextState(passed.at(-1)!, action);
        if (next) passed.push(next);
      }
      passed.forEach((state, index) => {
        if (!isOpen(state)) expect(index).toBe(passed.length - 1);
        if (state === 'COMPLETED') expect(passed[index - 1]).toBe('ACCEPTED');
        if (state === 'CANCELLED') expect(passed[index - 1]).toBe('OPEN');
      });
    }),
    { numRuns: 1_000 },
  );
  expect(escrowJobStates.filter(isOpen)).toEqual(['OPEN', 'ACCEPTED']);
});

it('is past its deadline from that very moment on', () => {
  expect([9, 10, 11].map((now) => isPast(new Date(10), now))).toEqual([false, true, true]);
});

it('splits any pay into what the worker gets and a fee, to the sat', () => {
  const pays = fc.bigInt({ min: 1n, max: 2_100_000_000_000_000n });
  fc.assert(
    fc.property(pays, fc.integer({ min: 0, max: 10_000 }), (pay, basisPoints) => {
      const { paid, fee } = splitPay(pay, basisPoints);
      expect(paid + fee).toBe(pay);
      expect(paid).toBeGreaterThanOrEqual(0n);
      const exact = pay * BigInt(basisPoints);
      expect(fee * 10_000n <= exact && (fee + 1n) * 10_000n > exact).toBe(true);
    }),
  );
  expect(splitPay(49n, 200)).toEqual({ paid: 49n, fee: 0n });
  expect(splitPay(50n, 200)).toEqual({ paid: 49n, fee: 1n });
});

it('ticks and unticks any item, and says how much is done', () => {
  const lists = fc.array(fc.string({ minLength: 1 }), { maxLength: 50 });
  fc.assert(
    fc.property(lists, fc.array(fc.tuple(fc.nat(60), fc.boolean())), (texts, ticks) => {
      let list = newChecklist(texts);
      const model = texts.map(() => false);
      for (const [index, completed] of ticks) {
        const next = withItem(list, `${index + 1}`, completed);
        expect(next === undefined).toBe(index >= texts.length);
        if (!next) continue;
        model[index] = completed;
        list = next;
      }
      expect(list.map(({ text }) => text)).toEqual(texts);
      expect(list.map(({ completed }) => completed)).toEqual(model);
      const done = model.filter(Boolean).length;
      const percent = progressPercent(list);
      expect(percent === 100).toBe(done > 0 && done === texts.length);
      expect(percent).toBe(texts.length === 0 ? 0 : Math.floor((100 * done) / texts.length));
      expect(unticked(list)).toEqual(newChecklist(texts));
    }),
  );
});
