import { requireUser, type ViewerUser } from '../platform/auth/viewer.ts';
import { forbidden } from '../platform/errors.ts';
import { builder } from './builder.ts';
import { EventRef, watch } from './events.ts';
import { NodeRef, registerNode } from './node.ts';

/** The feed of all that concerns a user. */
const activityTopic = (userId: string) => `user:${userId}`;

const RoleEnum = builder.enumType('Role', {
  description: 'What a token allows.',
  values: {
    USER: { description: "To use one's own." },
    SERVICE: { description: 'To debit sessions and to do the work of jobs.' },
    ADMIN: { description: 'To administer.' },
  } as const,
});

const UserRef = builder.objectRef<{ readonly id: string }>('User').implement({
  description: 'A person or a program with a token. Others are shown nothing but this.',
  interfaces: [NodeRef],
});

registerNode('usr', 'User', async ({ viewer }, id) => {
  if (viewer.user?.id !== id) throw forbidden();
  return { id };
});

const WalletRef = builder.objectRef<{ readonly balanceSats: bigint }>('Wallet').implement({
  description: "A user's balance, where sats that came back are kept.",
  fields: (t) => ({
    balanceSats: t.expose('balanceSats', { type: 'Sats', description: 'What is in it; sats.' }),
  }),
});

/** The user who asks, and where the activity feed stood when they asked. */
export interface ViewerShape {
  readonly user: ViewerUser;
  readonly activityCursor: string;
}

export const ViewerRef = builder.objectRef<ViewerShape>('Viewer').implement({
  description: 'The user who asks.',
  fields: (t) => ({
    user: t.field({ type: UserRef, description: 'Who you are to others.', resolve: ({ user }) => user }),
    roles: t.field({
      type: [RoleEnum],
      description: 'What your token allows.',
      resolve: ({ user }) => user.roles,
    }),
    wallet: t.field({
      type: WalletRef,
      description: 'Your balance.',
      resolve: async ({ user }, _args, { services }) => ({
        balanceSats: await services.ledger.balance(services.db, `wallet:${user.id}`),
      }),
    }),
    activityCursor: t.expose('activityCursor', {
      type: 'Cursor',
      description: 'Where `activity` stood at this read: query, then subscribe after it.',
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerRef,
    nullable: true,
    authScopes: { anyone: true },
    description: 'The user who asks; null without a token of a user.',
    resolve: async (_root, _args, { viewer, services }) => {
      if (!viewer.user) return null;
      const topic = activityTopic(viewer.user.id);
      // Before anything else of the viewer is read: what is read may be newer than its cursor, never older.
      return { user: viewer.user, activityCursor: await services.feeds.log.cursor(topic) };
    },
  }),
);

builder.subscriptionField('activity', (t) =>
  t.field({
    type: EventRef,
    authScopes: { user: true },
    description:
      'All that concerns you, in one feed. Live from now without `after`. Errors: UNAUTHENTICATED, BAD_USER_INPUT, CURSOR_EXPIRED.',
    args: {
      after: t.arg({ type: 'Cursor', description: 'Everything behind this cursor first.' }),
    },
    subscribe: (_root, { after }, context) => {
      const { id } = requireUser(context.viewer);
      return watch(context, { topic: activityTopic(id), after, view: { access: 'OWNER', userId: id } });
    },
    resolve: (delivery) => delivery,
  }),
);
