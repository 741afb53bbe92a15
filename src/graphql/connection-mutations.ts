import { requireUser } from '../platform/auth/viewer.ts';
import { badInput } from '../platform/errors.ts';
import { builder } from './builder.ts';
import { textBetween } from './input.ts';

const CreateTicketPayload = builder
  .objectRef<{ readonly ticket: string; readonly expiresAt: Date }>('CreateTicketPayload')
  .implement({
    description: 'A ticket for an EventSource.',
    fields: (t) => ({
      ticket: t.exposeString('ticket', {
        description:
          'Goes into the URL as `ticket`. It is bound to the first document and variables that it is used with.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        description: 'When it ends: with the token behind it.',
      }),
    }),
  });

builder.mutationField('createTicket', (t) =>
  t.field({
    type: CreateTicketPayload,
    authScopes: { credentials: true },
    description:
      'A ticket that stands for your credentials in the URL of one EventSource, which can set no header. Errors: UNAUTHENTICATED.',
    resolve: (_root, _args, { viewer, services }) => services.tickets.create(viewer),
  }),
);

const RefreshTokenInput = builder.inputType('RefreshTokenInput', {
  description: 'The token that takes the place of the present one.',
  fields: (t) => ({
    token: t.string({ required: true, description: 'A newer token of the same user.' }),
  }),
});

const RefreshTokenPayload = builder.objectRef<{ readonly expiresAt: Date }>('RefreshTokenPayload').implement({
  description: 'The token that counts on this socket from now on.',
  fields: (t) => ({
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When it expires.' }),
  }),
});

builder.mutationField('refreshToken', (t) =>
  t.field({
    type: RefreshTokenPayload,
    authScopes: { user: true },
    description:
      'Puts a new token in the place of the one that this WebSocket was opened with: its subscriptions go on, and those that the new token does not allow end with an error. For 25 seconds after the present token has expired, this is all that can be sent. With a refused token, the present one stays. Errors: UNAUTHENTICATED, FORBIDDEN (of another user), BAD_USER_INPUT (over HTTP, or an access token), UNAVAILABLE.',
    args: { input: t.arg({ type: RefreshTokenInput, required: true, description: 'The new token.' }) },
    resolve: (_root, { input }, { connection, services }) => services.refresh(connection, input.token),
  }),
);

const SignOutPayload = builder.objectRef<{ readonly signedOut: true }>('SignOutPayload').implement({
  description: 'What signing out has done.',
  fields: (t) => ({
    signedOut: t.exposeBoolean('signedOut', { description: 'True: the token is worth nothing from now on.' }),
  }),
});

builder.mutationField('signOut', (t) =>
  t.field({
    type: SignOutPayload,
    authScopes: { user: true },
    description:
      'Revokes the token that this is called with, and ends every connection that uses it. Errors: UNAUTHENTICATED.',
    resolve: async (_root, _args, { viewer, services }) => {
      const { tokenId, expiresAt } = requireUser(viewer);
      await services.revocations.revokeToken(tokenId, expiresAt);
      return { signedOut: true as const };
    },
  }),
);

const RevokeTokensInput = builder.inputType('RevokeTokensInput', {
  description: 'Whose tokens are revoked: exactly one of the two.',
  fields: (t) => ({
    userId: t.id({ description: 'Every token that this user was issued until now.' }),
    jti: t.string({ description: 'The token with this `jti` claim.' }),
  }),
});

const RevokeTokensPayload = builder.objectRef<{ readonly revoked: true }>('RevokeTokensPayload').implement({
  description: 'What a revocation has done.',
  fields: (t) => ({
    revoked: t.exposeBoolean('revoked', { description: 'True: the tokens are worth nothing from now on.' }),
  }),
});

/** How long the revocation of a single token is remembered: no token should live longer; ms. */
const rememberedMs = 366 * 24 * 3_600_000;

builder.mutationField('revokeTokens', (t) =>
  t.field({
    type: RevokeTokensPayload,
    authScopes: { admin: true },
    description:
      'Revokes tokens and ends every connection that uses them. ADMIN. Errors: UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT.',
    args: { input: t.arg({ type: RevokeTokensInput, required: true, description: 'Which tokens.' }) },
    resolve: async (_root, { input }, { services }) => {
      const { userId, jti } = input;
      if ((userId == null) === (jti == null)) throw badInput('input', 'Give either userId or jti.');
      if (userId != null) await services.revocations.revokeUser(textBetween('userId', userId, 1, 255));
      if (jti != null)
        await services.revocations.revokeToken(
          textBetween('jti', jti, 1, 255),
          new Date(services.feeds.clock.now() + rememberedMs),
        );
      return { revoked: true as const };
    },
  }),
);
