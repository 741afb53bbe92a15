import { GraphQLError, Kind } from 'graphql';
import { type ErrorCode, PublicError } from '../platform/errors.ts';

/** An event of a type that this version of the server does not know: it must not be skipped. */
export class UnknownEventError extends Error {
  override readonly name = 'UnknownEventError';
}

/** Every code that leaves the server in `extensions.code`. */
type Code = ErrorCode | 'GRAPHQL_PARSE_FAILED' | 'GRAPHQL_VALIDATION_FAILED' | 'INTERNAL_SERVER_ERROR';

type CodesOfDocuments = Extract<Code, `GRAPHQL_${string}`>;

interface Extensions {
  readonly code: Code;
  readonly [name: string]: unknown;
}

const statuses: Partial<Record<string, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  PAYLOAD_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  INTERNAL_SERVER_ERROR: 500,
  UNAVAILABLE: 503,
} satisfies Partial<Record<Code, number>>;

/** The HTTP status of an answer that is nothing but an error with this code. */
export function httpStatus(code: unknown): number {
  return statuses[String(code)] ?? 400;
}

/** What Yoga calls the requests that it refuses, by our names. */
const codesOfYoga: Partial<Record<string, Code>> = {
  BAD_REQUEST: 'BAD_USER_INPUT',
  REQUEST_ENTITY_TOO_LARGE: 'PAYLOAD_TOO_LARGE',
};

/** The error behind the wrappers that execution and transports put around it. */
export function rootCause(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError ? rootCause(error.originalError) : error;
}

/** An error in the document of a request: its syntax, its validity, or how much it asks for. */
export function documentError(error: GraphQLError, code: CodesOfDocuments): GraphQLError {
  return leaving(error, error.message, { code }, { http: ofWellFormedRequest() });
}

export type MaskError = ReturnType<typeof createMaskError>;

/**
 * Turns any error into one that may leave the server: public errors with their code, errors of the request
 * itself as they are, everything else as "Unexpected error.".
 */
export function createMaskError(onBug: (error: unknown) => void) {
  return (error: unknown): GraphQLError => {
    const cause = rootCause(error);
    const place = error instanceof GraphQLError ? error : {};
    if (cause instanceof PublicError)
      return leaving(place, cause.message, { code: cause.code, ...cause.details });
    if (cause instanceof UnknownEventError)
      return leaving(
        place,
        'This event needs a newer server.',
        { code: 'UNAVAILABLE', retryAfterMs: 1_000 },
        { originalError: cause },
      );
    if (error instanceof GraphQLError && cause instanceof GraphQLError && !isFaultOfSchema(error, cause))
      return requestError(error);
    onBug(cause);
    return leaving(place, 'Unexpected error.', { code: 'INTERNAL_SERVER_ERROR' });
  };
}

/** What graphql-js itself reports at a place of the result is our own mistake, but for arguments. */
function isFaultOfSchema({ path }: GraphQLError, cause: GraphQLError): boolean {
  return path !== undefined && !cause.message.startsWith('Argument "');
}

function requestError(error: GraphQLError): GraphQLError {
  const { code, http } = error.extensions;
  // graphql-js gives no code to variables and arguments that it cannot coerce.
  if (code === undefined)
    return leaving(
      error,
      error.message,
      { code: 'BAD_USER_INPUT', argument: argumentOf(error) },
      { http: ofWellFormedRequest() },
    );
  const ours = codesOfYoga[String(code)];
  return ours
    ? leaving(error, error.message, { code: ours }, { http: { ...(http as object), spec: false } })
    : error;
}

/** The argument at fault: by the name of the variable where it is one. */
function argumentOf({ nodes, message }: GraphQLError): string | undefined {
  const [node] = nodes ?? [];
  if (node?.kind === Kind.VARIABLE_DEFINITION) return node.variable.name.value;
  return /^Argument "(\w+)"/.exec(message)?.[1];
}

/** With `application/json` as the type of the answer the status is 200, else 400 (GraphQL over HTTP, 6.4). */
const ofWellFormedRequest = () => ({ spec: true, status: 400 });

interface Internals {
  /** The HTTP status as Yoga takes it: by the code unless given. */
  readonly http?: unknown;
  readonly originalError?: Error;
}

/** An error as it leaves the server, at the place of another. Its internals are left out of what is sent. */
function leaving(
  place: Partial<GraphQLError>,
  message: string,
  extensions: Extensions,
  { http = { status: httpStatus(extensions.code) }, originalError }: Internals = {},
): GraphQLError {
  const { nodes, source, positions, path } = place;
  const described = { ...extensions };
  // An error at a place of the result is a part of an answer, and has no say in the status of the whole.
  if (path === undefined) Object.defineProperty(described, 'http', { value: http });
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path ?? null,
    originalError: originalError ?? null,
    extensions: described,
  });
}
