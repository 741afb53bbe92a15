import SchemaBuilder from '@pothos/core';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { hasCredentials, hasRole } from '../platform/auth/viewer.ts';
import { forbidden, unauthenticated } from '../platform/errors.ts';
import type { Context } from './context.ts';

/** What the schema is built with: each domain's `graphql.ts` adds its types and root fields to it. */
export const builder = new SchemaBuilder<{
  Context: Context;
  DefaultFieldNullability: false;
  AuthScopes: {
    /** Anyone, also without credentials. */
    anyone: boolean;
    /** Whoever presented a token or an access token; what they may see is decided by id. */
    credentials: boolean;
    /** Users: a token with a subject. */
    user: boolean;
    service: boolean;
    admin: boolean;
  };
  Scalars: {
    ID: { Input: string; Output: string };
    Sats: { Input: bigint; Output: bigint | number };
    DateTime: { Input: Date; Output: Date };
    Cursor: { Input: string; Output: string };
  };
}>({
  plugins: [ScopeAuthPlugin, RelayPlugin],
  defaultFieldNullability: false,
  scopeAuth: {
    // By default the scopes of a subscription are looked at with each event, and not when it starts.
    authorizeOnSubscribe: true,
    authScopes: ({ viewer }) => ({
      anyone: true,
      credentials: hasCredentials(viewer),
      user: viewer.user !== undefined,
      service: hasRole(viewer, 'SERVICE'),
      admin: hasRole(viewer, 'ADMIN'),
    }),
    unauthorizedError: (_parent, { viewer }) => (hasCredentials(viewer) ? forbidden() : unauthenticated()),
  },
  relay: {
    clientMutationId: 'omit',
    cursorType: 'String',
    firstArgOptions: { description: 'The first of these; 20 by default, at most 100.' },
    afterArgOptions: { description: 'Only what lies behind this cursor.' },
    lastArgOptions: { description: 'The last of these, at most 100.' },
    beforeArgOptions: { description: 'Only what lies before this cursor.' },
    pageInfoTypeOptions: { description: 'Where a page lies in its list.' },
    hasNextPageFieldOptions: { description: 'Whether more follows.' },
    hasPreviousPageFieldOptions: { description: 'Whether more goes before.' },
    startCursorFieldOptions: { description: 'The cursor of the first entry.' },
    endCursorFieldOptions: { description: 'The cursor of the last entry.' },
    pageInfoFieldOptions: { description: 'Where this page lies in the list.' },
    edgesFieldOptions: { description: 'The entries, with their cursors.' },
    nodeFieldOptions: { description: 'The entry itself.' },
    cursorFieldOptions: { description: 'Its place in the list.' },
  },
});

builder.queryType({ description: 'Everything that can be asked.' });
builder.mutationType({ description: 'Everything that can be changed.' });
builder.subscriptionType({
  description:
    'Everything that can be watched. Each event has a cursor: pass the last one as `after` to the same ' +
    'subscription to receive everything behind it, then the live tail.',
});
