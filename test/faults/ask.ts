import { setTimeout as pause } from 'node:timers/promises';
import type { Json } from '../support/clients.ts';

/** Sends operations to nodes that may fail, until one of them has answered. */
export interface Asker {
  /** A mutation has a key, which makes it one, however often it is sent; throws at a refusal. */
  ask(query: string, variables: Record<string, unknown>, token: string): Promise<Json>;
  /** Posts to a development route until it is done; answers the body. */
  post(path: string, body?: object): Promise<Json>;
  /** Whoever still waits for an answer gets none. */
  close(): void;
}

const answerWithinMs = 3_000;
const retryMs = 50;

/** Asks one node after the other. */
export function createAsker(urls: readonly string[]): Asker {
  let turn = 0;
  let closed = false;

  /** What the first node answers that answers at all, and not that it cannot now. */
  async function insist(
    send: (url: string, signal: AbortSignal) => Promise<Json | undefined>,
  ): Promise<Json> {
    while (!closed) {
      turn += 1;
      const url = urls[turn % urls.length] as string;
      const answer = await send(url, AbortSignal.timeout(answerWithinMs)).catch((error: unknown) => {
        if (error instanceof RefusedError) throw error;
        return undefined;
      });
      if (answer !== undefined) return answer;
      await pause(retryMs);
    }
    throw new Error('The run is over.');
  }

  return {
    ask: (query, variables, token) =>
      insist(async (url, signal) => {
        const response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: JSON.stringify({ query, variables }),
          signal,
        });
        const { data, errors } = (await response.json()) as { data?: Json; errors?: Json[] };
        if (!errors) return data;
        if (errors.every(({ extensions }) => extensions?.code === 'UNAVAILABLE')) return undefined;
        throw new RefusedError(
          `${JSON.stringify(errors)} at ${query.trim()} with ${JSON.stringify(variables)}`,
        );
      }),
    post: (path, body) =>
      insist(async (url, signal) => {
        const response = await fetch(new URL(path, url), {
          method: 'POST',
          ...(body && { body: JSON.stringify(body) }),
          signal,
        });
        return response.ok ? ((await response.json()) as Json) : undefined;
      }),
    close() {
      closed = true;
    },
  };
}

/** A node has refused what it must not refuse. */
class RefusedError extends Error {
  override readonly name = 'RefusedError';
}
