import {
  type DocumentNode,
  type ExecutionArgs,
  GraphQLError,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Context } from '../graphql/context.ts';
import { hasRole } from '../platform/auth/viewer.ts';
import { rateLimited } from '../platform/errors.ts';
import type { SharedRate } from '../platform/limits/keyed-rate.ts';
import { addressKey, viewerKey } from '../platform/limits/keys.ts';

interface Dependencies {
  readonly mutations: SharedRate;
  readonly perMinute: number;
}

/**
 * Refuses mutations of a viewer, or of an address without credentials, beyond their number per minute, on every
 * transport: with RATE_LIMITED, and nothing of the operation is executed. Each root field counts. The role SERVICE,
 * which acts for many, has no limit.
 */
export function useMutationLimit({ mutations, perMinute }: Dependencies): Plugin {
  return {
    onExecute({ args, setExecuteFn }) {
      const { document, operationName, contextValue } = args as ExecutionArgs;
      const operation = getOperationAST(document, operationName);
      if (operation?.operation !== 'mutation') return;
      const { viewer, address } = contextValue as Context;
      const key = viewerKey(viewer) ?? addressKey(address);
      if (key === undefined || hasRole(viewer, 'SERVICE')) return;
      const wait = mutations.take(key, countRootFields(document, operation));
      if (wait === 0) return;
      const error = rateLimited(`At most ${perMinute} mutations a minute.`, wait);
      // As what it was executed to, so that what sees to the errors of results sees it.
      setExecuteFn(() => ({ errors: [new GraphQLError(error.message, { originalError: error })] }));
    },
  };
}

/** How many root fields an operation of a valid document has, by the names under which they are answered. */
export function countRootFields(document: DocumentNode, operation: OperationDefinitionNode): number {
  const names = new Set<string>();
  const spread = new Set<string>();

  function collect({ selections }: SelectionSetNode): void {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) names.add((selection.alias ?? selection.name).value);
      else if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
      else spread.add(selection.name.value);
    }
  }

  collect(operation.selectionSet);
  // A set goes on with what is added to it meanwhile.
  for (const name of spread)
    for (const definition of document.definitions)
      if (definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name)
        collect(definition.selectionSet);
  return names.size;
}
