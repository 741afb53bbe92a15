import type { Queryable } from './database.ts';

/** A page of a list that is ordered by creation: between two entries, from one end or the other. */
export interface Page {
  /** Ids of entries; what is older than `after` and newer than `before`, as lists show the newest first. */
  readonly after?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
  readonly inverted: boolean;
}

/**
 * Reads a page of a table with `id` and `created_at`, newest first. `filters` are columns that must equal a
 * value; a filter without a value is left out.
 */
export function readPageOf<Row>(
  db: Queryable,
  table: string,
  columns: string,
  filters: Readonly<Record<string, string | undefined>>,
  { after, before, limit, inverted }: Page,
): Promise<Row[]> {
  const values: unknown[] = [limit];
  const conditions: string[] = [];
  const parameter = (value: string) => `$${values.push(value)}`;
  for (const [column, value] of Object.entries(filters))
    if (value !== undefined) conditions.push(`${column} = ${parameter(value)}`);
  for (const [comparison, id] of [
    ['<', after],
    ['>', before],
  ] as const)
    if (id !== undefined)
      conditions.push(
        `(created_at, id) ${comparison} (SELECT created_at, id FROM ${table} WHERE id = ${parameter(id)})`,
      );
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const order = inverted ? 'ASC' : 'DESC';
  return db.query<Row>(
    `SELECT ${columns} FROM ${table} ${where} ORDER BY created_at ${order}, id ${order} LIMIT $1`,
    values,
  );
}
