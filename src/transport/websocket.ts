import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, type ExecutionResult, GraphQLError } from 'graphql';
import { CloseCode, type ServerOptions } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import { WebSocket, WebSocketServer } from 'ws';
import { httpStatus, rootCause, UnknownEventError } from '../graphql/errors.ts';
import type { Authenticate, Credentials } from '../platform/auth/authenticate.ts';
import type { Connection, Connections, EndReason } from '../platform/auth/connections.ts';
import { isOriginAllowed, splitList, targetOf } from './request.ts';
import type { Yoga } from './yoga.ts';

interface Dependencies {
  readonly yoga: Yoga;
  readonly authenticate: Authenticate;
  readonly connections: Connections;
  readonly path: string;
  /** Where this server's own pages are, which may be on another port. */
  readonly pagePort: () => number;
  /** Where a request came from, as far as that is counted. */
  readonly addressOf: (request: IncomingMessage) => string | undefined;
  readonly allowedOrigins: readonly string[];
  readonly maximumMessageBytes: number;
  /** How many operations one socket may have running; 0 for any number. */
  readonly maximumOperations: number;
}

/** Close codes beside those of graphql-ws; clients reconnect at all of these. */
const closeCodes = { goingAway: 1001, serviceRestart: 1012, tryAgainLater: 1013 } as const;

/** How long a client may take to answer a close, before its connection is cut; ms. */
const closeWithinMs = 3_000;

const endings: Readonly<Record<EndReason, readonly [code: number, reason: string]>> = {
  TOKEN_EXPIRED: [CloseCode.Forbidden, 'Token expired'],
  TOKEN_REVOKED: [CloseCode.Unauthorized, 'Token revoked'],
  REPLACED: [closeCodes.goingAway, 'Replaced'],
  SHUTDOWN: [closeCodes.goingAway, 'Going away'],
};

/** An operation that was refused: told as an `error` message, which graphql-ws sends for what is thrown. */
class RefusedOperation extends Error {
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super('refused');
    this.errors = errors;
  }
}

interface SocketExtra extends Extra, Record<PropertyKey, unknown> {
  connection?: Connection;
}

type Options = ServerOptions<Record<string, unknown>, SocketExtra>;
type EnvelopedArgs = ExecutionArgs & {
  rootValue: { execute: (args: ExecutionArgs) => unknown; subscribe: (args: ExecutionArgs) => unknown };
};

