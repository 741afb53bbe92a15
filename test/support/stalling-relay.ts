import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay whose connections can be made to look open while nothing gets through. */
export interface StallingRelay {
  readonly port: number;
  /** How many connections were made to it. */
  readonly connections: number;
  /** Whether new connections carry anything; at first they do. */
  carriesNew: boolean;
  /** From now on the connections that are open carry nothing, in neither direction. */
  stall(): void;
  close(): Promise<void>;
}

/** Starts a relay to a port of this machine. */
export async function startStallingRelay(targetPort: number): Promise<StallingRelay> {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    connections += 1;
    const upstream = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const end of [client, upstream]) {
      open.add(end);
      end.on('error', () => {});
      end.on('close', () => open.delete(end));
    }
    if (relay.carriesNew) client.pipe(upstream).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay: StallingRelay = {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    carriesNew: true,
    stall() {
      for (const end of open) end.unpipe().pause();
    },
    async close() {
      server.close();
      for (const end of open) end.destroy();
      await once(server, 'close');
    },
  };
  return relay;
}
