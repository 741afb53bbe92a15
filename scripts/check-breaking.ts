import { existsSync, readFileSync } from 'node:fs';
import { unannouncedBreakingChanges } from './lib/breaking.ts';

const RELEASED = 'schema.released.graphql';
const CHANGELOG = 'CHANGELOG.md';

const read = (file: string) => readFileSync(file, 'utf8');

if (existsSync(RELEASED)) {
  const changelog = existsSync(CHANGELOG) ? read(CHANGELOG) : '';
  const changes = unannouncedBreakingChanges(read(RELEASED), read('schema.graphql'), changelog);
  for (const change of changes) console.error(change);
  if (changes.length > 0) {
    console.error(
      `Name each of these in a line of ${CHANGELOG} under a heading "Breaking", or take it back.`,
    );
    process.exitCode = 1;
  } else {
    console.log('every breaking change of the schema since the last release is in the changelog');
  }
} else {
  console.log(`there is no ${RELEASED}: nothing is released yet that could break`);
}
