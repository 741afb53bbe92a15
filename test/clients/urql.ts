import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient, type Sink } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type ClientOptions, type LiveClient, required } from './live-client.ts';

/** urql: subscriptions over graphql-ws, the rest over HTTP. */
export function createUrqlClient({ url, webSocketUrl, token }: ClientOptions): LiveClient {
  const authorization = `Bearer ${token}`;
  const socket = createClient({
    url: webSocketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
  });
  const client = new Client({
    url,
    fetchOptions: { headers: { authorization } },
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink as Sink) }),
        }),
      }),
    ],
  });
  return {
    async send(document, variables) {
      const { data, error } = await client.mutation(document, variables).toPromise();
      return required(data, error);
    },
    watch(document, variables, hear) {
      const running = client
        .subscription(document, variables)
        .subscribe(({ data, error }) => hear(required(data, error)));
      return () => running.unsubscribe();
    },
    dispose: async () => socket.dispose(),
  };
}
