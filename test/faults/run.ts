import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { copyBuild } from './build-copy.ts';
import { runFaults } from './fault-run.ts';
import { report } from './report.ts';
import { appendRun } from './summary.ts';

// FAULT_SEED replays a run; FAULTS and RUNS say how many faults a run has, and how many runs there are.
const faults = Number(process.env.FAULTS ?? 100);
const runs = Number(process.env.RUNS ?? 1);
const clients = 4;
const everyMs = 1_300;
const fullRun = 100;
/** The nodes share two cores with the clients, the databases and the nemesis; ms. */
const allowed = { loopDelayMs: 1_000, rightsMs: 1_000 };

const print = (line: string) => void process.stdout.write(`${line}\n`);

const interrupted = new AbortController();
const { signal } = interrupted;
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());

execFileSync(process.execPath, ['--import', 'tsx', join('scripts', 'build.ts')], { stdio: 'inherit' });
const build = await copyBuild();
const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
try {
  for (let run = 1; run <= runs; run += 1) {
    const seed = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 2 ** 32));
    print(`Run ${run} of ${runs}: ${faults} faults, FAULT_SEED=${seed}`);
    const begin = performance.now();
    const say = (line: string) => print(`${((performance.now() - begin) / 1_000).toFixed(1)} s ${line}`);
    const result = await runFaults({
      build: build.path,
      seed,
      faults,
      everyMs,
      clients,
      allowed,
      say,
      signal,
    });
    print(report(result));
    if (result.violations.length > 0) process.exitCode = 1;
    else if (faults >= fullRun) await appendRun(result, commit);
  }
} finally {
  await build.remove();
}
