import { CloseCode } from 'graphql-ws';
import type { Logger } from '../platform/telemetry/logger.ts';
import type { Metrics } from '../platform/telemetry/metrics.ts';
import { slowConsumer } from './socket.ts';

/** Codes by which sockets are closed that broke the protocol, or met a mistake of ours; graphql-ws'. */
const brokenProtocol: readonly number[] = [CloseCode.BadRequest, CloseCode.InternalServerError];

/** Counts sockets, and logs what becomes of them: single ones when that is asked for, as there may be many. */
export function createSocketHearer(metrics: Metrics, logger: Logger) {
  const connection = logger.child({ scope: 'websocket.connection' });
  const failure = logger.child({ scope: 'websocket.error' });
  return {
    opened() {
      metrics.webSocketConnections.inc();
      connection.debug('opened');
    },
    closed(code: number) {
      if (code === slowConsumer[0]) metrics.webSocketDropped.inc();
      if (brokenProtocol.includes(code)) metrics.webSocketErrors.inc();
      connection.debug({ code }, 'closed');
    },
    failed(error: unknown) {
      metrics.webSocketErrors.inc();
      failure.debug({ err: error }, 'failed');
    },
  };
}
