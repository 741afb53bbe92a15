import { forbidden } from '../platform/errors.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';

/** An object with an id of its own. */
export interface NodeShape {
  readonly id: string;
}

type FindNode = (context: Context, id: string) => Promise<NodeShape>;

const kinds = new Map<string, { readonly type: string; readonly find: FindNode }>();

const kindOf = (id: string) => kinds.get(id.slice(0, id.indexOf('_')));

/**
 * Makes the objects whose ids have this prefix available in `node`, as a GraphQL type. `find` throws FORBIDDEN
 * for what the viewer is not shown.
 */
export function registerNode(prefix: string, type: string, find: FindNode): void {
  kinds.set(prefix, { type, find });
}

export const NodeRef = builder.interfaceRef<NodeShape>('Node').implement({
  description: 'Something with an id of its own.',
  resolveType: ({ id }) => kindOf(id)?.type,
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Opaque and random; its prefix tells the kind.' }),
  }),
});

builder.queryField('node', (t) =>
  t.field({
    type: NodeRef,
    nullable: true,
    authScopes: { credentials: true },
    description:
      'Any object by its id. Errors: UNAUTHENTICATED; FORBIDDEN for an id that is not yours, does not exist or is malformed.',
    args: { id: t.arg.id({ required: true, description: 'The id of the object.' }) },
    resolve: async (_root, { id }, context) => {
      const kind = kindOf(id);
      if (!kind) throw forbidden();
      return kind.find(context, id);
    },
  }),
);
