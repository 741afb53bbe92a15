import { setTimeout as pause } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import type { Random } from '../support/random.ts';
import type { ClientFeed, Result } from './feeds.ts';
import type { Connection } from './socket-connection.ts';
import type { Token, Tokens } from './tokens.ts';

interface Options {
  readonly urls: readonly string[];
  readonly tokens: Tokens;
  readonly random: Random;
  /** Else the token goes into a header. */
  readonly withTicket: boolean;
  readonly onOpened: (token: string) => void;
}

/** How long it waits after a refusal that an EventSource does not try again; ms. */
const retryMs = 200;
const answerWithinMs = 3_000;

/**
 * An EventSource as it comes for each feed, which reconnects by itself with its Last-Event-ID: with a ticket to the
 * node that it began with, with a header to any. One that was refused for good is followed by a new one, behind the
 * last event.
 */
export function openSources({ urls, tokens, random, withTicket, onOpened }: Options): Connection {
  const open = new Map<ClientFeed, EventSource>();
  /** The last beginning of each feed; an earlier one that is still under way is given up. */
  const beginnings = new Map<ClientFeed, symbol>();
  const anyUrl = () => urls[random.below(urls.length)] as string;

  async function ticketOf(url: string, { id, text }: Token): Promise<string | undefined> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${text}` },
      body: JSON.stringify({ query: 'mutation { createTicket { ticket } }' }),
      signal: AbortSignal.timeout(answerWithinMs),
    });
    const { data, errors } = (await response.json()) as {
      readonly data?: { readonly createTicket: { readonly ticket: string } } | null;
      readonly errors?: readonly { readonly extensions: { readonly code: string } }[];
    };
    if (errors?.some(({ extensions }) => extensions.code === 'UNAUTHENTICATED')) tokens.refused(id);
    return data?.createTicket.ticket;
  }

  async function begin(feed: ClientFeed): Promise<void> {
    const beginning = Symbol();
    beginnings.set(feed, beginning);
    while (beginnings.get(feed) === beginning) {
      const token = await tokens.current();
      const url = anyUrl();
      const ticket = withTicket ? await ticketOf(url, token).catch(() => undefined) : '';
      if (ticket !== undefined && beginnings.get(feed) === beginning) {
        listen(feed, addressOf(url, feed, ticket), token);
        return;
      }
      await pause(retryMs);
    }
  }

  function listen(feed: ClientFeed, address: URL, token: Token): void {
    const source = withTicket
      ? new EventSource(address)
      : new EventSource(address, {
          fetch: (url, init) => {
            const headers = { ...init?.headers, authorization: `Bearer ${token.text}` };
            return fetch(new URL(new URL(url).search, anyUrl()), { ...init, headers });
          },
        });
    open.set(feed, source);
    source.addEventListener('open', () => onOpened(token.id));
    source.addEventListener('next', ({ data }) => {
      feed.hear(JSON.parse(data) as Result, token.id);
      if (!feed.over) return;
      source.close();
      open.delete(feed);
    });
    source.addEventListener('complete', () => feed.told('complete', '', token.id));
    source.addEventListener('error', async ({ code }) => {
      if (open.get(feed) !== source) return;
      if (source.readyState !== source.CLOSED) {
        feed.lost();
        return;
      }
      feed.told('close', String(code), token.id);
      if (code === 401) tokens.refused(token.id);
      await pause(retryMs);
      if (open.get(feed) === source) await begin(feed);
    });
  }

  return {
    subscribe: (feed) => void begin(feed),
    renew() {
      for (const [feed, source] of open) {
        source.close();
        open.delete(feed);
        begin(feed);
      }
    },
  };
}

function addressOf(url: string, { query, variables }: ClientFeed, ticket: string): URL {
  const address = new URL(url);
  address.searchParams.set('query', query);
  address.searchParams.set('variables', JSON.stringify(variables));
  if (ticket !== '') address.searchParams.set('ticket', ticket);
  return address;
}
