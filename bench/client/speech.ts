import { randomUUID } from 'node:crypto';
import type { Joining, Speech } from '../lib/messages.ts';

/** What a subscriber says while it joins, and to keep its connection. */
export interface Speaking {
  /** Where it connects to. */
  readonly target: string;
  readonly subprotocol: string | undefined;
  /** Said as soon as the socket is open; with nothing to say it has joined. */
  readonly opening: string | undefined;
  /** What it says to a message, and whether it has then joined. */
  answer(text: string): { readonly reply?: string; readonly joined?: true } | undefined;
}

/** How the subscriber of this index speaks; each has an operation id of its own. */
export const speakers: Readonly<Record<Speech, (joining: Joining, index: number) => Speaking>> = {
  raw: ({ path, ids }, index) => ({
    target: `${path}?id=${ids[index % ids.length]}`,
    subprotocol: undefined,
    opening: undefined,
    answer: () => undefined,
  }),

  graphql: ({ path, ids, tokens, query }, index) => ({
    target: path,
    subprotocol: 'graphql-transport-ws',
    opening: JSON.stringify({
      type: 'connection_init',
      ...(tokens.length > 0 && { payload: { authorization: `Bearer ${tokens[index % tokens.length]}` } }),
    }),
    answer(text) {
      const { type } = JSON.parse(text) as { type: string };
      if (type === 'ping') return { reply: JSON.stringify({ type: 'pong' }) };
      if (type !== 'connection_ack') return undefined;
      const payload = { query, variables: { id: ids[index % ids.length] } };
      return { reply: JSON.stringify({ id: randomUUID(), type: 'subscribe', payload }), joined: true };
    },
  }),

  // Engine.IO's packets (0 open, 2 ping, 3 pong, 4 message) around those of Socket.IO (0 connect).
  'socket.io': ({ path, ids }, index) => ({
    target: `${path}?EIO=4&transport=websocket&id=${ids[index % ids.length]}`,
    subprotocol: undefined,
    opening: '',
    answer(text) {
      if (text.startsWith('0')) return { reply: '40' };
      if (text === '2') return { reply: '3' };
      return text.startsWith('40') ? { joined: true } : undefined;
    },
  }),
};
