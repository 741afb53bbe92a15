import { type DocumentNode, GraphQLError, getOperationAST, type OperationDefinitionNode } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { documentError } from '../graphql/errors.ts';
import { badInput } from '../platform/errors.ts';

interface RequestContext {
  readonly params: { readonly operationName?: string | undefined };
}

/** Gives what is wrong with a request itself the same error on every transport. */
export function useRequestErrors(): Plugin<RequestContext> {
  return {
    onRequestParse({ requestParser, setRequestParser }) {
      if (!requestParser) return;
      setRequestParser(async (request) => {
        try {
          return await requestParser(request);
        } catch (error) {
          if (!(error instanceof SyntaxError)) throw error;
          throw badInput('variables', 'variables and extensions must be JSON.');
        }
      });
    },

    onParse() {
      return ({ result, context, replaceParseResult }) => {
        if (result instanceof GraphQLError) replaceParseResult(documentError(result, 'GRAPHQL_PARSE_FAILED'));
        else requireOperation(result as DocumentNode, context.params.operationName);
      };
    },

    onValidate({ validateFn, setValidationFn }) {
      // The limits throw what they find, past the hooks that see to codes and statuses.
      setValidationFn((...args) => {
        try {
          return validateFn(...args);
        } catch (error) {
          if (!(error instanceof GraphQLError)) throw error;
          return [error];
        }
      });
      return ({ result, setResult }) =>
        setResult(result.map((error) => documentError(error, 'GRAPHQL_VALIDATION_FAILED')));
    },
  };
}

/**
 * The operation of a document that a request asks for.
 * @throws PublicError BAD_USER_INPUT when it names none.
 */
export function requireOperation(
  document: DocumentNode,
  operationName: string | undefined,
): OperationDefinitionNode {
  const operation = getOperationAST(document, operationName);
  if (operation) return operation;
  throw badInput('operationName', 'It must name an operation of the document, unless there is only one.');
}
