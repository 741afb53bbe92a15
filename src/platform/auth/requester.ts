import type { Transaction } from '../database/database.ts';
import { anonymousCaller, callerOf, hasRole, type Viewer } from './viewer.ts';

/** Whom it counts against that something is kept for a client: the caller, and where the request came from. */
export interface Requester {
  readonly caller: string | null;
  readonly address: string | null;
}

/** Whom it counts against what a viewer asks for; services, which act for many, count against nobody. */
export function requesterOf(
  viewer: Viewer,
  address: string | undefined,
  objectId?: string,
): Requester | undefined {
  if (hasRole(viewer, 'SERVICE')) return undefined;
  const caller = callerOf(viewer, objectId);
  return { caller: caller === anonymousCaller ? null : caller, address: address ?? null };
}

/** Lets one after another count what is theirs, so that none of several at once counts too little. */
export async function lockRequester(tx: Transaction, { caller, address }: Requester): Promise<void> {
  for (const each of [caller, address].filter((known) => known !== null).sort())
    await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [each]);
}
