import { randomFrom } from '../support/random.ts';
import type { ClientOrder, ClientPlan, ClientReport, PlannedConnection } from './client-plan.ts';
import { type ClientFeed, createClientFeed, lastDelivered } from './feeds.ts';
import { openRecorder } from './record.ts';
import { type Connection, openSocket } from './socket-connection.ts';
import { openSources } from './source-connection.ts';
import { createTokens } from './tokens.ts';

// A client of a fault run, a process of its own: it goes on where the one before has written that it stood.
const plan = JSON.parse(process.env.FAULT_CLIENT as string) as ClientPlan;
const { recorder, earlier } = openRecorder(plan.history);
const last = lastDelivered(earlier);
const say = (report: ClientReport) => void process.send?.(report);
const now = () => ({ at: Date.now() });
recorder.write({ kind: 'started', ...now() });

const feeds = new Map<string, ClientFeed>();
const connections = plan.connections.map((planned, n) => {
  const connection = open(planned, n);
  for (const feed of planned.feeds) connection.watch(feed);
  return connection;
});

function open(planned: PlannedConnection, n: number) {
  const { name, transport, bearer, watchesJobs } = planned;
  const random = randomFrom(plan.seed + earlier.length + n);
  const tokens = createTokens(planned, plan.urls, random, ({ text }) => {
    recorder.write({ kind: 'token', connection: name, text, ...now() });
    say({ kind: 'token', connection: name, token: text });
  });
  const onOpened = (token: string) => recorder.write({ kind: 'opened', connection: name, token, ...now() });
  const options = { urls: plan.urls, tokens, random, onOpened };
  const connection: Connection = transport.startsWith('EventSource')
    ? openSources({ ...options, withTicket: transport === 'EventSource with a ticket' })
    : openSocket({ ...options, isSlow: transport === 'slow socket' });
  return {
    name,
    jobsOf: watchesJobs ? bearer.subject : undefined,
    tokens,
    renew: connection.renew,
    watch(feed: PlannedConnection['feeds'][number]) {
      const created = createClientFeed(name, feed, recorder, last);
      if (created.over || feeds.has(created.name)) return;
      feeds.set(created.name, created);
      connection.subscribe(created);
    },
  };
}

process.on('message', (order: ClientOrder) => {
  if (order.kind === 'job') {
    const watching = connections.find(({ jobsOf }) => jobsOf === order.owner);
    watching?.watch({ field: 'jobUpdated', id: order.id, from: 'START' });
  } else if (order.kind === 'shorten') {
    const shortened = connections.find(({ name }) => name === order.connection);
    shortened?.tokens.shorten();
    shortened?.renew();
  } else {
    recorder.flush();
    const positions = [...feeds.values()].map(({ name, variables }) => [name, variables.after] as const);
    say({ kind: 'positions', feeds: Object.fromEntries(positions) as Record<string, string | null> });
  }
});
process.on('disconnect', () => process.exit(1));
process.send?.('ready');
