import { createHash, createHmac } from 'node:crypto';
import type { Queryable, Transaction } from '../database/database.ts';

const prefix = 'swt_';

export type AccessTokens = ReturnType<typeof createAccessTokens>;

/** Whether a bearer token has the form of an access token rather than of a JWT. */
export function looksLikeAccessToken(token: string): boolean {
  return token.startsWith(prefix);
}

/** Bearer capabilities, each for one object. They are derived, so that a repeated request gets the same one. */
export function createAccessTokens({ secret }: { readonly secret: Uint8Array }) {
  const derive = (objectId: string) =>
    `${prefix}${createHmac('sha256', secret).update(objectId).digest('base64url')}`;

  return {
    /** The access token of an object; whoever asks must have been shown to be its maker. */
    derive,

    /** Makes an object's access token work; only its hash is stored. */
    async grant(tx: Transaction, objectId: string): Promise<void> {
      await tx.query('INSERT INTO access_tokens (token_hash, object_id) VALUES ($1, $2)', [
        hashToken(derive(objectId)),
        objectId,
      ]);
    },

    /** The objects that tokens open, in their order; undefined where a token is none. */
    async objectsOf(db: Queryable, tokens: readonly string[]): Promise<Array<string | undefined>> {
      const hashes = tokens.map(hashToken);
      const rows = await db.query<{ hash: string; objectId: string }>(
        `SELECT token_hash AS hash, object_id AS "objectId" FROM access_tokens WHERE token_hash = ANY($1::text[])`,
        [hashes],
      );
      const objects = new Map(rows.map((row) => [row.hash, row.objectId]));
      return hashes.map((hash) => objects.get(hash));
    },
  };
}

/** What is stored of a secret text. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
