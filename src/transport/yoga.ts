import type { IncomingMessage, ServerResponse } from 'node:http';
import { EnvelopArmorPlugin } from '@escape.tech/graphql-armor';
import { createYoga, type GraphQLParams, type Plugin, type YogaInitialContext } from 'graphql-yoga';
import type { Context, Services } from '../graphql/context.ts';
import type { DeliverySystem } from '../graphql/delivery.ts';
import type { MaskError } from '../graphql/errors.ts';
import { buildSchema } from '../graphql/schema.ts';
import type { Documents } from '../graphql/trusted-documents.ts';
import type { Authenticate } from '../platform/auth/authenticate.ts';
import type { Connection, Connections } from '../platform/auth/connections.ts';
import { Subscription } from '../platform/feed/subscription.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import { type GraphiqlWebSocket, graphiqlPage } from './graphiql.ts';
import { credentialsOf } from './request.ts';
import { useRequestErrors } from './request-errors.ts';
import { type StreamState, useResumableSse } from './sse.ts';
import { useTrustedDocuments } from './trusted-documents.ts';

interface Dependencies {
  readonly services: Services;
  readonly authenticate: Authenticate;
  readonly connections: Connections;
  readonly delivery: DeliverySystem;
  readonly maskError: MaskError;
  readonly documents: Documents;
  readonly limits: ConnectionLimits;
  readonly mutationLimit: Plugin;
  /** Where GraphiQL finds the WebSocket; read when its page is first asked for. */
  readonly webSocket: () => GraphiqlWebSocket | undefined;
  /** Where a request came from, as far as that is counted. */
  readonly addressOf: (request: IncomingMessage) => string | undefined;
  readonly allowedOrigins: readonly string[];
  readonly maximumBodyBytes: number;
}

/** What a transport that has a connection already passes in: the WebSocket's. */
interface SocketContext {
  readonly connection?: Connection;
  readonly params?: GraphQLParams;
  readonly address?: string | undefined;
}

/** What the node adapter passes in. */
interface NodeContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

export type Yoga = ReturnType<typeof createGraphqlServer>;

/** How large a document may be, whatever the transport. */
const documentLimits = {
  maxDepth: { n: 12 },
  maxAliases: { n: 30 },
  maxDirectives: { n: 50 },
  maxTokens: { n: 2_000 },
  costLimit: { maxCost: 10_000 },
  blockFieldSuggestion: { enabled: false },
};

/** GraphQL over HTTP and SSE; what it envelops operations in holds on WebSocket too. */
export function createGraphqlServer(deps: Dependencies) {
  const {
    webSocket,
    services,
    authenticate,
    connections,
    delivery,
    maskError,
    documents,
    limits,
    mutationLimit,
    addressOf,
    allowedOrigins,
    maximumBodyBytes,
  } = deps;
  let page: Promise<string> | undefined;
  const streams = new WeakMap<Request, StreamState>();

  /** Whose request this is: by its ticket, or by its headers. */
  async function connect({ request, params }: YogaInitialContext, { res }: NodeContext): Promise<Connection> {
    const url = new URL(request.url, 'http://localhost');
    const ticket = request.method === 'GET' ? url.searchParams.get('ticket') : null;
    const viewer = await (ticket === null
      ? authenticate(credentialsOf(request.headers))
      : services.tickets.redeem(ticket, {
          query: params.query as string,
          operationName: params.operationName,
          variables: params.variables,
        }));
    const connection = connections.open(viewer);
    const forget = ticket === null ? undefined : services.ticketStreams.begin(ticket, connection);
    const gone = () => {
      connection.closed();
      forget?.();
    };
    // The client may have gone while its credentials were looked at.
    if (res.closed) gone();
    else res.once('close', gone);
    return connection;
  }

  const yoga = createYoga<NodeContext & SocketContext, Context>({
    schema: buildSchema(),
    graphqlEndpoint: '/graphql',
    context: async (initial): Promise<Context> => {
      const base = { services, loaders: new Map() };
      if (initial.connection) {
        const { connection, address } = initial;
        return { ...base, connection, viewer: connection.viewer, address, resumeAfter: undefined };
      }
      const { request } = initial;
      const connection = await connect(initial, initial);
      const state: StreamState = { position: undefined, connection };
      streams.set(request, state);
      return {
        ...base,
        connection,
        viewer: connection.viewer,
        address: addressOf(initial.req),
        resumeAfter: request.headers.get('last-event-id') || undefined,
        onPosition: (cursor) => {
          state.position = cursor;
        },
      };
    },
    maskedErrors: { maskError },
    graphiql: !documents.areTrusted,
    renderGraphiQL: () => {
      page ??= graphiqlPage(webSocket());
      return page;
    },
    landingPage: false,
    multipart: false,
    batching: false,
    // It takes 0 as if nothing fitted.
    maxRequestBodySize: maximumBodyBytes || false,
    cors:
      allowedOrigins.length === 0
        ? false
        : {
            origin: [...allowedOrigins],
            methods: ['GET', 'POST'],
            allowedHeaders: ['authorization', 'content-type', 'x-access-tokens', 'last-event-id'],
            credentials: false,
            maxAge: 600,
          },
    logging: false,
    plugins: [
      useTrustedDocuments(documents),
      useDelivery(delivery, limits),
      mutationLimit,
      useRequestErrors(),
      EnvelopArmorPlugin(documentLimits) as Plugin,
      useResumableSse((request) => streams.get(request) as StreamState),
    ],
  });
  return Object.assign(yoga, { maskError });
}

/** Runs subscriptions, each of which is a stream over SSE, and counts as a connection. */
function useDelivery(delivery: DeliverySystem, limits: ConnectionLimits): Plugin {
  return {
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn(async (args) => {
        const { connection, address, viewer } = args.contextValue as Context;
        const release = limits.stream(address, viewer);
        connection.onOver(release);
        const started = await delivery.start(args);
        if (!(started instanceof Subscription)) return started;
        connection.onOver(() => started.end());
        return started;
      });
    },
  };
}
