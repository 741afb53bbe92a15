import type { Role } from './tokens.ts';
import type { Viewer } from './viewer.ts';

/** A viewer as JSON; times are milliseconds since 1970. */
export interface StoredViewer {
  readonly user?: { id: string; roles: Role[]; tokenId: string; issuedAt: number; expiresAt: number };
  readonly objects: string[];
  readonly bearerObject?: string;
}

/** The JSON text of a viewer, for a column of type jsonb. */
export function storeViewer({ user, objects, bearerObject }: Viewer): string {
  const stored: StoredViewer = {
    ...(user && {
      user: {
        ...user,
        roles: [...user.roles],
        issuedAt: user.issuedAt.getTime(),
        expiresAt: user.expiresAt.getTime(),
      },
    }),
    objects: [...objects],
    ...(bearerObject !== undefined && { bearerObject }),
  };
  return JSON.stringify(stored);
}

/** The viewer that was stored. */
export function restoreViewer({ user, objects, bearerObject }: StoredViewer): Viewer {
  return {
    user: user && { ...user, issuedAt: new Date(user.issuedAt), expiresAt: new Date(user.expiresAt) },
    objects: new Set(objects),
    bearerObject,
  };
}

/** The SQL condition that neither the token of a stored viewer nor its user has been revoked since. */
export const notRevoked = (viewer: string) => `
  NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE token_id = ${viewer}->'user'->>'tokenId')
  AND NOT EXISTS (
    SELECT 1 FROM users u WHERE u.id = ${viewer}->'user'->>'id'
    AND u.tokens_valid_from > to_timestamp((${viewer}->'user'->>'issuedAt')::bigint / 1000.0)
  )`;
