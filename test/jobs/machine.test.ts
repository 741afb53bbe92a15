import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type AgentJobAction,
  type AgentJobState,
  agentJobStates,
  isAgentDue,
  nextState,
} from '../../src/jobs/machine.ts';

/** Every step that there is; all others are refused. */
const steps: ReadonlyArray<readonly [AgentJobState, AgentJobAction, AgentJobState]> = [
  ['AWAITING_EVAL_PAYMENT', 'EVAL_PAID', 'EVALUATING'],
  ['AWAITING_EVAL_PAYMENT', 'EXPIRE', 'EXPIRED'],
  ['EVALUATING', 'ACCEPT', 'AWAITING_WORK_PAYMENT'],
  ['EVALUATING', 'REJECT', 'REJECTED'],
  ['EVALUATING', 'FAIL', 'FAILED'],
  ['AWAITING_WORK_PAYMENT', 'WORK_PAID', 'EXECUTING'],
  ['AWAITING_WORK_PAYMENT', 'EXPIRE', 'EXPIRED'],
  ['EXECUTING', 'COMPLETE', 'COMPLETE'],
  ['EXECUTING', 'FAIL', 'FAILED'],
];

const actions = [...new Set(steps.map(([, action]) => action))];

it('allows each step that there is, and no other', () => {
  for (const state of agentJobStates)
    for (const action of actions) {
      const step = steps.find(([from, by]) => from === state && by === action);
      expect([state, action, nextState(state, action)]).toEqual([state, action, step?.[2]]);
    }
});

it('comes to each state only through those before it, and never leaves an end', () => {
  const before: Partial<Record<AgentJobState, AgentJobState>> = {
    EVALUATING: 'AWAITING_EVAL_PAYMENT',
    AWAITING_WORK_PAYMENT: 'EVALUATING',
    REJECTED: 'EVALUATING',
    EXECUTING: 'AWAITING_WORK_PAYMENT',
    COMPLETE: 'EXECUTING',
  };
  const ends: readonly AgentJobState[] = ['COMPLETE', 'REJECTED', 'FAILED', 'EXPIRED'];
  const reached = new Set<AgentJobState>();
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...actions), { maxLength: 12 }), (happening) => {
      const passed: AgentJobState[] = ['AWAITING_EVAL_PAYMENT'];
      for (const action of happening) {
        const next = nextState(passed.at(-1)!, action);
        if (next) passed.push(next);
      }
      passed.forEach((state, index) => {
        reached.add(state);
        if (before[state]) expect(passed[index - 1]).toBe(before[state]);
        if (ends.includes(state)) expect(index).toBe(passed.length - 1);
      });
      expect(new Set(passed).size).toBe(passed.length);
    }),
    { numRuns: 2_000 },
  );
  expect(reached).toEqual(new Set(agentJobStates));
});

it('has the agent do something while it evaluates or works, and at no other time', () => {
  expect(agentJobStates.filter(isAgentDue)).toEqual(['EVALUATING', 'EXECUTING']);
});
