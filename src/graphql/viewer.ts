import { activityTopic } from '../platform/auth/users.ts';
import { requireUser, type ViewerUser } from '../platform/auth/viewer.ts';
import { builder } from './builder.ts';
import { EventRef, watch } from './events.ts';
import { loadUser, UserRef } from './users.ts';

const RoleEnum = builder.enumType('Role', {
  description: 'What a token allows.',
  values: {
    USER: { description: "To use one's own." },
    SERVICE: { description: 'To debit sessions and to do the work of jobs.' },
    ADMIN: { description: 'To administer.' },
  } as const,
});

/** The user who asks, and where the activity feed stood when they asked. */
export interface ViewerShape {
  readonly user: ViewerUser;
  readonly activityCursor: string;
}

export const ViewerRef = builder.objectRef<ViewerShape>('Viewer').implement({
  description: 'The user who asks.',
  fields: (t) => ({
    user: t.field({
      type: UserRef,
      description: 'Who you are to others.',
      resolve: ({ user }, _args, context) => loadUser(context, user.id),
    }),
    roles: t.field({
      type: [RoleEnum],
      description: 'What your token allows.',
      resolve: ({ user }) => user.roles,
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
