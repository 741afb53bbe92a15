import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a proxy takes for a node: a TCP server that does with each whole request what the test says. */
export interface FakeNode {
  readonly port: number;
  /** The requests that have arrived as a whole, head and body. */
  readonly requests: string[];
}

/** Starts one, until the test is over. Requests need a Content-Length, unless they have no body. */
export async function startFakeNode(answer: (socket: Socket) => void): Promise<FakeNode> {
  const requests: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    let received = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
      const head = received.indexOf('\r\n\r\n') + 4;
      if (head < 4) return;
      const length = Number(/^content-length: (\d+)/im.exec(received)?.[1] ?? 0);
      if (received.length < head + length) return;
      requests.push(received);
      received = '';
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}
