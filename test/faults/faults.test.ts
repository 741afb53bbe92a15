import { expect, it } from 'vitest';
import { copyBuild } from './build-copy.ts';
import { runFaults } from './fault-run.ts';
import { report } from './report.ts';

const faults = 20;
/** Other tests run beside this one; ms. */
const allowed = { loopDelayMs: 5_000, rightsMs: 3_000 };

it(`keeps its promises through ${faults} faults of a random plan`, async ({
  signal,
  onTestFailed,
  onTestFinished,
}) => {
  const seed = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 2 ** 32));
  process.stderr.write(`The faults are those of FAULT_SEED=${seed}.\n`);
  const said: string[] = [];
  onTestFailed(() => {
    process.stderr.write(`${said.join('\n')}\n`);
  });
  const build = await copyBuild();
  onTestFinished(build.remove);
  const result = await runFaults({
    build: build.path,
    seed,
    faults,
    everyMs: 300,
    clients: 2,
    allowed,
    say: (line) => said.push(line),
    signal,
  });
  said.push(report(result));
  expect(result.violations).toEqual([]);
  expect(result.faults).toBe(faults);
  expect(result.deliveries).toBeGreaterThan(1_000);
}, 180_000);
