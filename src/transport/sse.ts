import type { ExecutionResult } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { cursorOf, type DeliveredResult } from '../graphql/execution.ts';

/** What a streaming response has to know of its request. */
export interface StreamState {
  /** The cursor at which the subscription begins; set once it has started. */
  position: string | undefined;
  /** Aborted when the server ends the connection. */
  readonly signal: AbortSignal;
}

/** How often a comment keeps an idle stream alive; ms. */
const pingEveryMs = 12_000;

/** How soon a client is told to reconnect; ms. */
const retryMs = 1_000;

/** The HTTP status of a subscription that is refused: an EventSource gives up at any of them. */
const refusalStatus: Readonly<Record<string, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  UNAVAILABLE: 503,
};

/**
 * GraphQL over SSE, distinct connections, that can be resumed: each event has its cursor as `id`, which an
 * EventSource sends as `Last-Event-ID` when it reconnects. The stream begins with the id of its present
 * position and no data, so that a cut before the first event loses nothing.
 */
export function useResumableSse(stateOf: (request: Request) => StreamState | undefined): Plugin {
  return {
    onResultProcess({ request, result, acceptableMediaTypes, setResultProcessor }) {
      if (!acceptsEventStream(request) || Array.isArray(result)) return;
      const state = stateOf(request);
      acceptableMediaTypes.push('text/event-stream');
      if (isStream(result))
        setResultProcessor(
          (_result, fetchAPI) =>
            new fetchAPI.Response(encode(result, state), { headers: eventStreamHeaders }),
          'text/event-stream',
        );
      else if (isRefusal(result))
        setResultProcessor(
          (_result, fetchAPI) =>
            new fetchAPI.Response(JSON.stringify({ errors: result.errors }), {
              status: refusalStatus[String(result.errors?.[0]?.extensions.code)] ?? 400,
              headers: { 'content-type': 'application/json; charset=utf-8' },
            }),
          'text/event-stream',
        );
    },
  };
}

const eventStreamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
};

function acceptsEventStream(request: Request): boolean {
  return request.headers.get('accept')?.includes('text/event-stream') ?? false;
}

function isStream(result: unknown): result is AsyncIterable<DeliveredResult> {
  return typeof result === 'object' && result !== null && Symbol.asyncIterator in result;
}

/** Nothing was executed: the operation was refused as a whole. */
function isRefusal(result: unknown): result is ExecutionResult {
  const { errors, data } = result as ExecutionResult;
  return errors !== undefined && data === undefined;
}

function encode(results: AsyncIterable<DeliveredResult>, state: StreamState | undefined): ReadableStream {
  const iterator = results[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  let pings: NodeJS.Timeout | undefined;
  return new ReadableStream(
    {
      start(controller) {
        const position = state?.position === undefined ? '' : `id: ${state.position}\n`;
        controller.enqueue(encoder.encode(`:\n\nretry: ${retryMs}\n${position}\n`));
        pings = setInterval(() => {
          if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(':\n\n'));
        }, pingEveryMs);
      },
      async pull(controller) {
        const step = await iterator.next();
        if (!step.done) {
          controller.enqueue(encoder.encode(toEvent(step.value)));
          return;
        }
        clearInterval(pings);
        // Without `complete`, as the subscription is not over: the client reconnects.
        if (!state?.signal.aborted) controller.enqueue(encoder.encode('event: complete\ndata:\n\n'));
        controller.close();
      },
      async cancel() {
        clearInterval(pings);
        await iterator.return?.();
      },
    },
    { highWaterMark: 1 },
  );
}

function toEvent(result: DeliveredResult): string {
  const id = result[cursorOf] === undefined ? '' : `id: ${result[cursorOf]}\n`;
  return `${id}event: next\ndata: ${JSON.stringify(result)}\n\n`;
}
