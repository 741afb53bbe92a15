import type { Scalar } from './database.ts';

/** The columns of a set by name, with their types in Postgres. */
type Columns = Readonly<Record<string, string>>;

const scalarOf = (value: Scalar | object): Scalar =>
  value === null || typeof value !== 'object' || value instanceof Date ? value : JSON.stringify(value);

/** So many rows stand in the statement itself; each number of them makes a statement of its own. */
const fewRows = 8;

/**
 * Rows as a set that a statement selects from, in their order: `(...) AS name(columns)`. Few rows become VALUES, which
 * is planned once and costs the least to read; more of them, or none, become one JSON parameter.
 */
export function setOf<C extends Columns>(
  parameters: Scalar[],
  name: string,
  columns: C,
  rows: ReadonlyArray<Readonly<Record<keyof C, Scalar | object>>>,
): string {
  const types = Object.entries(columns);
  if (rows.length === 0 || rows.length > fewRows) {
    const place = parameters.push(JSON.stringify(rows));
    const definition = types.map(([column, type]) => `${column} ${type}`);
    return `jsonb_to_recordset($${place}::jsonb) AS ${name}(${definition.join(', ')})`;
  }
  const lists = rows.map((row) => {
    const places = types.map(
      ([column, type]) => `$${parameters.push(scalarOf(row[column] as Scalar | object))}::${type}`,
    );
    return `(${places.join(', ')})`;
  });
  return `(VALUES ${lists.join(', ')}) AS ${name}(${Object.keys(columns).join(', ')})`;
}
