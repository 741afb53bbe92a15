import type { ExecutionResult, GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Frame } from '../graphql/delivery.ts';
import { httpStatus, rootCause, UnknownEventError } from '../graphql/errors.ts';
import type { Connection } from '../platform/auth/connections.ts';

/** What a streaming response has to know of its request. */
export interface StreamState {
  /** The cursor at which the subscription begins; set once it has started. */
  position: string | undefined;
  /** When it is over, the subscription is too. */
  readonly connection: Connection;
}

/** How soon a client is told to reconnect; ms. */
const retryMs = 1_000;

/**
 * GraphQL over SSE, distinct connections, that can be resumed: each event has its cursor as `id`, which an
 * EventSource sends as `Last-Event-ID` when it reconnects. The stream begins with the id of its present
 * position and no data, so that a cut before the first event loses nothing. A comment every `pingEveryMs` keeps
 * an idle stream alive.
 */
export function useResumableSse(stateOf: (request: Request) => StreamState, pingEveryMs = 12_000): Plugin {
  return {
    onResultProcess({ request, result, resultProcessor, setResultProcessor }) {
      // Yoga itself has found out whether the client takes a stream.
      if (isStream(result) && resultProcessor)
        setResultProcessor(
          (_result, fetchAPI) =>
            new fetchAPI.Response(encode(result, stateOf(request), pingEveryMs), {
              headers: eventStreamHeaders,
            }),
          'text/event-stream',
        );
      else if (isRefusal(result) && (result.errors[0].path || acceptsEventStream(request)))
        setResultProcessor(
          (_result, fetchAPI) =>
            new fetchAPI.Response(JSON.stringify({ errors: result.errors }), {
              status: statusOf(result.errors[0]),
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
  return String(request.headers.get('accept')).includes('text/event-stream');
}

function isStream(result: unknown): result is AsyncIterable<Frame | ExecutionResult> {
  return typeof result === 'object' && result !== null && Symbol.asyncIterator in result;
}

/** Nothing was executed: the operation was refused as a whole. */
function isRefusal(result: unknown): result is { readonly errors: readonly [GraphQLError] } {
  const { errors, data } = result as ExecutionResult;
  return errors !== undefined && data === undefined;
}

function statusOf({ extensions: { code, http } }: GraphQLError): number {
  return (http as { readonly status: number } | undefined)?.status ?? httpStatus(code);
}

function encode(
  results: AsyncIterable<Frame | ExecutionResult>,
  { position, connection }: StreamState,
  pingEveryMs: number,
): ReadableStream {
  const iterator = results[Symbol.asyncIterator]();
  let pings: NodeJS.Timeout | undefined;
  return new ReadableStream(
    {
      start(controller) {
        const id = position === undefined ? '' : `id: ${position}\n`;
        controller.enqueue(Buffer.from(`:\n\nretry: ${retryMs}\n${id}\n`));
        if (connection.isOver) return;
        pings = setInterval(() => {
          if (Number(controller.desiredSize) > 0) controller.enqueue(Buffer.from(':\n\n'));
        }, pingEveryMs);
        // A client that is gone without having read all of it asks for no more.
        connection.onOver(() => clearInterval(pings));
      },
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (!done && !needsNewerServer(value)) {
          controller.enqueue('payload' in value ? eventOf(value) : Buffer.from(errorEvent(value)));
          return;
        }
        clearInterval(pings);
        // Without `complete` where the subscription is not over: the client reconnects.
        if (done && !connection.isOver) controller.enqueue(Buffer.from('event: complete\ndata:\n\n'));
        controller.close();
      },
    },
    { highWaterMark: 1 },
  );
}

function needsNewerServer(value: Frame | ExecutionResult): boolean {
  return 'errors' in value && rootCause(value.errors?.[0]) instanceof UnknownEventError;
}

/** What has been written for one stream is written for all that are sent the same. */
const written = new WeakMap<Frame, Uint8Array>();

function eventOf(frame: Frame): Uint8Array {
  const known = written.get(frame);
  if (known) return known;
  const event = Buffer.from(`id: ${frame.cursor}\nevent: next\ndata: ${frame.payload}\n\n`, 'latin1');
  written.set(frame, event);
  return event;
}

function errorEvent(result: ExecutionResult): string {
  return `event: next\ndata: ${JSON.stringify(result)}\n\n`;
}
