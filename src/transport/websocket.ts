import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  CloseCode,
  GRAPHQL_TRANSPORT_WS_PROTOCOL,
  type WebSocket as GraphqlSocket,
  makeServer,
} from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Services } from '../graphql/context.ts';
import type { DeliverySystem } from '../graphql/delivery.ts';
import type { Documents } from '../graphql/trusted-documents.ts';
import type { Connections } from '../platform/auth/connections.ts';
import { Bucket, type TimedRate } from '../platform/limits/rate.ts';
import { type ConnectionLimits, refusedUpgradeResponse } from './connection-limits.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createOutboxes, type OutboxLimits } from './outbox.ts';
import { refreshedPong, refusedPong, tokenInPing } from './ping.ts';
import { isOriginAllowed, targetOf } from './request.ts';
import { type Closing, Socket } from './socket.ts';
import { createSocketConnections, goingAway } from './socket-connections.ts';
import { createSocketOperations, type Options } from './socket-operations.ts';
import type { Yoga } from './yoga.ts';

interface Dependencies {
  readonly services: Services;
  readonly yoga: Yoga;
  readonly delivery: DeliverySystem;
  readonly documents: Documents;
  readonly authenticate: Parameters<typeof createSocketConnections>[0]['authenticate'];
  readonly reconnectTickets: Parameters<typeof createSocketConnections>[0]['reconnectTickets'];
  readonly connections: Connections;
  readonly limits: ConnectionLimits;
  readonly path: string;
  /** Where this server's own pages are, which may be on another port. */
  readonly pagePort: () => number;
  /** Where a request came from, as far as that is counted. */
  readonly addressOf: (request: IncomingMessage) => string | undefined;
  readonly allowedOrigins: readonly string[];
  /** The largest message taken from a client; bytes, 0 for any. */
  readonly maximumMessageBytes: number;
  /** How many operations one socket may have running; 0 for any number. */
  readonly maximumOperations: number;
  /** How many messages one socket may send; an amount of 0 for any number. */
  readonly messageRate: TimedRate;
  readonly outboxLimits: OutboxLimits;
  /** A socket without any operation for this long is closed; ms, 0 for never. */
  readonly idleMs: number;
  readonly hears: SocketHearer;
}

/** What hears of sockets, to count and to log. */
interface SocketHearer {
  opened(): void;
  /** By this code, the server's own where it has closed. */
  closed(code: number): void;
  /** A frame, or the line, that was broken. */
  failed(error: unknown): void;
}

/** How long a client may take to answer a close, before its connection is cut; ms. */
const closeWithinMs = 3_000;

/** In how many fragments a message may come. */
const maximumFragments = 64;

const tooManyMessages: Closing = [4430, 'Too many messages'];
const unexpectedMessage: Closing = [CloseCode.BadRequest, 'Invalid message received'];
const internalError: Closing = [CloseCode.InternalServerError, 'Internal server error'];

const socketOf: unique symbol = Symbol('the socket of a WebSocket');

interface OwnedWebSocket extends WebSocket {
  [socketOf]: Socket;
}

/** A socket as graphql-ws takes it. A class and not closures, as there are tens of thousands. */
class Speaker implements GraphqlSocket {
  readonly #socket: Socket;
  readonly #answerPing: (socket: Socket, payload: unknown) => Promise<void>;

  constructor(socket: Socket, answerPing: (socket: Socket, payload: unknown) => Promise<void>) {
    this.#socket = socket;
    this.#answerPing = answerPing;
  }

  get protocol(): string {
    return this.#socket.webSocket.protocol;
  }

  send(text: string): void {
    this.#socket.sendText(text);
  }

  close(code: number = CloseCode.InternalServerError, reason = ''): void {
    this.#socket.close([code, reason]);
  }

  onMessage(hear: (text: string) => Promise<void>): void {
    this.#socket.hear = hear;
  }

  onPing(payload: unknown): Promise<void> {
    return this.#answerPing(this.#socket, payload);
  }
}

