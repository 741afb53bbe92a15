import { GraphQLError } from 'graphql';
import { createSchema, createYoga, type Plugin } from 'graphql-yoga';
import { describe, expect, it } from 'vitest';
import { createMaskError } from '../../src/graphql/errors.ts';
import { useRequestErrors } from '../../src/transport/request-errors.ts';

const schema = createSchema({ typeDefs: 'type Query { a: Int }' });

/** Asks a server whose validation does this with every document. */
async function ask(rule: () => never): Promise<{ status: number; body: unknown; bugs: unknown[] }> {
  const bugs: unknown[] = [];
  const useRule: Plugin = {
    onValidate({ addValidationRule }) {
      addValidationRule(rule);
    },
  };
  const yoga = createYoga({
    schema,
    plugins: [useRequestErrors(), useRule],
    maskedErrors: { maskError: createMaskError((error) => bugs.push(error)) },
    logging: false,
  });
  const response = await yoga.fetch('http://localhost/graphql?query={a}', {
    headers: { accept: 'application/graphql-response+json' },
  });
  return { status: response.status, body: await response.json(), bugs };
}

describe('what a rule of validation throws', () => {
  it('is told when it is meant for the client', async () => {
    const answer = await ask(() => {
      throw new GraphQLError('Too much.');
    });
    expect(answer).toEqual({
      status: 400,
      body: { errors: [{ message: 'Too much.', extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }] },
      bugs: [],
    });
  });

  it('is masked when it is a bug', async () => {
    const bug = new TypeError('a secret');
    const answer = await ask(() => {
      throw bug;
    });
    expect(answer).toEqual({
      status: 500,
      body: { errors: [{ message: 'Unexpected error.', extensions: { code: 'INTERNAL_SERVER_ERROR' } }] },
      bugs: [bug],
    });
  });
});
