import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { EventSource } from 'eventsource';
import { print } from 'graphql';
import { CreateTicketDocument } from '../gql/graphql.ts';
import { type ClientOptions, type LiveClient, required } from './live-client.ts';

/** An EventSource with a ticket, as a page in a browser would have it; the rest goes over fetch. */
export function createEventSourceClient({ url, streamUrl, token }: ClientOptions): LiveClient {
  const open = new Set<EventSource>();

  async function send<Data, Variables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ): Promise<Data> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: print(document), variables }),
    });
    const { data, errors } = (await response.json()) as { data?: Data; errors?: unknown };
    return required(data, errors);
  }

  async function connect(
    document: TypedDocumentNode<unknown, never>,
    variables: unknown,
    hear: (data: never) => void,
    isWanted: () => boolean,
  ): Promise<EventSource | undefined> {
    const { createTicket } = await send(CreateTicketDocument, {});
    if (!isWanted()) return undefined;
    const address = new URL(streamUrl);
    address.searchParams.set('query', print(document));
    address.searchParams.set('variables', JSON.stringify(variables));
    address.searchParams.set('ticket', createTicket.ticket);
    const source = new EventSource(address);
    open.add(source);
    source.addEventListener('next', (event) => {
      const { data, errors } = JSON.parse(event.data);
      hear(required(data, errors) as never);
    });
    return source;
  }

  return {
    send,
    watch(document, variables, hear) {
      let wanted = true;
      const connecting = connect(document as never, variables, hear, () => wanted);
      return () => {
        wanted = false;
        connecting.then((source) => source?.close());
      };
    },
    async dispose() {
      for (const source of open) source.close();
    },
  };
}
