import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureChromium } from './lib/chromium.ts';
import { ensureNginx } from './lib/nginx.ts';
import { ensureInitdb } from './lib/postgres.ts';
import { ensureRedis } from './lib/redis-server.ts';
import { type Count, countTests, runSteps, type Step, succeeds } from './lib/steps.ts';

const tool = (name: string, ...args: string[]): Step => [join('node_modules', '.bin', name), ...args];
const script = (name: string, ...args: string[]): Step => tool('tsx', join('scripts', name), ...args);

const CHECKS: readonly Step[] = [
  tool('biome', 'check', '--error-on-warnings', '.'),
  tool('tsc', '--noEmit'),
  tool('tsc', '-p', 'tsconfig.web.json', '--noEmit'),
  script('check-imports.ts'),
  tool('knip'),
  script('generate.ts', '--check'),
  script('check-breaking.ts'),
  // Tests of the whole process start what the build makes.
  script('build.ts'),
];

/** Databases of tests need not outlive the machine: they are in memory where there is room. */
const MEMORY = '/dev/shm';
const ENOUGH_BYTES = 4 * 1024 ** 3;

function temporaryFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ENOUGH_BYTES ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function runTests(env: Record<string, string | undefined>): Count {
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
  const ok = succeeds(vitest, { TMPDIR: temporaryFolder(), ...process.env, ...env });
  const count = countTests(readIfThere(report), ok);
  rmSync(folder, { recursive: true });
  return count;
}

/** What the tests need beyond npm, and the variable that says where it is. */
const PROGRAMS = [
  { name: 'Chromium', variable: 'CHROMIUM_PATH', ensure: ensureChromium },
  { name: 'Postgres (its initdb)', variable: 'INITDB_PATH', ensure: ensureInitdb },
  { name: 'Redis', variable: 'REDIS_SERVER_PATH', ensure: ensureRedis },
  { name: 'nginx', variable: 'NGINX_PATH', ensure: ensureNginx },
];

function run(): Count {
  const programs = PROGRAMS.map((program) => ({ ...program, path: program.ensure() }));
  for (const { name, variable, path } of programs)
    if (path === undefined)
      console.error(`The tests need ${name}: install it, or set ${variable} to where it is.`);
  if (programs.some(({ path }) => path === undefined)) return { passed: 0, failed: 1 };
  const env = Object.fromEntries(programs.map(({ variable, path }) => [variable, path]));
  const checks = runSteps(CHECKS);
  if (checks.failed > 0) return checks;
  const tests = runTests(env);
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
