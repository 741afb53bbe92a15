import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type ClientOptions, type LiveClient, required } from './live-client.ts';

/** Apollo Client: subscriptions over graphql-ws, the rest over HTTP. */
export function createApolloClient({ url, webSocketUrl, token }: ClientOptions): LiveClient {
  const authorization = `Bearer ${token}`;
  const socket = createClient({
    url: webSocketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
  });
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      new HttpLink({ uri: url, headers: { authorization } }),
    ),
  });
  return {
    async send(mutation, variables) {
      const { data, error } = await client.mutate({ mutation, variables } as ApolloClient.MutateOptions);
      return required(data, error) as never;
    },
    watch(query, variables, hear) {
      // An event that is in two feeds has one id and two cursors, which a normalised cache would mix up.
      const options = { query, variables, fetchPolicy: 'no-cache' } as ApolloClient.SubscribeOptions;
      const running = client
        .subscribe(options)
        .subscribe(({ data, error }) => hear(required(data, error) as never));
      return () => running.unsubscribe();
    },
    async dispose() {
      client.stop();
      await socket.dispose();
    },
  };
}
