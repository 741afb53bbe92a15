import { GraphQLError, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import {
  createMaskError,
  documentError,
  httpStatus,
  rootCause,
  UnknownEventError,
} from '../../src/graphql/errors.ts';
import {
  badInput,
  conflict,
  forbidden,
  PublicError,
  unauthenticated,
  unavailable,
} from '../../src/platform/errors.ts';

const bugs: unknown[] = [];
const maskError = createMaskError((error) => bugs.push(error));

/** An error as execution locates it. */
function located(originalError: Error, path = ['job']): GraphQLError {
  const nodes = parse('{ job }').definitions[0];
  return new GraphQLError(originalError.message, { originalError, path, ...(nodes && { nodes }) });
}

/** What is sent of an error, and the status that goes with it. */
function sent(error: GraphQLError): object {
  const { http } = error.extensions as { http?: { status: number } };
  return { ...JSON.parse(JSON.stringify(error)), status: http?.status };
}

describe('an error that leaves', () => {
  it.each([
    [unauthenticated(), 401, { code: 'UNAUTHENTICATED' }],
    [forbidden(), 403, { code: 'FORBIDDEN' }],
    [badInput('prompt', 'Too long.'), 400, { code: 'BAD_USER_INPUT', argument: 'prompt' }],
    [conflict('INVALID_STATE', 'Too late.'), 400, { code: 'CONFLICT', reason: 'INVALID_STATE' }],
    [unavailable('Away.', 500), 503, { code: 'UNAVAILABLE', retryAfterMs: 500 }],
    [new PublicError('PAYLOAD_TOO_LARGE', 'Large.'), 413, { code: 'PAYLOAD_TOO_LARGE' }],
    [new PublicError('RATE_LIMITED', 'Slow down.'), 429, { code: 'RATE_LIMITED' }],
    [new PublicError('INSUFFICIENT_FUNDS', 'Poor.'), 400, { code: 'INSUFFICIENT_FUNDS' }],
    [
      new PublicError('CURSOR_EXPIRED', 'Gone.', { cursor: 'x' }),
      400,
      { code: 'CURSOR_EXPIRED', cursor: 'x' },
    ],
  ])('has its code, and a status when it is the whole answer: %s', (error, status, extensions) => {
    expect(sent(maskError(error))).toEqual({ message: error.message, extensions, status });
    expect(httpStatus(error.code)).toBe(status);
    expect(sent(maskError(located(error)))).toEqual({
      message: error.message,
      extensions,
      path: ['job'],
      locations: [{ line: 1, column: 1 }],
      status: undefined,
    });
  });

  it('is masked when nobody foresaw it, and heard of', () => {
    const bug = new Error('relation "jobs" does not exist');
    bugs.length = 0;
    const masked = { message: 'Unexpected error.', extensions: { code: 'INTERNAL_SERVER_ERROR' } };
    expect(sent(maskError(bug))).toEqual({ ...masked, status: 500 });
    expect(sent(maskError(located(bug)))).toMatchObject({ ...masked, path: ['job'] });
    expect(sent(maskError('a text'))).toEqual({ ...masked, status: 500 });
    expect(bugs).toEqual([bug, bug, 'a text']);
  });

  it("is masked when graphql-js finds fault with our own resolvers' values", () => {
    bugs.length = 0;
    const fault = new GraphQLError('Int cannot represent non-integer value: "x"');
    expect(maskError(located(fault)).message).toBe('Unexpected error.');
    expect(bugs).toEqual([fault]);
  });

  it('of an event that is not known tells to come back, and stays recognisable inside', () => {
    const masked = maskError(new UnknownEventError('No shape is known.'));
    expect(sent(masked)).toEqual({
      message: 'This event needs a newer server.',
      extensions: { code: 'UNAVAILABLE', retryAfterMs: 1_000 },
      status: 503,
    });
    expect(rootCause(new GraphQLError('wrapped', { originalError: masked }))).toBeInstanceOf(
      UnknownEventError,
    );
  });

  it('of the request keeps its words, and gets our code', () => {
    bugs.length = 0;
    const ofYoga = (code: string, http: object) => new GraphQLError('No.', { extensions: { code, http } });
    expect(sent(maskError(ofYoga('BAD_REQUEST', { status: 405, spec: true })))).toEqual({
      message: 'No.',
      extensions: { code: 'BAD_USER_INPUT' },
      status: 405,
    });
    expect(sent(maskError(ofYoga('REQUEST_ENTITY_TOO_LARGE', { status: 413 })))).toEqual({
      message: 'No.',
      extensions: { code: 'PAYLOAD_TOO_LARGE' },
      status: 413,
    });
    expect(sent(maskError(new GraphQLError('Too many errors processing variables.')))).toEqual({
      message: 'Too many errors processing variables.',
      extensions: { code: 'BAD_USER_INPUT' },
      status: 400,
    });
    expect(bugs).toEqual([]);
  });

  it('is the same when it is masked again', () => {
    bugs.length = 0;
    for (const error of [forbidden(), new Error('a bug')]) {
      const once = maskError(error);
      expect(sent(maskError(once))).toEqual(sent(once));
    }
    expect(bugs).toHaveLength(1);
  });
});

describe('an error in the document', () => {
  it('keeps its place', () => {
    const [syntax] = [() => parse('{\n  a(')].map((read) => {
      try {
        read();
        return undefined;
      } catch (error) {
        return error as GraphQLError;
      }
    });
    expect(sent(documentError(syntax as GraphQLError, 'GRAPHQL_PARSE_FAILED'))).toEqual({
      message: 'Syntax Error: Expected Name, found <EOF>.',
      locations: [{ line: 2, column: 5 }],
      extensions: { code: 'GRAPHQL_PARSE_FAILED' },
      status: 400,
    });
  });
});
