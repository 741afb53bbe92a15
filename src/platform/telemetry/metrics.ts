import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export type Metrics = ReturnType<typeof createMetrics>;

/** What can be read off the running server at the moment of a scrape. */
interface Readings {
  readonly database: () => { open: number; waiting: number };
  readonly bus: () => boolean;
  readonly lightning: () => boolean;
  readonly backendBalance: () => Promise<number>;
  readonly liabilities: () => Promise<number>;
  readonly connections: () => number;
  readonly feeds: () => { topics: number; members: number };
  readonly sockets: () => number;
  readonly waitingBytes: () => number;
  readonly socketMessages: () => number;
}

/** The metrics in the format of Prometheus. */
export function createMetrics(readings: Readings) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await read());
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
  gauge(
    'satwire_backend_balance_sats',
    'What the Lightning node holds; NaN while that is not known.',
    readings.backendBalance,
  );
  gauge(
    'satwire_liabilities_sats',
    'What is owed to everyone: all that the Lightning node must be able to pay.',
    readings.liabilities,
  );
  gauge('satwire_connections', 'Open sockets and requests.', readings.connections);
  gauge('satwire_websockets', 'Open WebSockets.', readings.sockets);
  gauge('satwire_waiting_bytes', 'Bytes that wait to be sent on all WebSockets.', readings.waitingBytes);
  gauge('satwire_feed_topics', 'Topics that somebody watches.', () => readings.feeds().topics);
  gauge('satwire_subscriptions', 'Running subscriptions.', () => readings.feeds().members);
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  new Counter({
    name: 'satwire_websocket_messages_total',
    help: 'Messages sent over WebSockets.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(readings.socketMessages());
    },
  });
  return {
    registry,
    webSocketConnections: counter('satwire_websocket_connections_total', 'WebSockets that were opened.'),
    webSocketDropped: counter(
      'satwire_websocket_dropped_total',
      'WebSockets that were closed with 1013, as their clients did not read.',
    ),
    webSocketErrors: counter(
      'satwire_websocket_errors_total',
      'WebSockets that broke the protocol, or failed by a mistake of ours.',
    ),
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
    inboxFailed: counter(
      'satwire_inbox_failed_total',
      'Deliveries and events of the settlement queue that could not be processed, and were set aside.',
    ),
    chainGaps: counter('satwire_chain_gaps_total', 'Ranges of block heights of which nothing was delivered.'),
    zmqGaps: counter(
      'satwire_zmq_gaps_total',
      'Times that messages of Bitcoin Core were lost, or that it has started again.',
    ),
    settlementQueueGaps: counter(
      'satwire_settlement_queue_gaps_total',
      'Times that the settlement queue no longer kept what was still to be read of it.',
    ),
    unexpectedErrors: counter('satwire_unexpected_errors_total', 'Errors that were masked.'),
  };
}
