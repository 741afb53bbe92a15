import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const lines = new Map<number, Socket>();

// Node tells of each connection that a server of this process takes.
subscribe('net.server.socket', (message) => {
  const { socket } = message as { socket: Socket };
  const port = socket.remotePort as number;
  lines.set(port, socket);
  socket.once('close', () => {
    if (lines.get(port) === socket) lines.delete(port);
  });
});

/** How much this process has written to a client that the line has not taken; bytes. The client is known by its port. */
export function waitingFor({ localPort }: { readonly localPort: number }): number {
  return lines.get(localPort)?.writableLength ?? 0;
}
