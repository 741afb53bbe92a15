import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterTopUp,
  nextState,
  runsLow,
  type SessionAction,
  type SessionState,
  sessionStates,
} from '../../src/sessions/machine.ts';

/** Every step that there is; all others are refused. */
const steps: ReadonlyArray<readonly [SessionState, SessionAction, SessionState]> = [
  ['AWAITING_PAYMENT', 'DEPOSIT_PAID', 'ACTIVE'],
  ['AWAITING_PAYMENT', 'CLOSE', 'CLOSED'],
  ['AWAITING_PAYMENT', 'EXPIRE', 'EXPIRED'],
  ['ACTIVE', 'TOP_UP', 'ACTIVE'],
  ['ACTIVE', 'RUN_LOW', 'PAUSED'],
  ['ACTIVE', 'CLOSE', 'CLOSED'],
  ['ACTIVE', 'EXPIRE', 'EXPIRED'],
  ['PAUSED', 'TOP_UP', 'ACTIVE'],
  ['PAUSED', 'CLOSE', 'CLOSED'],
  ['PAUSED', 'EXPIRE', 'EXPIRED'],
];

const actions = [...new Set(steps.map(([, action]) => action))];

it('allows each step that there is, and no other', () => {
  for (const state of sessionStates)
    for (const action of actions) {
      const step = steps.find(([from, by]) => from === state && by === action);
      expect([state, action, nextState(state, action)]).toEqual([state, action, step?.[2]]);
    }
});

it('comes to each state only by its deposit, and never leaves an end', () => {
  const reached = new Set<SessionState>();
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...actions), { maxLength: 12 }), (happening) => {
      const passed: SessionState[] = ['AWAITING_PAYMENT'];
      for (const action of happening) {
        const next = nextState(passed.at(-1)!, action);
        if (next) passed.push(next);
      }
      passed.forEach((state, index) => {
        reached.add(state);
        if (state === 'ACTIVE') expect(passed[index - 1]).not.toBeOneOf(['EXPIRED', 'CLOSED']);
        if (state === 'PAUSED') expect(passed[index - 1]).toBe('ACTIVE');
        if (state === 'EXPIRED' || state === 'CLOSED') expect(index).toBe(passed.length - 1);
      });
      expect(passed.lastIndexOf('AWAITING_PAYMENT')).toBe(0);
    }),
    { numRuns: 2_000 },
  );
  expect(reached).toEqual(new Set(sessionStates));
});

describe('the minimum', () => {
  const balances = fc.record({ balance: fc.bigInt(0n, 200n), minimum: fc.bigInt(1n, 200n) });

  it('pauses below it, and not at it', () => {
    fc.assert(
      fc.property(balances, ({ balance, minimum }) => {
        expect(runsLow(balance, minimum)).toBe(balance < minimum);
      }),
    );
    expect([runsLow(0n, 1n), runsLow(1n, 1n)]).toEqual([true, false]);
  });

  it('keeps a paused session paused until a top-up reaches it, and bothers no other', () => {
    fc.assert(
      fc.property(balances, ({ balance, minimum }) => {
        expect(afterTopUp('PAUSED', balance, minimum)).toBe(balance < minimum ? 'PAUSED' : 'ACTIVE');
        expect(afterTopUp('ACTIVE', balance, minimum)).toBe('ACTIVE');
        for (const state of ['AWAITING_PAYMENT', 'EXPIRED', 'CLOSED'] as const)
          expect(afterTopUp(state, balance, minimum)).toBeUndefined();
      }),
    );
  });
});
