import { writeFileSync } from 'node:fs';
import { repetitions, type Scenario, scenarios, stalled } from '../plan.ts';
import { claims, isReached } from './claims.ts';
import { readMachine, summaryFile } from './results.ts';
import { claimTable, scenarioTable, stallTable } from './tables.ts';

function headingOf({ name, subscribers, sessions, isLoaded, round, paced }: Scenario): string {
  const topics = sessions === 1 ? 'one topic' : `${sessions} topics`;
  const events = round.reduce((sum, commit) => sum + commit.length, 0);
  return [
    `\`${name}\`: ${subscribers} subscribers, ${topics}`,
    ...(isLoaded ? ['a payload loaded from the database'] : []),
    ...(events > sessions ? [`${events} events in each commit`] : []),
    ...(paced.perSecond > 0 ? [`paced at ${paced.perSecond} events a second`] : []),
  ].join(', ');
}

/** Writes the tables of all raw results; answers a line about the claims. */
export function writeSummary(): string {
  const all = claims();
  const { date, cpu, cores, memoryGiB, kernel, node, postgres, redis, packages } = readMachine();
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  const parts = [
    '# Results of the bench',
    'Written by `npm run bench` from the raw data beside it; `docs/benchmarks.md` says what was measured and how.',
    `Measured on ${date}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}, ${postgres}, ${redis}. ` +
      `Medians of ${repetitions} runs, in brackets the least and the most.`,
    '## What is claimed',
    claimTable(all),
    ...scenarios.flatMap((scenario) => [`## ${headingOf(scenario)}`, scenarioTable(scenario)]),
    `## \`${stalled.name}\`: clients that stop reading while ${stalled.events} events of 2 KB pass`,
    stallTable(),
    '## Versions',
    `${versions.join(', ')}.`,
  ];
  writeFileSync(summaryFile, `${parts.join('\n\n')}\n`);
  return `${all.filter(isReached).length} of ${all.length} claims reached; see ${summaryFile}`;
}
