import { type BreakingChangeType, buildSchema, findBreakingChanges } from 'graphql';

// graphql-js describes a change in a sentence only. Each pattern finds in it what the change is about, and
// the template makes of that a schema coordinate.
const COORDINATES: Record<BreakingChangeType, [pattern: RegExp, template: string]> = {
  TYPE_REMOVED: [/(\w+) was removed/, '$1'],
  TYPE_CHANGED_KIND: [/^(\w+) changed/, '$1'],
  TYPE_REMOVED_FROM_UNION: [/^(\w+) .* (\w+)\.$/, '$2.$1'],
  VALUE_REMOVED_FROM_ENUM: [/^(\w+) .* (\w+)\.$/, '$2.$1'],
  REQUIRED_INPUT_FIELD_ADDED: [/field (\w+) on input type (\w+)/, '$2.$1'],
  IMPLEMENTED_INTERFACE_REMOVED: [/^(\w+) .* (\w+)\.$/, '$1.$2'],
  FIELD_REMOVED: [/^(\w+\.\w+)/, '$1'],
  FIELD_CHANGED_KIND: [/^(\w+\.\w+)/, '$1'],
  REQUIRED_ARG_ADDED: [/arg (\w+) on (\w+\.\w+)/, '$2($1:)'],
  ARG_REMOVED: [/^(\w+\.\w+) arg (\w+)/, '$1($2:)'],
  ARG_CHANGED_KIND: [/^(\w+\.\w+) arg (\w+)/, '$1($2:)'],
  DIRECTIVE_REMOVED: [/^(\w+)/, '@$1'],
  DIRECTIVE_ARG_REMOVED: [/^(\w+) was removed from (\w+)/, '@$2($1:)'],
  REQUIRED_DIRECTIVE_ARG_ADDED: [/arg (\w+) on directive (\w+)/, '@$2($1:)'],
  DIRECTIVE_REPEATABLE_REMOVED: [/from (\w+)/, '@$1'],
  DIRECTIVE_LOCATION_REMOVED: [/from (\w+)/, '@$1'],
};

/** A change that breaks clients, and the schema coordinate (`Type.field(argument:)`, `@directive`) of what changed. */
interface Change {
  coordinate: string;
  description: string;
}

function changesBetween(released: string, current: string): Change[] {
  return findBreakingChanges(buildSchema(released), buildSchema(current)).map(({ type, description }) => {
    const [pattern, template] = COORDINATES[type];
    const [match = description] = pattern.exec(description) ?? [];
    return { coordinate: match.replace(pattern, template), description };
  });
}

/** The lines under headings "Breaking", whatever their level, up to the next heading. */
function breakingLines(changelog: string): string[] {
  let breaking = false;
  return changelog.split('\n').filter((line) => {
    const heading = /^#+\s+(.*?)\s*$/.exec(line);
    if (heading) breaking = heading[1] === 'Breaking';
    return breaking && !heading;
  });
}

// Not as a part of a longer coordinate: `User.name` is not named by `User.names` or `User.name(in:)`.
function names(line: string, coordinate: string): boolean {
  const escaped = coordinate.replace(/[.()]/g, '\\$&');
  return new RegExp(`(?<![\\w.@])${escaped}(?!\\w|\\.\\w|\\()`).test(line);
}

/**
 * The changes between two schemas (SDL) that break clients and that no line of the changelog under a heading
 * "Breaking" names by their coordinate: a line for each.
 */
export function unannouncedBreakingChanges(released: string, current: string, changelog: string): string[] {
  const lines = breakingLines(changelog);
  return changesBetween(released, current)
    .filter(({ coordinate }) => !lines.some((line) => names(line, coordinate)))
    .map(({ coordinate, description }) => `${coordinate}: ${description}`);
}
