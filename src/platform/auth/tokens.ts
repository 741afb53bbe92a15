import { randomUUID } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Clock } from '../clock.ts';

const ROLES = ['USER', 'SERVICE', 'ADMIN'] as const;

/** What a token's bearer may act as. */
export type Role = (typeof ROLES)[number];

/** What a verified token says. */
export interface TokenClaims {
  subject: string;
  roles: Role[];
  expiresAt: Date;
  /** Absent in the token: the Unix epoch, so that revoking "everything issued before" covers it. */
  issuedAt: Date;
  /** The token's own id (`jti`), when it has one. */
  tokenId?: string;
  /** What the subject wants to be called by others (`preferred_username`). */
  name?: string;
  /** The subject's principals on other chains (`addresses`). */
  addresses: string[];
}

export type TokenErrorKind = 'EXPIRED' | 'INVALID' | 'UNAVAILABLE';

const MESSAGES: Record<TokenErrorKind, string> = {
  EXPIRED: 'The access token has expired.',
  INVALID: 'The access token is not valid.',
  UNAVAILABLE: 'Access tokens cannot be checked at the moment.',
};

/** A token was not accepted; the message may be shown to its bearer, the cause may not. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly kind: TokenErrorKind;

  constructor(kind: TokenErrorKind, cause?: unknown) {
    super(MESSAGES[kind], { cause });
    this.kind = kind;
  }
}

// Only signatures that the holder of the public key cannot make: never HS256, never none.
const ASYMMETRIC = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

// Postgres cannot store U+0000 in a text.
const text = z
  .string()
  .min(1)
  .max(255)
  .refine((value) => !value.includes('\0'));

/** A principal of Stacks: of a person or a contract. Others are passed over. */
const principal = /^S[0-9A-Z]{28,41}(\.[A-Za-z][A-Za-z0-9_-]{0,127})?$/;

const isPrincipal = (value: unknown): value is string => typeof value === 'string' && principal.test(value);

const time = z
  .number()
  .max(8.64e12) // the last second that a Date can hold
  .transform((seconds) => new Date(seconds * 1000));

const claimsSchema = z.object({
  sub: text,
  exp: time,
  iat: time.prefault(0),
  jti: text.optional(),
  roles: z.array(z.string()).default(['USER']),
  preferred_username: text.max(64).optional().catch(undefined),
  addresses: z
    .array(z.unknown())
    .max(20)
    .default([])
    .transform((all) => all.filter(isPrincipal)),
});

function toClaims(payload: unknown): TokenClaims {
  const { sub, exp, iat, jti, roles, preferred_username: name, addresses } = claimsSchema.parse(payload);
  return {
    subject: sub,
    roles: ROLES.filter((role) => roles.includes(role)),
    expiresAt: exp,
    issuedAt: iat,
    addresses,
    ...(jti === undefined ? {} : { tokenId: jti }),
    ...(name === undefined ? {} : { name }),
  };
}

function remoteKeys(url: URL, cooldownMs: number | undefined): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(url, cooldownMs === undefined ? {} : { cooldownDuration: cooldownMs });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      const unknownKey =
        error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys;
      throw new TokenError(unknownKey ? 'INVALID' : 'UNAVAILABLE', error);
    }
  };
}

/** How many tokens are known whose signature was good, and for how long; ms. */
const mostKnown = 5_000;
const knownForMs = 60_000;

/** Remembers for a minute which tokens were good: those who were cut off come back with the same, all at once. */
function createKnownTokens(clock: Clock) {
  const known = new Map<string, { readonly claims: TokenClaims; readonly since: number }>();

  return {
    get(token: string): TokenClaims | undefined {
      const seen = known.get(token);
      if (!seen) return undefined;
      const age = clock.now() - seen.since;
      if (age >= 0 && age < knownForMs && seen.claims.expiresAt.getTime() > clock.now()) return seen.claims;
      known.delete(token);
      return undefined;
    },

    add(token: string, claims: TokenClaims): void {
      known.set(token, { claims, since: clock.now() });
      for (const oldest of known.keys()) {
        if (known.size <= mostKnown) break;
        known.delete(oldest);
      }
    },
  };
}

export interface TokenVerifierOptions {
  /** Key of HS256 tokens. Exactly one of `secret` and `jwksUrl` is given. */
  secret?: Uint8Array | undefined;
  /** Where the public keys are published; they are fetched when needed and kept for ten minutes. */
  jwksUrl?: URL | undefined;
  issuer?: string | undefined;
  audience?: string | undefined;
  clock: Clock;
  /** How long after a fetch an unknown key causes no other one, in milliseconds: 30,000 unless given. */
  jwksCooldownMs?: number | undefined;
}

export interface TokenVerifier {
  /** Checks a token and answers what it says; throws TokenError. */
  verify(token: string): Promise<TokenClaims>;
}

/** Checks access tokens against a secret or published keys; throws TypeError unless given exactly one of them. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { secret, jwksUrl, issuer, audience, clock, jwksCooldownMs } = options;
  if ((secret === undefined) === (jwksUrl === undefined)) {
    throw new TypeError('exactly one of secret and jwksUrl is needed');
  }
  const algorithms = jwksUrl ? ASYMMETRIC : ['HS256'];
  const key: JWTVerifyGetKey = jwksUrl
    ? remoteKeys(jwksUrl, jwksCooldownMs)
    : async () => secret as Uint8Array;
  const known = createKnownTokens(clock);
  return {
    async verify(token) {
      const seen = known.get(token);
      if (seen) return seen;
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms,
          requiredClaims: ['exp', 'sub'],
          currentDate: new Date(clock.now()),
          ...(issuer === undefined ? {} : { issuer }),
          ...(audience === undefined ? {} : { audience }),
        });
        const claims = toClaims(payload);
        known.add(token, claims);
        return claims;
      } catch (error) {
        if (error instanceof TokenError) throw error;
        throw new TokenError(error instanceof errors.JWTExpired ? 'EXPIRED' : 'INVALID', error);
      }
    },
  };
}

export interface TokenIssuerOptions {
  secret: Uint8Array;
  issuer?: string | undefined;
  audience?: string | undefined;
  clock: Clock;
}

export interface TokenIssuer {
  issue(token: {
    subject: string;
    roles: readonly Role[];
    expiresInSeconds: number;
    name?: string | undefined;
    addresses?: readonly string[] | undefined;
  }): Promise<string>;
}

/** Signs access tokens with HS256, each with an id of its own: for development and tests. */
export function createTokenIssuer({ secret, issuer, audience, clock }: TokenIssuerOptions): TokenIssuer {
  return {
    issue({ subject, roles, expiresInSeconds, name, addresses }) {
      const now = Math.floor(clock.now() / 1000);
      const claims = {
        roles,
        ...(name === undefined ? {} : { preferred_username: name }),
        ...(addresses === undefined ? {} : { addresses }),
        ...(issuer === undefined ? {} : { iss: issuer }),
        ...(audience === undefined ? {} : { aud: audience }),
      };
      return new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(subject)
        .setIssuedAt(now)
        .setExpirationTime(now + expiresInSeconds)
        .setJti(randomUUID())
        .sign(secret);
    },
  };
}
