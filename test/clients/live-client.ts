import type { TypedDocumentNode } from '@graphql-typed-document-node/core';

/** A client library behind what the journeys need of one. */
export interface LiveClient {
  /** Sends a query or mutation; rejects when it has errors. */
  send<Data, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ): Promise<Data>;
  /** Subscribes; answers how to end it. */
  watch<Data, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    hear: (data: Data) => void,
  ): () => void;
  dispose(): Promise<void>;
}

/** Where the server is, and the bearer token to present. */
export interface ClientOptions {
  readonly url: string;
  /** Where SSE streams are opened. */
  readonly streamUrl: string;
  readonly webSocketUrl: string;
  readonly token: string;
}

/** Throws what a client was told instead of data: a test must not go on without it. */
export function required<Data>(data: Data | null | undefined, error: unknown): Data {
  if (data == null || error) throw new Error(`No data: ${JSON.stringify(error)}`);
  return data;
}
