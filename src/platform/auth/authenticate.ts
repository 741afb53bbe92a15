import { createBatch } from '../batch.ts';
import type { Clock } from '../clock.ts';
import type { Database } from '../database/database.ts';
import { PublicError, unavailable } from '../errors.ts';
import { newId } from '../ids.ts';
import { type AccessTokens, hashToken, looksLikeAccessToken } from './access-tokens.ts';
import type { TokenClaims, TokenError, TokenVerifier } from './tokens.ts';
import { linkAddresses, rename } from './users.ts';
import type { Viewer, ViewerUser } from './viewer.ts';

/** What a request or a socket presents. */
export interface Credentials {
  /** `Bearer <JWT or access token>`. */
  readonly authorization: string | undefined;
  /** Further access tokens. */
  readonly accessTokens: readonly string[];
}

export type Authenticate = ReturnType<typeof createAuthenticate>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly verifier: TokenVerifier;
  readonly accessTokens: AccessTokens;
}

/** How many access tokens may be presented beside the bearer token. */
const maximumAccessTokens = 20;

const retryAfterMs = 2_000;

const opensNothing = new Set<string>();

/** Why credentials were refused, in `extensions.reason`. */
export type RefusalReason = 'TOKEN_EXPIRED' | 'TOKEN_INVALID';

export const refused = (reason: RefusalReason) =>
  new PublicError(
    'UNAUTHENTICATED',
    reason === 'TOKEN_EXPIRED' ? 'The token has expired.' : 'The token is not valid.',
    { reason },
  );

/** Decides who presents credentials. */
export function createAuthenticate({ db, clock, verifier, accessTokens }: Dependencies) {
  async function verify(token: string): Promise<TokenClaims> {
    try {
      return await verifier.verify(token);
    } catch (error) {
      const { kind } = error as TokenError;
      if (kind === 'UNAVAILABLE') throw unavailable('Tokens cannot be checked at the moment.', retryAfterMs);
      throw refused(kind === 'EXPIRED' ? 'TOKEN_EXPIRED' : 'TOKEN_INVALID');
    }
  }

  /** The user behind a token, made at its first sight. */
  async function userOf(token: string): Promise<ViewerUser> {
    const claims = await verify(token);
    const tokenId = claims.tokenId ?? hashToken(token);
    const { subject, roles, issuedAt, expiresAt } = claims;
    const known = await standing(subject, tokenId);
    const { id, revoked, validFrom, name, addresses } = known ?? (await insertUser(subject, tokenId));
    if (revoked || issuedAt.getTime() < validFrom.getTime()) throw refused('TOKEN_INVALID');
    if (claims.name !== undefined && claims.name !== name) await rename(db, id, claims.name);
    const unlinked = claims.addresses.filter((address) => !addresses.includes(address));
    if (unlinked.length > 0) await linkAddresses(db, id, unlinked);
    return { id, roles, tokenId, issuedAt, expiresAt };
  }

  async function insertUser(subject: string, tokenId: string): Promise<Standing> {
    await db.query(
      'INSERT INTO users (id, subject, created_at) VALUES ($1, $2, $3) ON CONFLICT (subject) DO NOTHING',
      [newId('usr'), subject, new Date(clock.now())],
    );
    return (await standing(subject, tokenId)) as Standing;
  }

  interface Standing {
    readonly id: string;
    readonly validFrom: Date;
    readonly revoked: boolean;
    readonly name: string | null;
    /** The addresses that are linked with the user. */
    readonly addresses: readonly string[];
  }

  const standings = createBatch<Standing>(async (keys) => {
    const asked = keys.map((key) => JSON.parse(key) as [subject: string, tokenId: string]);
    const rows = await db.query<Standing & { subject: string; tokenId: string }>(
      `SELECT u.subject, asked.token_id AS "tokenId", u.id, u.tokens_valid_from AS "validFrom", u.name,
              ARRAY(SELECT a.address FROM user_addresses a WHERE a.user_id = u.id) AS addresses,
              EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.token_id = asked.token_id) AS revoked
       FROM unnest($1::text[], $2::text[]) AS asked(subject, token_id) JOIN users u ON u.subject = asked.subject`,
      [asked.map(([subject]) => subject), asked.map(([, tokenId]) => tokenId)],
    );
    return new Map(rows.map((row) => [JSON.stringify([row.subject, row.tokenId]), row]));
  });

  /** One query for all who come at about the same time. */
  const standing = (subject: string, tokenId: string): Promise<Standing | undefined> =>
    standings.load(JSON.stringify([subject, tokenId]));

  /**
   * @throws PublicError UNAUTHENTICATED (with `reason`) for a bad or expired token, BAD_USER_INPUT for too
   * many, UNAVAILABLE when tokens cannot be checked.
   */
  return async ({ authorization, accessTokens: further }: Credentials): Promise<Viewer> => {
    const bearer = authorization === undefined ? undefined : /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (authorization !== undefined && bearer === undefined) throw refused('TOKEN_INVALID');
    if (further.length > maximumAccessTokens)
      throw new PublicError('BAD_USER_INPUT', `At most ${maximumAccessTokens} access tokens.`, {
        argument: 'accessTokens',
      });
    const isCapability = bearer !== undefined && looksLikeAccessToken(bearer);
    const tokens = isCapability ? [bearer, ...further] : further;
    const objects = tokens.length > 0 ? await accessTokens.objectsOf(db, tokens) : [];
    // One empty set for all who open nothing: it is kept as long as their sockets.
    const opened = tokens.length > 0 ? new Set<string>() : opensNothing;
    for (const object of objects) {
      if (object === undefined) throw refused('TOKEN_INVALID');
      opened.add(object);
    }
    // Last, as what comes after it is time in which the token could be revoked unseen.
    const user = bearer !== undefined && !isCapability ? await userOf(bearer) : undefined;
    return { user, objects: opened, bearerObject: isCapability ? objects[0] : undefined };
  };
}
