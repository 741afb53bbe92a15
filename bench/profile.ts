import { lineOf } from './lib/figures.ts';
import { frameOfSatwire } from './lib/frame.ts';
import { type Around, measure } from './lib/measure.ts';
import { writeProfile } from './lib/results.ts';
import { isServerName } from './lib/servers.ts';
import { startSurroundings } from './lib/surroundings.ts';
import { scenarios } from './plan.ts';

/**
 * Where a server's time goes in a scenario: `tsx bench/profile.ts <scenario> <server>`. Sampled while subscribers
 * join, while rounds go back to back, and at a steady rate; the sampling itself costs some of it.
 */
const shown = 30;

const [wanted, server = ''] = process.argv.slice(2);
const scenario = scenarios.find(({ name }) => name === wanted);
if (!scenario || !isServerName(server))
  throw new Error(`of ${scenarios.map(({ name }) => name).join(', ')}: which, and which server?`);

const tables: string[] = [];
const around: Around = async (part, { process: { call } }, work) => {
  await call('startProfile', undefined);
  const result = await work();
  const functions = await call('stopProfile', undefined);
  const allMs = functions.reduce((sum, { selfMs }) => sum + selfMs, 0);
  const rows = functions
    .slice(0, shown)
    .map(
      ({ name, place, selfMs }) =>
        `| ${selfMs.toFixed(0)} | ${((100 * selfMs) / allMs).toFixed(1)} | ${name} | ${place} |`,
    );
  tables.push(`## ${part}\n\n| ms | % | function | place |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`);
  return result;
};

const surroundings = await startSurroundings();
try {
  const frame = await frameOfSatwire(surroundings);
  const result = await measure(scenario, server, surroundings, frame, around);
  const text = `# ${server} in ${scenario.name}\n\n${lineOf(result)}\n\n${tables.join('\n')}`;
  process.stdout.write(`${writeProfile(`${scenario.name}-${server}`, text)}\n`);
} finally {
  await surroundings.stop();
}
