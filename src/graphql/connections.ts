import { type PageInfoShape, resolveCursorConnection } from '@pothos/plugin-relay';
import type { Page } from '../platform/database/page.ts';
import { badInput } from '../platform/errors.ts';
import { textBetween } from './input.ts';

/** The Relay arguments of a list. */
export interface ConnectionArguments {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** A page, as the fields of a connection resolve it. */
interface ListConnection<Row> {
  readonly pageInfo: PageInfoShape;
  readonly edges: ReadonlyArray<{ readonly cursor: string; readonly node: Row }>;
}

const defaultSize = 20;
const maximumSize = 100;
const longestCursor = 500;

/**
 * A page of a list as a Relay connection.
 * @throws PublicError BAD_USER_INPUT for a size below 0 or above 100, or a cursor that cannot be one.
 */
export async function listConnection<Row>(
  args: ConnectionArguments,
  toCursor: (row: Row) => string,
  read: (page: Page) => Promise<readonly Row[]>,
): Promise<ListConnection<Row>> {
  for (const name of ['first', 'last'] as const) {
    const size = args[name] ?? 0;
    if (size < 0 || size > maximumSize) throw badInput(name, `${name} must be 0 to ${maximumSize}.`);
  }
  for (const name of ['after', 'before'] as const) textBetween(name, args[name] ?? '', 0, longestCursor);
  const connection = await resolveCursorConnection<Promise<readonly Row[]>>(
    { defaultSize, maxSize: maximumSize, args, toCursor: (row) => toCursor(row as Row) },
    read,
  );
  return connection as ListConnection<Row>;
}
