import { type User, usersByIds } from '../platform/auth/users.ts';
import { forbidden } from '../platform/errors.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { load } from './loaders.ts';
import { NodeRef, registerNode } from './node.ts';

export const UserRef = builder.objectRef<User>('User').implement({
  description: 'A person or a program. Others are shown nothing but this.',
  interfaces: [NodeRef],
  fields: (t) => ({
    name: t.exposeString('name', {
      nullable: true,
      description: 'What they want to be called: `preferred_username` of their token.',
    }),
    address: t.exposeString('address', {
      nullable: true,
      description: 'Their principal on the Stacks chain, where one is known.',
    }),
  }),
});

/** A user by id, who must exist: what a row names. Who may see the row may see this. */
export async function loadUser(context: Pick<Context, 'loaders' | 'services'>, id: string): Promise<User> {
  return (await load(context, usersByIds, (user) => user.id, id)) as User;
}

registerNode('usr', 'User', async (context, id) => {
  if (context.viewer.user?.id !== id) throw forbidden();
  return loadUser(context, id);
});
