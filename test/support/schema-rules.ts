import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isSpecifiedDirective,
  isSpecifiedScalarType,
} from 'graphql';
import type { Json } from './clients.ts';

/** A field of Query, Mutation or Subscription. */
export interface RootField {
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly field: GraphQLField<unknown, unknown>;
  /** The name of the only scope that its rule names; undefined when it has no rule. */
  readonly scope: string | undefined;
}

/** Every root field with its authorization rule, as Pothos keeps it. */
export function rootFields(schema: GraphQLSchema): RootField[] {
  const types = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
    ['subscription', schema.getSubscriptionType()],
  ] as const;
  return types.flatMap(([kind, type]) =>
    Object.values(type?.getFields() ?? {}).map((field) => ({ kind, field, scope: scopeOf(field) })),
  );
}

function scopeOf({ extensions }: GraphQLField<unknown, unknown>): string | undefined {
  const options = extensions.pothosOptions as { authScopes?: Record<string, unknown> } | undefined;
  const granted = Object.entries(options?.authScopes ?? {}).filter(([, needed]) => needed === true);
  return granted.length === 1 ? granted[0]?.[0] : undefined;
}

/** The names of the root fields that nothing says who may use. */
export function fieldsWithoutRule(schema: GraphQLSchema): string[] {
  return rootFields(schema)
    .filter(({ scope }) => scope === undefined)
    .map(({ kind, field }) => `${kind} ${field.name}`);
}

/** The coordinates of everything of ours in a schema that has no description. */
export function undescribed(schema: GraphQLSchema): string[] {
  const found: string[] = [];
  const look = (
    coordinate: string,
    { description }: { readonly description?: string | null | undefined },
  ) => {
    if (!description?.trim()) found.push(coordinate);
  };
  for (const directive of schema.getDirectives())
    if (!isSpecifiedDirective(directive)) look(`@${directive.name}`, directive);
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__') || isSpecifiedScalarType(type)) continue;
    look(type.name, type);
    if (isEnumType(type)) for (const value of type.getValues()) look(`${type.name}.${value.name}`, value);
    else if ('getFields' in type)
      for (const field of Object.values(type.getFields())) {
        look(`${type.name}.${field.name}`, field);
        const args: readonly GraphQLArgument[] = 'args' in field ? field.args : [];
        for (const argument of args) look(`${type.name}.${field.name}(${argument.name}:)`, argument);
      }
  }
  return found;
}

/** The smallest valid operation that uses a root field: its arguments are made up. */
export function smallestOperation(
  { kind, field }: RootField,
  also: readonly string[] = [],
): { query: string; variables: Json } {
  const required = field.args.filter((each) => isRequiredArgument(each) || also.includes(each.name));
  const declared = required.map(({ name, type }) => `$${name}: ${type}`).join(', ');
  const passed = required.map(({ name }) => `${name}: $${name}`).join(', ');
  const parentheses = (text: string) => (text === '' ? '' : `(${text})`);
  return {
    query: `${kind} ${parentheses(declared)} { ${field.name}${parentheses(passed)} { __typename } }`,
    variables: Object.fromEntries(required.map(({ name, type }) => [name, madeUp(type)])),
  };
}

const madeUpScalars: Readonly<Record<string, unknown>> = {
  ID: 'made-up',
  String: 'made-up, of a certain length',
  Int: 1,
  Float: 1,
  Boolean: true,
  Sats: 1,
  DateTime: '2100-01-01T00:00:00Z',
};

function madeUp(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return madeUp(type.ofType);
  if (isListType(type)) return [];
  if (isEnumType(type)) return type.getValues()[0]?.name;
  if (isInputObjectType(type))
    return Object.fromEntries(
      Object.values(type.getFields())
        .filter(isRequiredInputField)
        .map((field) => [field.name, madeUp(field.type)]),
    );
  return madeUpScalars[type.name];
}

/** The types that have a field of this name. */
export function typesWithField(schema: GraphQLSchema, name: string): string[] {
  return Object.values(schema.getTypeMap())
    .filter((type) => isObjectType(type) && name in type.getFields())
    .map((type) => type.name)
    .sort();
}
