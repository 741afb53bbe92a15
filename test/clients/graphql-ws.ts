import { print } from 'graphql';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type ClientOptions, type LiveClient, required } from './live-client.ts';

/** The client of graphql-ws alone: everything goes over its socket. */
export function createGraphqlWsClient({ webSocketUrl, token }: ClientOptions): LiveClient {
  const client = createClient({
    url: webSocketUrl,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
  });
  return {
    async send(document, variables) {
      for await (const { data, errors } of client.iterate({ query: print(document), variables }))
        return required(data, errors) as never;
      throw new Error('The operation ended without a result.');
    },
    watch(document, variables, hear) {
      return client.subscribe(
        { query: print(document), variables },
        {
          next: ({ data, errors }) => hear(required(data, errors) as never),
          error: (error) => {
            throw new Error(`The subscription was refused: ${JSON.stringify(error)}`);
          },
          complete: () => {},
        },
      );
    },
    dispose: async () => client.dispose(),
  };
}
