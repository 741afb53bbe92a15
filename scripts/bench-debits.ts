import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { EventSource } from 'eventsource';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { quantile } from './lib/distribution.ts';
import { startServer } from './lib/server.ts';

/**
 * How long after a debit is sent its event is on a WebSocket and on an SSE stream, beside the time that the
 * smallest query takes on the same server in the same run.
 */
const DEBITS = 300;

const dataDir = await mkdtemp(join(tmpdir(), 'satwire-latency-'));
const { url, stop } = await startServer(dataDir);

async function send(query: string, variables: object, token: string) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function developmentToken(roles: readonly string[]): Promise<string> {
  const response = await fetch(`${url}/dev/token`, {
    method: 'POST',
    body: JSON.stringify({ sub: 'latency', roles }),
  });
  return (await response.json()).token;
}

const token = await developmentToken(['USER', 'SERVICE']);
const opened = await send(
  'mutation ($input: OpenSessionInput!) { openSession(input: $input) { session { id depositInvoice { paymentHash } } } }',
  { input: { depositSats: 10_000, idempotencyKey: randomUUID() } },
  token,
);
const { id, depositInvoice } = opened.openSession.session;
await fetch(`${url}/dev/stub/pay/${depositInvoice.paymentHash}`, { method: 'POST' });

const debited = 'subscription ($id: ID!) { sessionDebited(id: $id) { memo balanceAfter } }';
const arrivals = { WebSocket: new Map<string, number>(), SSE: new Map<string, number>() };
const arrived = (on: keyof typeof arrivals, memo: string) => arrivals[on].set(memo, performance.now());

const socket = createClient({
  url: `${url.replace('http', 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${token}` },
});
socket.subscribe<{ sessionDebited: { memo: string } }>(
  { query: debited, variables: { id } },
  {
    next: ({ data }) => data && arrived('WebSocket', data.sessionDebited.memo),
    error: (error) => console.error(error),
    complete: () => {},
  },
);
const { createTicket } = await send('mutation { createTicket { ticket } }', {}, token);
const parameters = new URLSearchParams({
  query: debited,
  variables: JSON.stringify({ id }),
  ticket: createTicket.ticket,
});
const source = new EventSource(`${url}/graphql?${parameters}`);
source.addEventListener('next', ({ data }) => arrived('SSE', JSON.parse(data).data.sessionDebited.memo));
await new Promise((resolve) => source.addEventListener('open', resolve));

const debit = 'mutation ($input: DebitSessionInput!) { debitSession(input: $input) { id } }';
const pay = (memo: string) =>
  send(debit, { input: { sessionId: id, amountSats: 1, memo, idempotencyKey: randomUUID() } }, token);
const everywhere = (memo: string) => Object.values(arrivals).every((memos) => memos.has(memo));

// The streams are live once a debit has come out of both.
for (let probe = 0; !everywhere(`probe ${probe - 1}`); probe += 1) {
  await pay(`probe ${probe}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
}

const times: Record<string, number[]> = {
  'smallest query': [],
  'debit answered': [],
  WebSocket: [],
  SSE: [],
};
for (let count = 0; count < DEBITS; count += 1) {
  const idle = performance.now();
  await send('{ __typename }', {}, token);
  times['smallest query']?.push(performance.now() - idle);
  const begin = performance.now();
  await pay(String(count));
  times['debit answered']?.push(performance.now() - begin);
  while (!everywhere(String(count))) await new Promise((resolve) => setImmediate(resolve));
  for (const [on, memos] of Object.entries(arrivals))
    times[on]?.push((memos.get(String(count)) as number) - begin);
}

const base = quantile(times['smallest query'] as number[], 0.5);
console.table(
  Object.entries(times).map(([what, values]) => ({
    what,
    'p50 ms': quantile(values, 0.5).toFixed(1),
    'p99 ms': quantile(values, 0.99).toFixed(1),
    'max ms': Math.max(...values).toFixed(1),
    'p50 times the smallest query': (quantile(values, 0.5) / base).toFixed(2),
  })),
);
source.close();
await socket.dispose();
await stop();
await rm(dataDir, { recursive: true });
