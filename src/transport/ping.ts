import type { GraphQLError } from 'graphql';

/** What a pong says of the token that came with its ping; the time is RFC 3339, in UTC. */
export type TokenPong =
  | { readonly tokenExpiresAt: string }
  | { readonly error: { readonly code: unknown; readonly message: string } };

/** The token in the payload of a client's ping, `{ token }` or `{ auth: { token } }`; undefined without one. */
export function tokenInPing(payload: unknown): string | undefined {
  const token = memberOf(payload, 'token') ?? memberOf(memberOf(payload, 'auth'), 'token');
  return typeof token === 'string' ? token : undefined;
}

/** The payload of the pong once a token has been refreshed. */
export function refreshedPong({ expiresAt }: { readonly expiresAt: Date }): TokenPong {
  return { tokenExpiresAt: expiresAt.toISOString() };
}

/** The payload of the pong for a token that was refused; the error is one that may leave the server. */
export function refusedPong({ extensions, message }: GraphQLError): TokenPong {
  return { error: { code: extensions.code, message } };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
