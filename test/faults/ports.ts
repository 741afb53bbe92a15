import { createServer } from 'node:net';

/** Below the ports that outgoing connections take, on Linux as elsewhere. */
const first = 20_000;
const count = 10_000;
const taken = new Set<number>();

/**
 * A port that nobody listens on now, and that no connection takes while its server is down: else that could not be
 * started again, or a relay might be connected to itself.
 */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (!taken.has(port) && (await isFree(port))) {
      taken.add(port);
      return port;
    }
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
