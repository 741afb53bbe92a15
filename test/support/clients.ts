import { type ClientOptions, createClient, type Client as SocketClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { until } from './until.ts';

/** A value of a result, which tests walk through freely. */
export type Json = any;

export interface GraphqlError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly code: string; readonly [name: string]: unknown };
}

export interface Result {
  readonly data?: Json | null;
  readonly errors?: readonly GraphqlError[];
}

/** How an operation authenticates: by a bearer token, and further access tokens. */
export interface As {
  readonly token?: string | undefined;
  readonly accessTokens?: readonly string[];
}

/** What a subscription has received so far. */
export interface Received {
  readonly results: Result[];
  /** The data of the root field of each result. */
  readonly events: Json[];
  readonly errors: readonly GraphqlError[] | undefined;
  readonly ended: boolean;
  /** Resolves once there are this many events. */
  count(events: number): Promise<Json[]>;
  /** Resolves with the first event of a type. */
  event(typename: string): Promise<Json>;
  unsubscribe(): void;
}

export type Clients = ReturnType<typeof createClients>;

/** Real clients of a running server. */
export function createClients(url: string, webSocketUrl: string | undefined) {
  const sockets: SocketClient[] = [];

  /** Sends an operation over HTTP. */
  async function send(query: string, variables: Record<string, unknown> = {}, as: As = {}): Promise<Result> {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(as.token !== undefined && { authorization: `Bearer ${as.token}` }),
        ...(as.accessTokens && { 'x-access-tokens': as.accessTokens.join(', ') }),
      },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as Result;
  }

  /** A graphql-ws client. */
  function socket(as: As = {}, options: Partial<ClientOptions> = {}): SocketClient {
    const client = createClient({
      url: webSocketUrl as string,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      onNonLazyError: () => {},
      connectionParams: {
        ...(as.token !== undefined && { authorization: `Bearer ${as.token}` }),
        ...(as.accessTokens && { accessTokens: as.accessTokens }),
      },
      ...options,
    });
    sockets.push(client);
    return client;
  }

  return {
    send,
    socket,

    /** Sends an operation over HTTP, and answers its data; fails when it has errors. */
    async ask(query: string, variables: Record<string, unknown> = {}, as: As = {}): Promise<Json> {
      const { data, errors } = await send(query, variables, as);
      if (errors || !data) throw new Error(JSON.stringify(errors));
      return data;
    },

    /** A development token of a user. */
    async token(sub: string, roles: readonly string[] = ['USER'], expiresInSeconds = 3600): Promise<string> {
      const response = await fetch(new URL('/dev/token', url), {
        method: 'POST',
        body: JSON.stringify({ sub, roles, expiresInSeconds }),
      });
      return ((await response.json()) as { token: string }).token;
    },

    /** Pays an invoice of the stub Lightning backend. */
    async pay(paymentHash: string): Promise<void> {
      const response = await fetch(new URL(`/dev/stub/pay/${paymentHash}`, url), { method: 'POST' });
      if (!response.ok) throw new Error(`Paying answered ${response.status}.`);
    },

    /** Subscribes over a WebSocket of its own, or the one given. */
    watch(
      query: string,
      variables: Record<string, unknown>,
      as: As & { readonly socket?: SocketClient } = {},
    ): Received {
      const client = as.socket ?? socket(as);
      const results: Result[] = [];
      const events: Json[] = [];
      const state = { errors: undefined as readonly GraphqlError[] | undefined, ended: false };
      const unsubscribe = client.subscribe(
        { query, variables },
        {
          next(result) {
            results.push(result as unknown as Result);
            if (result.data) events.push(Object.values(result.data)[0] as Json);
          },
          error(error) {
            state.errors = Array.isArray(error) ? error : [error as GraphqlError];
            state.ended = true;
          },
          complete() {
            state.ended = true;
          },
        },
      );
      return {
        results,
        events,
        get errors() {
          return state.errors;
        },
        get ended() {
          return state.ended;
        },
        count: (wanted) => until(`${wanted} events`, () => (events.length >= wanted ? events : undefined)),
        event: (typename) =>
          until(`a ${typename}`, () => events.find((event) => event.__typename === typename)),
        unsubscribe,
      };
    },

    async dispose(): Promise<void> {
      for (const client of sockets)
        await Promise.resolve(client.dispose()).catch((reason) => {
          // Its last operation has ended in this moment, and the client has closed the connection by itself.
          if (reason?.code !== 1_000) throw reason;
        });
    },
  };
}
