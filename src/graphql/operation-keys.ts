import { createHash } from 'node:crypto';
import {
  type DocumentNode,
  type ExecutionArgs,
  type FieldNode,
  getOperationAST,
  getVariableValues,
  type OperationDefinitionNode,
  print,
  visit,
} from 'graphql';

/**
 * Tells which subscriptions ask for the same: a key of document, operation and variables. A variable that is used
 * only as the `after` of the root field says where one begins, not what is told, and is left out.
 */
export function createOperationKeys() {
  const documents = new WeakMap<DocumentNode, Map<string | undefined, KnownOperation>>();

  function know(document: DocumentNode, operationName: string | undefined): KnownOperation {
    const known = documents.get(document) ?? new Map<string | undefined, KnownOperation>();
    documents.set(document, known);
    const operation = known.get(operationName) ?? describe(document, operationName);
    known.set(operationName, operation);
    return operation;
  }

  return {
    of({ schema, document, operationName, variableValues }: ExecutionArgs): string {
      const { hash, operation, positions } = know(document, operationName ?? undefined);
      const { coerced } = getVariableValues(
        schema,
        operation.variableDefinitions ?? [],
        variableValues ?? {},
      );
      const entries = Object.entries(coerced ?? {}).filter(([name]) => !positions.has(name));
      return `${hash} ${JSON.stringify(entries, (_key, value) => (typeof value === 'bigint' ? `${value}n` : value))}`;
    },
  };
}

interface KnownOperation {
  readonly hash: string;
  readonly operation: OperationDefinitionNode;
  /** The variables that only say where to begin. */
  readonly positions: ReadonlySet<string>;
}

function describe(document: DocumentNode, operationName: string | undefined): KnownOperation {
  const operation = getOperationAST(document, operationName) as OperationDefinitionNode;
  const text = document.loc?.source.body ?? print(document);
  const hash = createHash('sha256')
    .update(JSON.stringify([text, operation.name?.value]))
    .digest('base64');
  return { hash, operation, positions: positionsIn(document, operation) };
}

function positionsIn(document: DocumentNode, operation: OperationDefinitionNode): Set<string> {
  const positions = new Set<string>();
  const elsewhere = new Set<string>();
  const [root] = operation.selectionSet.selections;
  const rootField = root?.kind === 'Field' ? root : undefined;
  visit(document, {
    VariableDefinition: () => false,
    Variable(node, _key, parent) {
      const isPosition = afterOf(rootField) !== undefined && afterOf(rootField) === parent;
      (isPosition ? positions : elsewhere).add(node.name.value);
    },
  });
  return new Set([...positions].filter((name) => !elsewhere.has(name)));
}

const afterOf = (field: FieldNode | undefined) =>
  field?.arguments?.find(({ name }) => name.value === 'after');
