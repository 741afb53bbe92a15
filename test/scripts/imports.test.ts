import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { circles, importsIn, readImports, wrongArrows } from '../../scripts/lib/imports.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'satwire-imports-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Writes files of these texts and answers the faults that the check finds in them. */
function faults(files: Record<string, string>, exceptions: string[] = []): string[] {
  for (const [file, source] of Object.entries(files)) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    writeFileSync(join(root, file), source);
  }
  const imports = readImports(root);
  return [...wrongArrows(imports, exceptions), ...circles(imports)];
}

/** Whether a file may import another one, of which it takes a value or a type. */
function mayImport(from: string, to: string, kind: 'value' | 'type' = 'value'): boolean {
  return wrongArrows([{ from, to, typeOnly: kind === 'type' }], []).length === 0;
}

it('finds nothing wrong in a tree whose imports run one way', () => {
  expect(
    faults({
      'src/main.ts': "import { createApp } from './app.ts';\nimport { readConfig } from './config.ts';",
      'src/app.ts':
        "import { serve } from './transport/http.ts';\nimport type { Config } from './config.ts';",
      'src/config.ts': "import { z } from 'zod';",
      'src/transport/http.ts': "import { buildSchema } from '../graphql/schema.ts';",
      'src/graphql/schema.ts': "import '../jobs/graphql.ts';\nimport '../money/graphql.ts';",
      'src/graphql/builder.ts': "import type { Context } from './context.ts';",
      'src/graphql/context.ts': "import type { Jobs } from '../jobs/commands.ts';",
      'src/jobs/graphql.ts':
        "import { builder } from '../graphql/builder.ts';\nimport '../money/graphql.ts';",
      'src/jobs/commands.ts': "import { book } from '../money/ledger.ts';",
      'src/money/graphql.ts': "import { builder } from '../graphql/builder.ts';",
      'src/money/ledger.ts': "import { createDatabase } from '../platform/database/database.ts';",
      'src/platform/database/database.ts': "import type { Clock } from '../clock.ts';",
      'src/platform/clock.ts': 'export interface Clock { now(): number }',
    }),
  ).toEqual([]);
});

it('names each wrong arrow in a line of its own', () => {
  expect(
    faults({
      'src/platform/log.ts': "import { book } from '../money/ledger.ts';",
      'src/money/ledger.ts': 'export const book = 1;',
      'src/jobs/commands.ts': "import type { Sessions } from '../sessions/commands.ts';",
      'src/sessions/commands.ts': 'export type Sessions = 1;',
    }),
  ).toEqual([
    'src/jobs/commands.ts -> src/sessions/commands.ts: a domain (jobs) must not import a domain (sessions)',
    'src/platform/log.ts -> src/money/ledger.ts: platform must not import money',
  ]);
});

it('lets a domain take from another what is named as an exception', () => {
  const files = {
    'src/jobs/rules.ts': "import { spent } from '../sessions/machine.ts';",
    'src/sessions/machine.ts': 'export const spent = 1;',
  };
  expect(faults(files, ['src/jobs/rules.ts -> src/sessions/machine.ts'])).toEqual([]);
  expect(faults(files, ['src/jobs/rules.ts -> src/sessions/commands.ts'])).toHaveLength(1);
});

it('lets a domain build on those that it is known to use, and not the other way round', () => {
  for (const [domain, used] of [
    ['marketplace', 'streams'],
    ['marketplace', 'inbox'],
    ['streams', 'inbox'],
    ['treasury', 'inbox'],
  ]) {
    expect(mayImport(`src/${domain}/commands.ts`, `src/${used}/commands.ts`)).toBe(true);
    expect(mayImport(`src/${domain}/graphql.ts`, `src/${used}/graphql.ts`)).toBe(true);
    expect(mayImport(`src/${used}/commands.ts`, `src/${domain}/commands.ts`, 'type')).toBe(false);
    // Building on another does not turn the layers round.
    expect(mayImport(`src/${domain}/commands.ts`, `src/${used}/graphql.ts`)).toBe(false);
  }
  expect(mayImport('src/treasury/commands.ts', 'src/streams/commands.ts')).toBe(false);
});

it('finds a circle within a room and tells its way', () => {
  expect(
    faults({
      'src/money/a.ts': "import { b } from './b.ts';",
      'src/money/b.ts': "export * from './deep/c.ts';",
      'src/money/deep/c.ts': "export const c = async () => import('../a.ts');",
      'src/money/d.ts': "import './a.ts';",
    }),
  ).toEqual(['src/money/a.ts -> src/money/b.ts -> src/money/deep/c.ts -> src/money/a.ts: a circle']);
});

it('tells two circles apart, and finds a file that imports itself', () => {
  expect(
    faults({
      'src/money/a.ts': "import './b.ts';",
      'src/money/b.ts': "import './a.ts';\nimport './c.ts';",
      'src/money/c.ts': "import './b.ts';",
      'src/money/self.ts': "import './self.ts';",
    }),
  ).toEqual([
    'src/money/a.ts -> src/money/b.ts -> src/money/a.ts: a circle',
    'src/money/c.ts -> src/money/b.ts -> src/money/c.ts: a circle',
    'src/money/self.ts -> src/money/self.ts: a circle',
  ]);
});

it('takes a circle of types for none', () => {
  const circle = (keyword: string) => ({
    'src/money/a.ts': "import { b } from './b.ts';",
    'src/money/b.ts': `import ${keyword} { A } from './a.ts';`,
  });
  expect(faults(circle('type'))).toEqual([]);
  expect(faults(circle(''))).toHaveLength(1);
});

