import { expect, it } from 'vitest';
import { createMetrics } from '../../../src/platform/telemetry/metrics.ts';

it('reads the gauges when it is scraped, and counts what is counted', async () => {
  let sockets = 1;
  const metrics = createMetrics({
    connections: () => 7,
    feeds: () => ({ topics: 3, members: 5 }),
    sockets: () => sockets,
    waitingBytes: () => 4_096,
    socketMessages: () => 9,
    database: () => ({ open: 8, waiting: 2 }),
    bus: () => true,
    lightning: () => false,
    backendBalance: async () => 34,
    liabilities: async () => 21,
  });
  metrics.eventsAppended.inc(2);
  metrics.workFailures.inc();
  metrics.busPublishFailures.inc(3);
  metrics.busMalformedMessages.inc(6);
  sockets = 4;
  const lines = (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('satwire_'));
  expect(lines).toEqual([
    'satwire_database_connections 8',
    'satwire_database_waiting 2',
    'satwire_bus_connected 1',
    'satwire_lightning_reachable 0',
    'satwire_backend_balance_sats 34',
    'satwire_liabilities_sats 21',
    'satwire_connections 7',
    'satwire_websockets 4',
    'satwire_waiting_bytes 4096',
    'satwire_feed_topics 3',
    'satwire_subscriptions 5',
    'satwire_websocket_messages_total 9',
    'satwire_websocket_connections_total 0',
    'satwire_websocket_dropped_total 0',
    'satwire_websocket_errors_total 0',
    'satwire_events_appended_total 2',
    'satwire_bus_publish_failures_total 3',
    'satwire_bus_malformed_messages_total 6',
    'satwire_executions_not_shared_total 0',
    'satwire_work_failures_total 1',
    'satwire_inbox_failed_total 0',
    'satwire_chain_gaps_total 0',
    'satwire_zmq_gaps_total 0',
    'satwire_settlement_queue_gaps_total 0',
    'satwire_unexpected_errors_total 0',
  ]);
});
