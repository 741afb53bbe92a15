import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay in front of a server, whose connections a test cuts. */
export interface Relay {
  /** An address of the server, through the relay. */
  through(url: string): string;
  /** Decides of each new connection after how many bytes from the server it is cut; undefined: it is not. */
  cutAfter: () => number | undefined;
  /** How many connections were cut. */
  readonly cuts: number;
  close(): Promise<void>;
}

/**
 * Starts a relay to a port of this machine, chosen anew for each connection. A cut is a reset, anywhere: also in
 * the middle of a frame.
 */
export async function startRelay(targetPort: number | (() => number)): Promise<Relay> {
  const open = new Set<Socket>();
  let cuts = 0;
  const relay: Relay = {
    through(url) {
      const address = new URL(url);
      address.port = String((server.address() as AddressInfo).port);
      return address.href;
    },
    cutAfter: () => undefined,
    get cuts() {
      return cuts;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };

  const server = createServer((client) => {
    const upstream = connect(typeof targetPort === 'number' ? targetPort : targetPort(), '127.0.0.1');
    const ends = [client, upstream];
    let left = relay.cutAfter() ?? Number.POSITIVE_INFINITY;
    for (const end of ends) {
      open.add(end);
      end.setNoDelay(true);
      end.on('error', () => {});
      end.on('close', () => {
        open.delete(end);
        for (const each of ends) each.destroy();
      });
    }
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      client.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left > 0 || client.destroyed) return;
      cuts += 1;
      // What was written before goes out; then both ends lose the connection.
      client.destroySoon();
      upstream.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return relay;
}
