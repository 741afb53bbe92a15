import { lexicographicSortSchema, printSchema } from 'graphql';
import { typedDocuments } from '../codegen.ts';
import { buildSchema } from '../src/graphql/schema.ts';
import { configurationTable } from './lib/configuration-table.ts';
import { outdated, writeGenerated } from './lib/generated.ts';

const configuration = `# Configuration

Satwire is configured by environment variables. An empty one counts as unset. A variable that cannot be used
stops the start, with a line that names it and says what is wrong.

${configurationTable()}
This page is generated from \`src/config.ts\`: \`npm run generate\`.
`;

const schema = lexicographicSortSchema(buildSchema());
const files = {
  'schema.graphql': `${printSchema(schema)}\n`,
  'docs/configuration.md': configuration,
  'test/gql/graphql.ts': await typedDocuments(schema, 'test/operations'),
};

if (process.argv.includes('--check')) {
  const stale = await outdated(process.cwd(), files);
  for (const file of stale) console.error(`${file} is out of date: run npm run generate`);
  if (stale.length > 0) process.exitCode = 1;
  else console.log(`${Object.keys(files).length} generated files are up to date`);
} else {
  await writeGenerated(process.cwd(), files);
  console.log(`wrote ${Object.keys(files).join(', ')}`);
}
