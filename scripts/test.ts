import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureChromium } from './lib/chromium.ts';
import { type Count, countTests, runSteps, type Step, succeeds } from './lib/steps.ts';

const tool = (name: string, ...args: string[]): Step => [join('node_modules', '.bin', name), ...args];
const script = (name: string, ...args: string[]): Step => tool('tsx', join('scripts', name), ...args);

const CHECKS: readonly Step[] = [
  tool('biome', 'check', '--error-on-warnings', '.'),
  tool('tsc', '--noEmit'),
  script('check-imports.ts'),
  tool('knip'),
  script('generate.ts', '--check'),
  script('check-breaking.ts'),
  // Tests of the whole process start what the build makes.
  script('build.ts'),
];

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function runTests(chromium: string): Count {
  const folder = mkdtempSync(join(tmpdir(), 'satwire-report-'));
  const report = join(folder, 'report.json');
  const vitest = tool(
    'vitest',
    'run',
    '--coverage',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  );
  const ok = succeeds(vitest, { ...process.env, CHROMIUM_PATH: chromium });
  const count = countTests(readIfThere(report), ok);
  rmSync(folder, { recursive: true });
  return count;
}

function run(): Count {
  const chromium = ensureChromium();
  if (chromium === undefined) {
    console.error('The browser tests need Chromium: install it, or set CHROMIUM_PATH to where it is.');
    return { passed: 0, failed: 1 };
  }
  const checks = runSteps(CHECKS);
  if (checks.failed > 0) return checks;
  const tests = runTests(chromium);
  return { passed: checks.passed + tests.passed, failed: tests.failed };
}

let count: Count = { passed: 0, failed: 1 };
try {
  count = run();
} catch (error) {
  console.error(error);
}
console.log(`\n${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;