it('finds fault with a file in no known room, and with one outside', () => {
  expect(
    faults({
      'src/casino/dice.ts': "import '../platform/clock.ts';",
      'src/loose.ts': "import './platform/clock.ts';",
      'src/platform/clock.ts': "import { helper } from '../../test/helper.ts';",
    }),
  ).toEqual([
    'src/casino/dice.ts -> src/platform/clock.ts: src/casino/dice.ts is in no known room',
    'src/loose.ts -> src/platform/clock.ts: src/loose.ts is in no known room',
    'src/platform/clock.ts -> test/helper.ts: test/helper.ts is in no known room',
  ]);
});

describe('the order', () => {
  const rooms = [
    'src/platform/log/log.ts',
    'src/money/ledger.ts',
    'src/jobs/commands.ts',
    'src/jobs/graphql.ts',
    'src/graphql/schema.ts',
    'src/transport/http.ts',
    'src/app.ts',
  ];

  it.each(rooms.flatMap((lower, index) => rooms.slice(index + 1).map((upper) => [upper, lower] as const)))(
    '%s may import %s, and not the other way round',
    (upper, lower) => {
      expect(mayImport(upper, lower)).toBe(true);
      expect(mayImport(lower, upper)).toBe(false);
      expect(mayImport(lower, upper, 'type')).toBe(false);
    },
  );

  it('keeps the config to the entry', () => {
    expect(mayImport('src/app.ts', 'src/config.ts')).toBe(true);
    expect(mayImport('src/main.ts', 'src/config.ts')).toBe(true);
    expect(mayImport('src/transport/http.ts', 'src/config.ts', 'type')).toBe(false);
    expect(mayImport('src/jobs/commands.ts', 'src/config.ts', 'type')).toBe(false);
  });

  it('lets only graphql files of a domain use the builder', () => {
    expect(mayImport('src/jobs/graphql-operations.ts', 'src/graphql/builder.ts')).toBe(true);
    expect(mayImport('src/jobs/graphql/job.ts', 'src/graphql/builder.ts')).toBe(true);
    expect(mayImport('src/jobs/commands.ts', 'src/graphql/context.ts', 'type')).toBe(false);
    expect(mayImport('src/money/ledger.ts', 'src/money/graphql.ts')).toBe(false);
    expect(mayImport('src/jobs/graphql.ts', 'src/sessions/graphql.ts')).toBe(false);
  });

  it('lets src/graphql see the domains only where the schema is put together, and their types in the context', () => {
    expect(mayImport('src/graphql/schema.ts', 'src/jobs/graphql.ts')).toBe(true);
    expect(mayImport('src/graphql/context.ts', 'src/jobs/commands.ts', 'type')).toBe(true);
    expect(mayImport('src/graphql/context.ts', 'src/jobs/commands.ts')).toBe(false);
    expect(mayImport('src/graphql/context.ts', 'src/jobs/graphql.ts', 'type')).toBe(false);
    expect(mayImport('src/graphql/loaders.ts', 'src/jobs/commands.ts', 'type')).toBe(false);
    expect(mayImport('src/graphql/loaders.ts', 'src/money/ledger.ts')).toBe(true);
    expect(mayImport('src/graphql/builder.ts', 'src/graphql/schema.ts')).toBe(false);
  });
});

describe('reading imports', () => {
  const value = (to: string) => ({ from: 'src/a/b.ts', to, typeOnly: false });
  const type = (to: string) => ({ from: 'src/a/b.ts', to, typeOnly: true });

  it.each([
    ["import { x } from './x.ts';", [value('src/a/x.ts')]],
    ["import x, { type Y } from '../x.ts';", [value('src/x.ts')]],
    ["import * as x from './x.ts';", [value('src/a/x.ts')]],
    ["import './x.ts';", [value('src/a/x.ts')]],
    ['import {\n  x,\n  y as z,\n} from "./x.ts";', [value('src/a/x.ts')]],
    ["export { x } from './x.ts';", [value('src/a/x.ts')]],
    ["export * from './x.ts';", [value('src/a/x.ts')]],
    ["import type { X } from './x.ts';", [type('src/a/x.ts')]],
    ["import type X from './x.ts';", [type('src/a/x.ts')]],
    ["import type * as x from './x.ts';", [type('src/a/x.ts')]],
    ["import type from './x.ts';", [value('src/a/x.ts')]],
    ["export type { X } from './x.ts';", [type('src/a/x.ts')]],
    ["const x = await import('./x.ts');", [value('src/a/x.ts')]],
    ["import json from './x.json' with { type: 'json' };", [value('src/a/x.json')]],
    ["import { x } from './x.ts'; import { y } from './y.ts';", [value('src/a/x.ts'), value('src/a/y.ts')]],
    ["import { z } from 'zod';\nimport fs from 'node:fs';", []],
    ["// import { x } from './x.ts';", []],
    ["/*\nimport { x } from './x.ts';\n*/", []],
    ["const text = `\nimport { x } from './x.ts';\n`;", []],
    ["const url = 'https://x';\nimport { x } from './x.ts';", [value('src/a/x.ts')]],
    ["import /* why */ { x } from './x.ts'; // ok", [value('src/a/x.ts')]],
    ["export const x = './x.ts';", []],
    ["export function from(): string {\n  return './x.ts';\n}", []],
  ])('%j', (source, expected) => {
    expect(importsIn('src/a/b.ts', source)).toEqual(expected);
  });
});
