import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { PlannedConnection } from './client-plan.ts';

/** A token as its bearer has it; `id` is its `jti`. */
export interface Token {
  readonly id: string;
  readonly text: string;
}

/** The tokens of one connection: a new one when the server has refused the last. */
export interface Tokens {
  /** The last one, or a new one when there is none that may be good. */
  current(): Promise<Token>;
  /** The server has said of one that it is worth nothing. */
  refused(id: string): void;
  /** The next one lives for a few seconds. */
  shorten(): void;
}

const usualSeconds = 86_400;
const shortSeconds = 4;
const answerWithinMs = 3_000;
const retryMs = 100;

/** What a token says of itself. */
export function claimsOf(token: string) {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  return claims as { readonly jti: string; readonly sub: string; readonly iat: number; readonly exp: number };
}

/** Asks any node for a token of the connection's bearer, until there is one. */
export function createTokens(
  { bearer: { subject, roles }, isGuest }: PlannedConnection,
  urls: readonly string[],
  random: Random,
  onToken: (token: Token) => void,
): Tokens {
  let token: Promise<Token> | undefined;
  let lastId = '';
  let expiresInSeconds = usualSeconds;
  let made = 0;

  async function make(): Promise<Token> {
    made += 1;
    // Who was revoked as a user comes back as another: tokens are dated by the clocks of nodes, which differ.
    const sub = isGuest ? `${subject}, ${Date.now()} ${made}` : subject;
    const body = JSON.stringify({ sub, roles, expiresInSeconds });
    expiresInSeconds = usualSeconds;
    for (;;) {
      const url = urls[random.below(urls.length)];
      const text = await fetch(new URL('/dev/token', url), {
        method: 'POST',
        body,
        signal: AbortSignal.timeout(answerWithinMs),
      })
        .then(async (response) => ((await response.json()) as { token?: string }).token)
        .catch(() => undefined);
      if (text !== undefined) {
        const token = { id: claimsOf(text).jti, text };
        lastId = token.id;
        onToken(token);
        return token;
      }
      await pause(retryMs);
    }
  }

  return {
    current() {
      token ??= make();
      return token;
    },
    refused(id) {
      if (id === lastId) token = undefined;
    },
    shorten() {
      expiresInSeconds = shortSeconds;
      token = undefined;
    },
  };
}
