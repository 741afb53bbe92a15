import { spawnSync } from 'node:child_process';

/** A program that is run as one check, with its arguments. */
export type Step = readonly [program: string, ...args: string[]];

export interface Count {
  passed: number;
  failed: number;
}

interface Report {
  numPassedTests: number;
  numFailedTests: number;
}

/** Runs a program, whose output goes where ours goes; whether it ended well. */
export function succeeds([program, ...args]: Step, env: NodeJS.ProcessEnv = process.env): boolean {
  return spawnSync(program, args, { stdio: 'inherit', env }).status === 0;
}

/** Runs steps in order up to the first that fails; each counts as one. */
export function runSteps(steps: readonly Step[], run: (step: Step) => boolean = succeeds): Count {
  const failing = steps.findIndex((step) => {
    console.log(`\n> ${step.join(' ')}`);
    return !run(step);
  });
  return failing === -1 ? { passed: steps.length, failed: 0 } : { passed: failing, failed: 1 };
}

/**
 * Counts the tests in vitest's JSON report; a run that ended badly although no test failed (coverage below its
 * threshold, a file that does not load) counts as one failed, and so does a run without a report.
 */
export function countTests(report: string | undefined, ok: boolean): Count {
  if (report === undefined) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests } = JSON.parse(report) as Report;
  return { passed: numPassedTests, failed: ok ? numFailedTests : Math.max(numFailedTests, 1) };
}
