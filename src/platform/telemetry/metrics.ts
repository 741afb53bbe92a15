import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export type Metrics = ReturnType<typeof createMetrics>;

/** What can be read off the running server at the moment of a scrape. */
interface Readings {
  readonly database: () => { open: number; waiting: number };
  readonly bus: () => boolean;
  readonly lightning: () => boolean;
  readonly connections: () => number;
  readonly feeds: () => { topics: number; members: number };
  readonly sockets: () => number;
  readonly waitingBytes: () => number;
}

/** The metrics in the format of Prometheus. */
export function createMetrics(readings: Readings) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('satwire_database_connections', 'Open connections to the database.', () => readings.database().open);
  gauge(
    'satwire_database_waiting',
    'Statements and transactions that wait for a connection.',
    () => readings.database().waiting,
  );
  gauge('satwire_bus_connected', 'Whether nodes wake each other: 0 while Redis is away.', () =>
    Number(readings.bus()),
  );
  gauge('satwire_lightning_reachable', 'Whether the Lightning node answered the last request.', () =>
    Number(readings.lightning()),
  );
  gauge('satwire_connections', 'Open sockets and requests.', readings.connections);
  gauge('satwire_websockets', 'Open WebSockets.', readings.sockets);
  gauge('satwire_waiting_bytes', 'Bytes that wait to be sent on all WebSockets.', readings.waitingBytes);
  gauge('satwire_feed_topics', 'Topics that somebody watches.', () => readings.feeds().topics);
  gauge('satwire_subscriptions', 'Running subscriptions.', () => readings.feeds().members);
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  return {
    registry,
    eventsAppended: counter('satwire_events_appended_total', 'Rows of the log written by this process.'),
    busPublishFailures: counter(
      'satwire_bus_publish_failures_total',
      'Wake-ups that did not get to Redis, or may not have.',
    ),
    busMalformedMessages: counter(
      'satwire_bus_malformed_messages_total',
      'Messages from Redis that were none of ours.',
    ),
    notShareable: counter(
      'satwire_executions_not_shared_total',
      'Operations that turned out to depend on who watches, and are executed for each.',
    ),
    workFailures: counter('satwire_work_failures_total', 'Attempts at durable work that failed.'),
    unexpectedErrors: counter('satwire_unexpected_errors_total', 'Errors that were masked.'),
  };
}
