import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Random } from '../support/random.ts';
import { type ClientFeed, codesOf, type Result } from './feeds.ts';
import type { Tokens } from './tokens.ts';

/** A connection of a client, with its feeds. */
export interface Connection {
  subscribe(feed: ClientFeed): void;
  /** Leaves, and comes back with the token that is current then. */
  renew(): void;
}

interface Options {
  readonly urls: readonly string[];
  readonly tokens: Tokens;
  readonly random: Random;
  readonly isSlow: boolean;
  readonly onOpened: (token: string) => void;
}

/** How a slow reader reads: for so long, then for so long not; ms. */
const readsForMs = 100;
const restsForMs = 900;
/** The client waits for this long, and up to as long again, before it comes back; ms. */
const retryMs = 100;
/** What is fatal to a client of graphql-ws, and what says that the token has expired. */
const unauthorized = 4401;
const forbidden = 4403;

/**
 * A client of graphql-ws as it comes, which goes to any node, and whose `variables.after` is kept up to date. When the
 * server has refused it for good, there is a new one with a new token.
 */
export function openSocket({ urls, tokens, random, isSlow, onOpened }: Options): Connection {
  const feeds = new Set<ClientFeed>();
  let token = '';
  let socket: WebSocket | undefined;
  let client = connect();

  function connect() {
    return createClient({
      url: () => urls[random.below(urls.length)]?.replace('http', 'ws') as string,
      webSocketImpl: WebSocket,
      retryAttempts: Number.POSITIVE_INFINITY,
      // Also what fails before there is a connection.
      shouldRetry: () => true,
      retryWait: () => pause(retryMs + random.below(retryMs)),
      connectionParams: async () => {
        const { id, text } = await tokens.current();
        token = id;
        return { authorization: `Bearer ${text}` };
      },
      on: {
        opened(opened) {
          socket = opened as WebSocket;
          if (isSlow) readSlowly(socket);
        },
        connected: () => onOpened(token),
        closed(event) {
          const { code } = event as { readonly code: number };
          if (code === unauthorized || code === forbidden) tokens.refused(token);
        },
      },
    });
  }

  function begin(feed: ClientFeed): void {
    const mine = client;
    const leave = mine.subscribe(
      { query: feed.query, variables: feed.variables },
      {
        next(result) {
          feed.hear(result as Result, token);
          if (!feed.over) return;
          feeds.delete(feed);
          leave();
        },
        error: (error) => refused(feed, error, mine),
        complete() {
          if (!feed.over && mine === client) feed.told('complete', '', token);
        },
      },
    );
  }

  async function refused(feed: ClientFeed, error: unknown, by: typeof client): Promise<void> {
    if (by !== client) return;
    const errors = Array.isArray(error) ? (error as Result['errors']) : undefined;
    const code = errors ? codesOf(errors) : String((error as { code?: unknown }).code ?? error);
    feed.told(errors ? 'error' : 'close', code, token);
    if (errors) {
      await pause(retryMs);
      if (by === client) begin(feed);
    } else restart();
  }

  function restart(): void {
    client = connect();
    for (const feed of feeds) begin(feed);
  }

  return {
    subscribe(feed) {
      feeds.add(feed);
      begin(feed);
    },
    renew: () => socket?.terminate(),
  };
}

function readSlowly(socket: WebSocket): void {
  let timer = setTimeout(rest, readsForMs);
  socket.once('close', () => clearTimeout(timer));
  function rest(): void {
    socket.pause();
    timer = setTimeout(read, restsForMs);
  }
  function read(): void {
    socket.resume();
    timer = setTimeout(rest, readsForMs);
  }
}
