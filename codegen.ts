import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { type GraphQLSchema, parse, printSchema } from 'graphql';

/**
 * The typed documents for the operations in a folder of .graphql files, as TypeScript source.
 * Throws when an operation does not fit the schema.
 */
export async function typedDocuments(schema: GraphQLSchema, operations: string): Promise<string> {
  const files = (await readdir(operations)).filter((file) => file.endsWith('.graphql')).sort();
  const documents = await Promise.all(
    files.map(async (location) => {
      const rawSDL = await readFile(join(operations, location), 'utf8');
      return { location, document: parse(rawSDL), rawSDL };
    }),
  );
  const sections = await preset.buildGeneratesSection({
    baseOutputDir: './',
    schema: parse(printSchema(schema)),
    schemaAst: schema,
    documents,
    plugins: [],
    pluginMap: {},
    presetConfig: { fragmentMasking: false },
    config: {
      enumType: 'string-literal',
      scalars: { ID: 'string', Sats: 'number', DateTime: 'string', Cursor: 'string' },
      strictScalars: true,
      useTypeImports: true,
    },
  });
  // The preset's other files serve operations that are written inside code; ours are files.
  const section = sections.find(({ filename }) => filename.endsWith('/graphql.ts'));
  if (!section) throw new Error('the client preset makes no graphql.ts any more');
  // Its first plugin adds a line for a linter that is not used here.
  const plugins = section.plugins.filter((plugin) => !('add' in plugin));
  const source = await codegen({ ...section, plugins });
  return `// Generated from the operations beside this folder: npm run generate\n${source.trim()}\n`;
}
