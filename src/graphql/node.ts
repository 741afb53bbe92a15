import { forbidden } from '../platform/errors.ts';
import { type IdPrefix, isId } from '../platform/ids.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';

/** An object with an id of its own. */
export interface NodeShape {
  readonly id: string;
}

type FindNode = (context: Context, id: string) => Promise<NodeShape>;

interface Kind {
  readonly prefix: IdPrefix;
  readonly type: string;
  readonly find: FindNode;
}

const kinds: Kind[] = [];

const kindOf = (id: string) => kinds.find(({ prefix }) => isId(prefix, id));

/**
 * Makes the objects whose ids have this prefix available in `node`, as a GraphQL type. `find` throws FORBIDDEN
 * for what the viewer is not shown.
 */
export function registerNode(prefix: IdPrefix, type: string, find: FindNode): void {
  kinds.push({ prefix, type, find });
}

export const NodeRef = builder.interfaceRef<NodeShape>('Node').implement({
  description: 'Something with an id of its own.',
  resolveType: ({ id }) => (kindOf(id) as Kind).type,
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
