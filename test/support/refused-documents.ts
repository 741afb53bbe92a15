import { watchJob } from './operations.ts';

/** An operation that is refused for what it is, and how. */
export interface RefusedDocument {
  readonly name: string;
  readonly query: string;
  readonly variables?: object;
  readonly operationName?: string;
  readonly code: string;
  readonly argument?: string;
  readonly message?: RegExp;
}

const createJob = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { accessToken } }';
const deep = `{ ${'... { '.repeat(12)} viewer { roles } ${'}'.repeat(12)} }`;
const costly = `{
  viewer { jobs { edges { node { events { edges { node { ... on JobEvent { job { id ${'createdAt '.repeat(600)} } } } } } } } } }
}`;

/** What no transport takes, whoever sends it. */
export const refusedDocuments: readonly RefusedDocument[] = [
  { name: 'no syntax', query: '{', code: 'GRAPHQL_PARSE_FAILED', message: /^Syntax Error/ },
  { name: 'nothing', query: '', code: 'GRAPHQL_PARSE_FAILED' },
  { name: 'a subscription without syntax', query: 'subscription {', code: 'GRAPHQL_PARSE_FAILED' },
  { name: 'an unknown field', query: '{ nothing }', code: 'GRAPHQL_VALIDATION_FAILED', message: /"nothing"/ },
  {
    name: 'an unknown field to watch',
    query: 'subscription { nothing }',
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'sats below zero in the document',
    query: 'mutation { openSession(input: { depositSats: -4, idempotencyKey: "x" }) { accessToken } }',
    code: 'GRAPHQL_VALIDATION_FAILED',
    message: /^Sats are whole numbers/,
  },
  { name: 'too much depth', query: deep, code: 'GRAPHQL_VALIDATION_FAILED', message: /depth limit of 12/ },
  {
    name: 'too many aliases',
    query: `{ ${Array.from({ length: 31 }, (_, index) => `a${index}: viewer { roles }`).join(' ')} }`,
    code: 'GRAPHQL_VALIDATION_FAILED',
    message: /Aliases limit of 30/,
  },
  {
    name: 'too many directives',
    query: `{ viewer { roles ${'@skip(if: false) '.repeat(51)} } }`,
    code: 'GRAPHQL_VALIDATION_FAILED',
    message: /Directives limit of 50|can only be used once/,
  },
  {
    name: 'too many tokens',
    query: `{ viewer { ${'roles '.repeat(2_000)} } }`,
    code: 'GRAPHQL_PARSE_FAILED',
    message: /Token limit of 2000/,
  },
  {
    name: 'too high a cost',
    query: costly,
    code: 'GRAPHQL_VALIDATION_FAILED',
    message: /Cost limit of 10000/,
  },
  {
    name: 'a variable that is missing',
    query: createJob,
    code: 'BAD_USER_INPUT',
    argument: 'input',
    message: /^Variable "\$input"/,
  },
  {
    name: 'a variable of another type',
    query: createJob,
    variables: { input: { prompt: 7, idempotencyKey: 'x' } },
    code: 'BAD_USER_INPUT',
    argument: 'input',
    message: /at "input\.prompt"/,
  },
  {
    name: 'a variable with sats that are none',
    query: 'mutation ($input: OpenSessionInput!) { openSession(input: $input) { accessToken } }',
    variables: { input: { depositSats: 1.5, idempotencyKey: 'x' } },
    code: 'BAD_USER_INPUT',
    argument: 'input',
    message: /at "input\.depositSats"; Sats are whole numbers/,
  },
  {
    name: 'a subscription whose variable is missing',
    query: watchJob,
    code: 'BAD_USER_INPUT',
    argument: 'id',
  },
  {
    name: 'several operations, and none named',
    query: 'query a { viewer { roles } } query b { viewer { roles } }',
    code: 'BAD_USER_INPUT',
    argument: 'operationName',
  },
  {
    name: 'an operation that is not there',
    query: 'query a { viewer { roles } }',
    operationName: 'b',
    code: 'BAD_USER_INPUT',
    argument: 'operationName',
  },
  {
    name: 'no operation at all',
    query: 'fragment f on Viewer { roles }',
    code: 'BAD_USER_INPUT',
    argument: 'operationName',
  },
];
