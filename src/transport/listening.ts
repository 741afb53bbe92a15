import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A host as it stands in a URL. */
export const urlHost = (host: string) => (host.includes(':') ? `[${host}]` : host);

/** Answers the port, once the server listens; throws what listening throws. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** Waits for the requests under way, up to a time. */
export function closeServer(server: Server, seconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), seconds * 1000);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