/** graphql-transport-ws. An operation that is refused gets an `error` message, and the socket lives. */
export function createWebSocketTransport(deps: Dependencies) {
  const { services, yoga, limits, path, pagePort, addressOf, allowedOrigins } = deps;
  const { maximumMessageBytes, messageRate, idleMs, hears } = deps;
  const socketOptions = {
    noServer: true,
    maxPayload: maximumMessageBytes,
    maxFragments: maximumFragments,
    closeTimeout: closeWithinMs,
    perMessageDeflate: false,
    // An id that is completed and used again in one go would be taken for the one before.
    allowSynchronousEvents: false,
    handleProtocols: (named: ReadonlySet<string>) =>
      named.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) ? GRAPHQL_TRANSPORT_WS_PROTOCOL : (false as const),
  };
  const sockets = new WebSocketServer(socketOptions);
  const outboxes = createOutboxes(deps.outboxLimits);
  const heartbeat = createHeartbeat({ idleMs });
  const operations = createSocketOperations(deps);
  const socketConnections = createSocketConnections({
    ...deps,
    maskError: yoga.maskError,
    authorize: operations.authorize,
  });

  const options: Options = {
    // The heartbeat sees to it, with one timer for all sockets.
    connectionInitWaitTimeout: 0,

    onConnect(context) {
      const { connectionParams, extra } = context;
      extra.socket.isGreeted = true;
      // They would be kept as long as the socket, with a token in plain text.
      (context as { connectionParams: unknown }).connectionParams = undefined;
      return socketConnections.open(extra.socket, connectionParams ?? {});
    },
    ...operations.hooks,
  };
  const server = makeServer(options);

  function upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    if (request.url !== path && targetOf(request)?.pathname !== path) refuse(stream, '404 Not Found');
    else if (!isOriginAllowed(request, allowedOrigins, pagePort())) refuse(stream, '403 Forbidden');
    else accept(request, stream, head);
  }

  function accept(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const address = addressOf(request);
    const counted = limits.upgrade(address);
    if (typeof counted !== 'function') {
      answerAndClose(stream, refusedUpgradeResponse(counted));
      return;
    }
    let hasBegun = false;
    sockets.handleUpgrade(request, stream, head, (webSocket) => {
      hasBegun = true;
      begin(webSocket, stream, address, counted);
    });
    // It was no upgrade, or nobody waits for the answer any more.
    if (!hasBegun) counted();
  }

  function begin(
    webSocket: WebSocket,
    stream: Duplex,
    address: string | undefined,
    counted: () => void,
  ): void {
    const messages = messageRate.amount > 0 ? new Bucket(messageRate) : undefined;
    const socket = new Socket({ webSocket, stream, outboxes, messages, address });
    socket.onGone(counted);
    heartbeat.add(socket);
    Object.assign(webSocket, { [socketOf]: socket });
    webSocket.on('message', onMessage);
    webSocket.on('pong', onPong);
    webSocket.on('close', onClose);
    // ws closes with the right code what breaks its rules.
    webSocket.on('error', hears.failed);
    hears.opened();
    socket.closed = server.opened(new Speaker(socket, answerPing), { socket });
  }

  // Functions of all sockets, and not closures of each.
  function onMessage(this: WebSocket, data: unknown): void {
    const socket = (this as OwnedWebSocket)[socketOf];
    socket.isAlive = true;
    // Who was told to go may do nothing more here, however long the line lasts.
    if (!socket.isOpen) return;
    if (socket.messages && !socket.messages.take()) {
      socket.close(tooManyMessages);
      return;
    }
    socket.hear?.(String(data)).catch((error) => {
      // The one thing that graphql-ws throws because of a client: a message that only a server sends.
      const isClients = error instanceof Error && error.message.startsWith('Unexpected message of type');
      if (!isClients) yoga.maskError(error);
      socket.close(isClients ? unexpectedMessage : internalError);
    });
  }

  function onPong(this: WebSocket): void {
    (this as OwnedWebSocket)[socketOf].isAlive = true;
  }

  function onClose(this: WebSocket, code: number, reason: Buffer): void {
    const socket = (this as OwnedWebSocket)[socketOf];
    heartbeat.remove(socket);
    socket.gone();
    socket.closed?.(code, String(reason));
    hears.closed(socket.closedWith ?? code);
  }

  /** A ping may bring a new token; any other is answered with what it brought. */
  async function answerPing(socket: Socket, payload: unknown): Promise<void> {
    const token = tokenInPing(payload);
    const answer =
      token === undefined || !socket.connection
        ? payload
        : await services
            .refresh(socket.connection, token)
            .then(refreshedPong, (error) => refusedPong(yoga.maskError(error)));
    socket.sendText(JSON.stringify({ type: 'pong', ...(answer !== undefined && { payload: answer }) }));
  }

  return {
    /** Takes the upgrades of an HTTP server. */
    attach(http: Server): void {
      http.on('upgrade', upgrade);
    },

    get size(): number {
      return sockets.clients.size;
    },

    /** How many messages were sent, to all sockets. */
    get messages(): number {
      return outboxes.messages;
    },

    /** How much waits to be sent on all sockets; bytes. */
    get waitingBytes(): number {
      return outboxes.waitingBytes;
    },

    /** Closes every socket with 1001, and takes no more. */
    async close(): Promise<void> {
      heartbeat.close();
      for (const webSocket of sockets.clients) (webSocket as OwnedWebSocket)[socketOf].close(goingAway);
      await new Promise<void>((resolve) => {
        sockets.close(() => resolve());
      });
    },
  };
}

const ignore = () => {};

/** Answers an upgrade that is not wanted, and closes. */
export function refuse(stream: Duplex, status: string): void {
  answerAndClose(stream, `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function answerAndClose(stream: Duplex, response: string): void {
  stream.on('error', ignore);
  stream.end(response);
}
