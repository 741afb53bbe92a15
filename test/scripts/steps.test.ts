import { describe, expect, it } from 'vitest';
import { countTests, runSteps, type Step, succeeds } from '../../scripts/lib/steps.ts';

const node = (code: string): Step => [process.execPath, '-e', code];
const good = node('process.exit(0)');
const bad = node('process.exit(3)');

describe('steps', () => {
  it('count one each when all end well', () => {
    expect(runSteps([good, good])).toEqual({ passed: 2, failed: 0 });
  });

  it('end at the first that fails', () => {
    const ran: Step[] = [];
    const count = runSteps([good, bad, good], (step) => {
      ran.push(step);
      return succeeds(step);
    });
    expect(count).toEqual({ passed: 1, failed: 1 });
    expect(ran).toEqual([good, bad]);
  });

  it('fail when killed, and when the program is not there', () => {
    expect(succeeds(node('process.kill(process.pid)'))).toBe(false);
    expect(succeeds(['/no/such/program'])).toBe(false);
  });

  it('get the environment that they are given', () => {
    const step = node('process.exit(process.env.ANSWER === "42" ? 0 : 1)');
    expect(succeeds(step, { ANSWER: '42' })).toBe(true);
    expect(succeeds(step, {})).toBe(false);
  });
});

describe('tests', () => {
  const report = (numPassedTests: number, numFailedTests: number) =>
    JSON.stringify({ numPassedTests, numFailedTests, numTotalTests: numPassedTests + numFailedTests });

  it.each([
    ['all passed', report(7, 0), true, { passed: 7, failed: 0 }],
    ['some failed', report(5, 2), false, { passed: 5, failed: 2 }],
    ['the coverage fell short', report(7, 0), false, { passed: 7, failed: 1 }],
    ['there is no report', undefined, true, { passed: 0, failed: 1 }],
  ])('are counted when %s', (_, text, ok, count) => {
    expect(countTests(text, ok)).toEqual(count);
  });
});
