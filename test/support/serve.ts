import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { createLogger } from '../../src/platform/telemetry/logger.ts';
import { createHttpServer, type Routes } from '../../src/transport/http.ts';
import { until } from './until.ts';

/** Serves routes until the test is over. */
export async function serve(routes: Routes, write: (line: string) => void = () => {}): Promise<string> {
  const server = createHttpServer(routes, createLogger('info', { write }), () => true).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await until('it listens', () => server.listening);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
