import { type FieldNode, type GraphQLError, Kind, type OperationDefinitionNode } from 'graphql';
import { CloseCode } from 'graphql-ws';
import { httpStatus, type MaskError } from '../graphql/errors.ts';
import { type Authenticate, type Credentials, refused } from '../platform/auth/authenticate.ts';
import type { Connection, ConnectionListener, Connections, EndReason } from '../platform/auth/connections.ts';
import type { ReconnectTicket, ReconnectTickets } from '../platform/auth/reconnect-tickets.ts';
import type { Viewer } from '../platform/auth/viewer.ts';
import { PublicError } from '../platform/errors.ts';
import { type ConnectionLimits, tooManyConnections } from './connection-limits.ts';
import { splitList } from './request.ts';
import type { Closing, Socket } from './socket.ts';

interface Dependencies {
  readonly authenticate: Authenticate;
  readonly reconnectTickets: ReconnectTickets;
  readonly connections: Connections;
  readonly limits: ConnectionLimits;
  readonly maskError: MaskError;
  /** Decides anew who may watch what on a socket whose viewer has changed. */
  readonly authorize: (socket: Socket) => Promise<void>;
}

export const goingAway: Closing = [1001, 'Going away'];
const tryAgainLater: Closing = [1013, 'Try again later'];

const endings: Readonly<Record<EndReason, Closing>> = {
  TOKEN_EXPIRED: [CloseCode.Forbidden, 'Token expired'],
  TOKEN_REVOKED: [CloseCode.Unauthorized, 'Token revoked'],
  REPLACED: [goingAway[0], 'Replaced'],
  SHUTDOWN: goingAway,
};

/** What a socket hears of its connection. A class and not closures, as there are tens of thousands. */
class SocketListener implements ConnectionListener {
  readonly #socket: Socket;
  readonly #refreshed: (socket: Socket) => void;

  constructor(socket: Socket, refreshed: (socket: Socket) => void) {
    this.#socket = socket;
    this.#refreshed = refreshed;
  }

  ended(reason: EndReason): void {
    this.#socket.close(endings[reason]);
  }

  expiring(tokenExpiresInMs: number): void {
    this.#socket.sendText(JSON.stringify({ type: 'ping', payload: { tokenExpiresInMs } }));
  }

  refreshed(): void {
    this.#refreshed(this.#socket);
  }
}

/** Sees to who is on a socket: from its `connection_init` on, and while its token is refreshed or runs out. */
export function createSocketConnections(deps: Dependencies) {
  const { authenticate, reconnectTickets, connections, limits, maskError, authorize } = deps;

  /** Whoever `connection_init` says, and the ticket to come back with if one was asked for. */
  async function identify(
    params: Readonly<Record<string, unknown>>,
  ): Promise<{ viewer: Viewer; next: ReconnectTicket | undefined }> {
    const { ticket } = params;
    const presented = await authenticate(credentialsIn(params));
    if (typeof ticket !== 'string')
      return {
        viewer: presented,
        next: ticket === true ? await reconnectTickets.issue(presented) : undefined,
      };
    try {
      return await reconnectTickets.redeem(ticket, presented);
    } catch (error) {
      // Who has a good token needs no ticket, and has perhaps slept longer than it lasts.
      if (!presented.user || !(error instanceof PublicError) || error.code !== 'UNAUTHENTICATED') throw error;
      return { viewer: presented, next: await reconnectTickets.issue(presented) };
    }
  }

  function refreshed(socket: Socket): void {
    authorize(socket).catch((error) => {
      socket.close(refusalOf(maskError(error)));
    });
  }

  function begin(socket: Socket, viewer: Viewer): boolean {
    const release = limits.viewer(viewer);
    if (!release) {
      socket.close(tooManyConnections);
      return false;
    }
    socket.onGone(release);
    socket.connection = connections.open(viewer, new SocketListener(socket, refreshed), true);
    // It may be ended as soon as it begins.
    return !socket.connection.isOver;
  }

  return {
    /**
     * Finds out who is on a socket, and begins its connection. Answers the payload of the acknowledgement; false
     * when the socket is closed instead.
     */
    async open(
      socket: Socket,
      params: Readonly<Record<string, unknown>>,
    ): Promise<Record<string, unknown> | boolean> {
      try {
        const { viewer, next } = await identify(params);
        // Who has gone meanwhile closes no second time.
        if (!socket.isOpen || !begin(socket, viewer)) return false;
        return next ? { ...next } : true;
      } catch (error) {
        socket.close(refusalOf(maskError(error)));
        return false;
      }
    },
  };
}

/**
 * Refuses an operation with a token that has run out, but for the one that brings another.
 * @throws PublicError UNAUTHENTICATED.
 */
export function requireFresh(connection: Connection, operation: OperationDefinitionNode): void {
  if (connection.isExpired && !isRefresh(operation)) throw refused('TOKEN_EXPIRED');
}

/** Whether an operation does nothing but refresh the token. */
function isRefresh({ selectionSet: { selections } }: OperationDefinitionNode): boolean {
  return selections.every(
    (selection): selection is FieldNode =>
      selection.kind === Kind.FIELD && ['refreshToken', '__typename'].includes(selection.name.value),
  );
}

function credentialsIn(params: Readonly<Record<string, unknown>>): Credentials {
  // GraphiQL sends what its headers editor has, however it is written there.
  const entries = Object.entries(params).map(([name, value]) => [name.toLowerCase(), value] as const);
  const { authorization, accesstokens, 'x-access-tokens': header } = Object.fromEntries(entries);
  const tokens = accesstokens ?? header ?? [];
  return {
    authorization: authorization == null ? undefined : String(authorization),
    accessTokens: Array.isArray(tokens) ? tokens.map(String) : splitList(String(tokens)),
  };
}

/** Bad credentials are final for a client; with expired ones, or when the fault is ours, it comes back. */
function refusalOf({ extensions, message }: GraphQLError): Closing {
  if (extensions.reason === 'TOKEN_EXPIRED') return [CloseCode.Forbidden, 'Token expired'];
  if (httpStatus(extensions.code) >= 500) return tryAgainLater;
  return [CloseCode.Unauthorized, message];
}
