import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay whose connections are cut, or stopped for a while, and which takes new ones all the time. */
export interface FaultRelay {
  readonly port: number;
  /** Resets the connections that are open, anywhere: also in the middle of a frame. Answers how many. */
  cut(): number;
  /** From now on nothing gets through, in either direction; connections are taken and stay open. */
  stall(): void;
  /** What was held back goes through, and all that follows. */
  resume(): void;
  close(): Promise<void>;
}

/** Starts a relay to a port of this machine, where a server need not be all the time. */
export async function startFaultRelay(targetPort: number): Promise<FaultRelay> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let stalled = false;
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.setNoDelay(true);
      from.on('error', () => {});
      from.on('close', () => {
        pairs.delete(pair);
        to.destroySoon();
      });
      from.on('data', (chunk) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => {
        if (!stalled) from.resume();
      });
      if (stalled) from.pause();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const each = (act: (socket: Socket) => void) => {
    for (const pair of [...pairs]) pair.forEach(act);
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      const open = pairs.size;
      each((socket) => socket.resetAndDestroy());
      return open;
    },
    stall() {
      stalled = true;
      each((socket) => socket.pause());
    },
    resume() {
      stalled = false;
      each((socket) => socket.resume());
    },
    async close() {
      server.close();
      each((socket) => socket.destroy());
      await once(server, 'close');
    },
  };
}
