import { PothosValidationError } from '@pothos/core';
import { GraphQLError } from 'graphql';
import { PublicError } from '../platform/errors.ts';

/** An event of a type that this version of the server does not know: it must not be skipped. */
export class UnknownEventError extends Error {
  override readonly name = 'UnknownEventError';
}

/** An error as it leaves the server, or undefined for a bug, of which nothing may leave. */
function describe(error: unknown): { message: string; extensions: Record<string, unknown> } | undefined {
  if (error instanceof PublicError)
    return { message: error.message, extensions: { code: error.code, ...error.details } };
  if (error instanceof PothosValidationError)
    return { message: error.message, extensions: { code: 'BAD_USER_INPUT' } };
  if (error instanceof UnknownEventError)
    return {
      message: 'This event needs a newer server.',
      extensions: { code: 'UNAVAILABLE', retryAfterMs: 1_000 },
    };
  return undefined;
}

/** The error behind the wrappers that execution and transports put around it. */
export function rootCause(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError ? rootCause(error.originalError) : error;
}

/**
 * Turns any error into one that may leave the server: public errors with their code, errors of the request
 * itself as they are, everything else as "Unexpected error.".
 */
export function createMaskError(onBug: (error: unknown) => void) {
  return (error: unknown): GraphQLError => {
    const cause = rootCause(error);
    const place =
      error instanceof GraphQLError ? { nodes: error.nodes ?? null, path: error.path ?? null } : {};
    const described = describe(cause);
    if (described) return new GraphQLError(described.message, { ...place, extensions: described.extensions });
    if (cause instanceof GraphQLError && !isFaultOfSchema(error, cause)) {
      // graphql-js gives no code to variables and arguments that it cannot coerce.
      return cause.extensions.code === undefined && cause.extensions.http === undefined
        ? new GraphQLError(cause.message, {
            nodes: cause.nodes ?? null,
            extensions: { code: 'BAD_USER_INPUT' },
          })
        : cause;
    }
    onBug(cause);
    return new GraphQLError('Unexpected error.', {
      ...place,
      extensions: { code: 'INTERNAL_SERVER_ERROR' },
    });
  };
}

/** What graphql-js itself reports at a place of the result is our own mistake, but for arguments. */
function isFaultOfSchema(error: unknown, cause: GraphQLError): boolean {
  return (error as GraphQLError).path !== undefined && !cause.message.startsWith('Argument "');
}
