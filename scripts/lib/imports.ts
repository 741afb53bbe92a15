import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** One file's import of another, both as paths from the root with forward slashes. */
export interface Import {
  from: string;
  to: string;
  /** Whether nothing of it is left when the program runs. */
  typeOnly: boolean;
}

const DOMAINS = ['jobs', 'sessions', 'streams', 'marketplace', 'treasury', 'chain', 'inbox'];

/** The domains that build on another: they call its commands, register rules with it, and show its objects. */
const USES: Readonly<Record<string, readonly string[]>> = {
  streams: ['inbox'],
  marketplace: ['inbox', 'streams'],
  treasury: ['inbox'],
};

// From the bottom up: a file imports from its own room and from the layers below it. A room's graphql
// files stand above src/graphql, whose builder they use, and below the file that puts the schema together.
const LAYERS = [
  'platform',
  'money',
  'a domain',
  'graphql',
  'the graphql files of money',
  'the graphql files of a domain',
  'the schema',
  'transport',
  'the config',
  'the entry',
] as const;

type Layer = (typeof LAYERS)[number];

interface Place {
  room: string;
  layer: Layer;
}

const WHOLE_FILES: Record<string, Place> = {
  'src/main.ts': { room: 'entry', layer: 'the entry' },
  'src/app.ts': { room: 'entry', layer: 'the entry' },
  'src/components.ts': { room: 'entry', layer: 'the entry' },
  'src/limits.ts': { room: 'entry', layer: 'the entry' },
  'src/migrations.ts': { room: 'entry', layer: 'the entry' },
  'src/config.ts': { room: 'config', layer: 'the config' },
  'src/graphql/schema.ts': { room: 'graphql', layer: 'the schema' },
};

const CONTEXT = 'src/graphql/context.ts';

function placeOf(file: string): Place | undefined {
  const whole = WHOLE_FILES[file];
  if (whole) return whole;
  const [, room = '', ...rest] = file.split('/');
  if (rest.length === 0 || !file.startsWith('src/')) return undefined;
  if (room === 'platform' || room === 'graphql' || room === 'transport') return { room, layer: room };
  const shown = rest.some((name) => name === 'graphql' || /^graphql\b.*\.ts$/.test(name));
  if (room === 'money') return { room, layer: shown ? 'the graphql files of money' : 'money' };
  if (DOMAINS.includes(room)) return { room, layer: shown ? 'the graphql files of a domain' : 'a domain' };
  return undefined;
}

const isDomain = ({ room }: Place) => DOMAINS.includes(room);

function isAllowed(from: Place, to: Place, { from: file, typeOnly }: Import): boolean {
  if (isDomain(from) && isDomain(to) && from.room !== to.room && !USES[from.room]?.includes(to.room))
    return false;
  if (from.layer === 'graphql' && to.layer === 'a domain') return file === CONTEXT && typeOnly;
  if (from.layer === to.layer) return true;
  return LAYERS.indexOf(from.layer) > LAYERS.indexOf(to.layer);
}

function describe({ room, layer }: Place): string {
  return isDomain({ room, layer }) ? `${layer} (${room})` : layer;
}

/**
 * The imports that run the wrong way, a line for each.
 * `exceptions` are pairs `src/a.ts -> src/b.ts` of pure code that one domain may take from another.
 */
export function wrongArrows(imports: readonly Import[], exceptions: readonly string[]): string[] {
  return imports.flatMap((each) => {
    const arrow = `${each.from} -> ${each.to}`;
    const from = placeOf(each.from);
    const to = placeOf(each.to);
    if (!from) return [`${arrow}: ${each.from} is in no known room`];
    if (!to) return [`${arrow}: ${each.to} is in no known room`];
    if (isAllowed(from, to, each) || exceptions.includes(arrow)) return [];
    return [`${arrow}: ${describe(from)} must not import ${describe(to)}`];
  });
}

/** The shortest way along the arrows from a file back to itself, if there is one. */
function shortestCircle(
  start: string,
  targets: ReadonlyMap<string, readonly string[]>,
): string[] | undefined {
  const paths: string[][] = [[start]];
  const seen = new Set<string>();
  for (const path of paths) {
    for (const target of targets.get(path.at(-1) ?? '') ?? []) {
      if (target === start) return [...path, start];
      if (seen.has(target)) continue;
      seen.add(target);
      paths.push([...path, target]);
    }
  }
  return undefined;
}

/** The circles among files, a line for each; imports of types alone make none. */
export function circles(imports: readonly Import[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports) {
    if (!typeOnly) targets.set(from, [...(targets.get(from) ?? []), to]);
  }
  const reported = new Set<string>();
  return [...targets.keys()].sort().flatMap((start) => {
    const circle = reported.has(start) ? undefined : shortestCircle(start, targets);
    if (!circle) return [];
    for (const file of circle) reported.add(file);
    return [`${circle.join(' -> ')}: a circle`];
  });
}

// Comments go; strings stay whole, so that what looks like a comment in one is left alone, and so that an
// import in a template, which is text, is not taken for one.
const COMMENT_OR_TEXT =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|`(?:\\[\s\S]|[^`\\])*`|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g;

function withoutComments(source: string): string {
  return source.replace(COMMENT_OR_TEXT, (match) => {
    if (match.startsWith('/')) return ' ';
    return match.startsWith('`') ? '``' : match;
  });
}

const STATEMENT =
  /(?:^|;)\s*(?:import|export)\s+(type\s+(?=[\w*{]))?(?:[\w$*{},\s]+?\sfrom\s*)?(['"])(\.[^'"\n]*)\2/gm;
const CALL = /\bimport\s*\(\s*(['"])(\.[^'"\n]*)\1/g;

/** The relative imports in a file's text, of all forms: import, export from, and import(). */
export function importsIn(file: string, source: string): Import[] {
  const code = withoutComments(source);
  const target = (specifier: string | undefined) => posix.join(posix.dirname(file), specifier ?? '');
  const statements = [...code.matchAll(STATEMENT)].map(([, type, , specifier]) => ({
    from: file,
    to: target(specifier),
    typeOnly: type !== undefined,
  }));
  const calls = [...code.matchAll(CALL)].map(([, , specifier]) => ({
    from: file,
    to: target(specifier),
    typeOnly: false,
  }));
  return [...statements, ...calls];
}

/** The relative imports of all TypeScript files under `<root>/src`. */
export function readImports(root: string): Import[] {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => posix.join('src', posix.relative(join(root, 'src'), entry.parentPath), entry.name))
    .sort()
    .flatMap((file) => importsIn(file, readFileSync(join(root, file), 'utf8')));
}