/** graphql-transport-ws. An operation that is refused gets an `error` message, and the socket lives. */
export function createWebSocketTransport(deps: Dependencies) {
  const {
    yoga,
    authenticate,
    connections,
    path,
    pagePort,
    addressOf,
    allowedOrigins,
    maximumMessageBytes,
    maximumOperations,
  } = deps;
  const socketOptions = {
    noServer: true,
    maxPayload: maximumMessageBytes,
    closeTimeout: closeWithinMs,
    perMessageDeflate: false,
  };
  const sockets = new WebSocketServer(socketOptions);

  const options: Options = {
    async onConnect({ connectionParams, extra }) {
      try {
        const viewer = await authenticate(credentialsIn(connectionParams));
        // Who has gone meanwhile closes no second time.
        if (extra.socket.readyState !== WebSocket.OPEN) return false;
        extra.connection = connections.open(viewer, (reason) => extra.socket.close(...endings[reason]));
        return true;
      } catch (error) {
        extra.socket.close(...refusalOf(yoga.maskError(error)));
        return false;
      }
    },

    async onSubscribe({ extra, subscriptions }, _id, { query, operationName, variables }) {
      if (maximumOperations > 0 && Object.keys(subscriptions).length > maximumOperations)
        return [tooManyOperations(maximumOperations)];
      try {
        const params = {
          query,
          operationName: operationName ?? undefined,
          variables: variables ?? undefined,
        };
        const enveloped = yoga.getEnveloped({
          connection: extra.connection,
          address: addressOf(extra.request),
          params,
        });
        const document = enveloped.parse(query);
        const errors = enveloped.validate(enveloped.schema, document);
        if (errors.length > 0) return errors;
        const args: EnvelopedArgs = {
          schema: enveloped.schema,
          document,
          operationName: operationName ?? null,
          variableValues: variables ?? null,
          contextValue: await enveloped.contextFactory(),
          rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe },
        };
        return args;
      } catch (error) {
        return [yoga.maskError(error)];
      }
    },

    execute: (args) => (args as EnvelopedArgs).rootValue.execute(args) as ExecutionResult,
    subscribe: (args) => (args as EnvelopedArgs).rootValue.subscribe(args) as ExecutionResult,

    onOperation(_ctx, _id, _payload, _args, result) {
      const { errors, data } = result as ExecutionResult;
      return errors && data === undefined ? refusing(errors) : undefined;
    },

    onError({ extra }, _id, _payload, errors) {
      const cause = rootCause(errors[0]);
      if (cause instanceof RefusedOperation) return cause.errors.map((error) => error.toJSON());
      if (cause instanceof UnknownEventError)
        extra.socket.close(closeCodes.serviceRestart, 'Newer server needed');
      return undefined;
    },

    onClose({ extra }) {
      extra.connection?.closed();
    },
  };
  // Else graphql-ws puts the messages of unexpected errors into the reasons of its closes.
  const isProd = true;
  const server = useServer({ ...options, isProd } as ServerOptions<Record<string, unknown>, Extra>, sockets);

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (targetOf(request)?.pathname !== path) refuse(socket, '404 Not Found');
    else if (!isOriginAllowed(request, allowedOrigins, pagePort())) refuse(socket, '403 Forbidden');
    else sockets.handleUpgrade(request, socket, head, (ws) => begin(ws, request));
  }

  function begin(socket: WebSocket, request: IncomingMessage): void {
    sockets.emit('connection', socket, request);
    // ws closes with the right code what breaks its rules; graphql-ws would print that to the console.
    socket.removeAllListeners('error');
    socket.on('error', () => {});
  }

  return {
    /** Takes the upgrades of an HTTP server. */
    attach(http: Server): void {
      http.on('upgrade', upgrade);
    },

    get size(): number {
      return sockets.clients.size;
    },

    /** Closes every socket with 1001, and takes no more. */
    async close(): Promise<void> {
      await server.dispose();
    },
  };
}

/** Answers an upgrade that is not wanted, and closes. */
export function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function credentialsIn(params: Readonly<Record<string, unknown>> | undefined): Credentials {
  // GraphiQL sends what its headers editor has, however it is written there.
  const entries = Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
  const { authorization, accesstokens, 'x-access-tokens': header } = Object.fromEntries(entries);
  const tokens = accesstokens ?? header ?? [];
  return {
    authorization: authorization == null ? undefined : String(authorization),
    accessTokens: Array.isArray(tokens) ? tokens.map(String) : splitList(String(tokens)),
  };
}

/** Bad credentials are final for a client; with expired ones, or when the fault is ours, it comes back. */
function refusalOf({ extensions, message }: GraphQLError): [code: number, reason: string] {
  if (extensions.reason === 'TOKEN_EXPIRED') return [CloseCode.Forbidden, 'Token expired'];
  if (httpStatus(extensions.code) >= 500) return [closeCodes.tryAgainLater, 'Try again later'];
  return [CloseCode.Unauthorized, message];
}

function tooManyOperations(maximum: number): GraphQLError {
  return new GraphQLError(`At most ${maximum} operations at a time on one socket.`, {
    extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 },
  });
}

/** What graphql-ws turns into an `error` message: a stream that fails before its first result. */
function refusing(errors: readonly GraphQLError[]): AsyncIterable<ExecutionResult> {
  const next = () => Promise.reject(new RefusedOperation(errors));
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
