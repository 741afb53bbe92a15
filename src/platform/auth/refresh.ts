import { badInput, forbidden } from '../errors.ts';
import { looksLikeAccessToken } from './access-tokens.ts';
import { type Authenticate, refused } from './authenticate.ts';
import type { Connection } from './connections.ts';
import { requireUser } from './viewer.ts';

export type Refresh = ReturnType<typeof createRefresh>;

/** Puts a new token of the same user into the place of a socket's, also in the time of grace. */
export function createRefresh({ authenticate }: { readonly authenticate: Authenticate }) {
  /**
   * What the connection's further access tokens open stays open. Answers when the token expires that counts from
   * now on: of several at once, the one that was issued last.
   * @throws PublicError BAD_USER_INPUT for a request, and for an access token; FORBIDDEN for a connection without
   * a user, and for another user's token; else what authenticating throws. The old token stays then.
   */
  return async (connection: Connection, token: string): Promise<{ readonly expiresAt: Date }> => {
    if (!connection.isSocket) throw badInput('token', 'A token can be refreshed on a WebSocket alone.');
    if (looksLikeAccessToken(token))
      throw badInput('token', 'An access token does not need to be refreshed.');
    const { user: own } = connection.viewer;
    if (!own) throw forbidden();
    const { user } = await authenticate({ authorization: `Bearer ${token}`, accessTokens: [] });
    if (user?.id !== own.id) throw forbidden();
    // Another refresh may have been faster, with a token that is newer than this one.
    if (user.issuedAt >= requireUser(connection.viewer).issuedAt)
      connection.refresh({ ...connection.viewer, user });
    if (connection.isOver) throw refused('TOKEN_INVALID');
    return { expiresAt: requireUser(connection.viewer).expiresAt };
  };
}
