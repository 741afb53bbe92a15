import { afterEach } from 'vitest';
import type { As, Json } from './clients.ts';
import { until } from './until.ts';

/** One block of an event stream: its fields, and its comments under the empty name. */
export type Block = Readonly<Record<string, string>>;

/** A response that may be an event stream, as a test reads it. */
export interface RawStream {
  readonly status: number;
  readonly contentType: string | null;
  /** Every block that has a field. */
  readonly blocks: Block[];
  /** What was sent so far. */
  readonly text: string;
  readonly ended: boolean;
  /** Resolves with the data of the first `next` events. */
  events(count: number): Promise<Json[]>;
  /** Resolves once there are this many blocks. */
  count(blocks: number): Promise<Block[]>;
  /** Resolves with all that was sent, once the server has ended it. */
  end(): Promise<string>;
  /** Goes away. */
  close(): void;
}

export interface StreamOptions extends As {
  readonly headers?: Readonly<Record<string, string>>;
  readonly operationName?: string | undefined;
  /** Sent by POST unless this is true. */
  readonly get?: boolean;
  /** For GET: further parameters of the URL. */
  readonly parameters?: Readonly<Record<string, string>>;
}

const open = new Set<AbortController>();

/** Asks for an operation as an event stream. */
export async function openStream(
  url: string,
  query: string,
  variables: object = {},
  options: StreamOptions = {},
): Promise<RawStream> {
  const { token, accessTokens, headers = {}, operationName, get = false, parameters = {} } = options;
  const going = new AbortController();
  open.add(going);
  const target = new URL(url);
  if (get)
    for (const [name, value] of Object.entries({
      query,
      variables: JSON.stringify(variables),
      ...parameters,
    }))
      target.searchParams.set(name, value);
  const response = await fetch(target, {
    method: get ? 'GET' : 'POST',
    headers: {
      accept: 'text/event-stream',
      ...(get ? {} : { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(accessTokens && { 'x-access-tokens': accessTokens.join(',') }),
      ...headers,
    },
    ...(!get && { body: JSON.stringify({ query, variables, operationName }) }),
    signal: going.signal,
  });

  let text = '';
  let ended = false;
  async function read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
      text += decoder.decode(chunk, { stream: true });
  }
  read()
    .catch(() => {})
    .finally(() => {
      ended = true;
    });

  const stream: RawStream = {
    status: response.status,
    contentType: response.headers.get('content-type'),
    get blocks() {
      return text
        .split('\n\n')
        .slice(0, -1)
        .map(parseBlock)
        .filter((block) => Object.keys(block).length > 0);
    },
    get text() {
      return text;
    },
    get ended() {
      return ended;
    },
    async events(count) {
      const next = () => stream.blocks.filter(({ event }) => event === 'next');
      await until(`${count} events`, () => next().length >= count);
      return next().map(({ data }) => JSON.parse(data as string));
    },
    count: (count) =>
      until(`${count} blocks`, () => (stream.blocks.length >= count ? stream.blocks : undefined)),
    async end() {
      await until('the end of the stream', () => ended);
      return text;
    },
    close: () => going.abort(),
  };
  return stream;
}

function parseBlock(block: string): Block {
  const fields = block
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(':'))
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
  return Object.fromEntries(fields);
}

afterEach(() => {
  for (const going of open) going.abort();
  open.clear();
});
