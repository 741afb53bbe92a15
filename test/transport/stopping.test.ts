import { describe, expect, it } from 'vitest';
import { startTestApp } from '../support/app.ts';
import { holdDatabase } from '../support/faults.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { connectRaw, type RawConnection } from '../support/raw-http.ts';
import { openSocket } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { until } from '../support/until.ts';
import { watchingSocket } from '../support/watching.ts';

/** A request that has begun, and goes on when the test says so. */
async function begin(url: string, head: string): Promise<RawConnection> {
  const connection = await connectRaw(url);
  connection.write(`${head}\r\nHost: ${new URL(url).host}\r\n`);
  // Answered by the same server: by then it has read what came before.
  await fetch(new URL('/health', url)).catch(() => {});
  return connection;
}

const streamPath = (id: string) =>
  `/graphql?${new URLSearchParams({ query: watchJob, variables: JSON.stringify({ id }) })}`;

const post = (body: string, headers = '') =>
  `${headers}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

const upgrade =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n';

describe('a server that stops', () => {
  it('closes sockets with 1001, and ends streams, without telling that anything is complete', async () => {
    const app = await startTestApp();
    const { socket, job, token } = await watchingSocket(app);
    const silent = await openSocket(app.webSocketUrl, { init: false });
    const stream = await openStream(app.url, watchJob, { id: job.id }, { token });
    await stream.events(1);
    const kept = await begin(app.url, `GET ${streamPath(job.id)} HTTP/1.1`);
    kept.write(`Authorization: Bearer ${token}\r\nAccept: text/event-stream\r\n\r\n`);
    await kept.receive('event: next');
    await app.stop();
    expect(await socket.closed).toEqual({ code: 1001, reason: 'Going away' });
    expect(await silent.closed).toMatchObject({ code: 1001 });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
    expect(await stream.end()).not.toContain('complete');
    expect(app.connections.size).toBe(0);
    expect(kept.received).not.toContain('complete');
  });

  it('answers what is under way', async () => {
    const app = await startTestApp();
    const read = await begin(app.url, 'POST /graphql HTTP/1.1');
    const page = await begin(app.url, 'POST /graphql HTTP/1.1');
    const stopped = app.stop();
    const body = JSON.stringify({ query: '{ viewer { roles } }' });
    read.write(post(body));
    page.write(post(body, `Origin: ${new URL(app.url).origin}\r\n`));
    for (const connection of [read, page])
      expect(await connection.receive(/"data"|"error/)).toMatch(/^HTTP\/1.1 200 .*{"viewer":null}/s);
    await stopped;
  });

  it('begins no stream any more, and waits for none', async () => {
    // Longer than a test may take: it ends only if nothing is waited for.
    const app = await startTestApp({ DRAIN_SECONDS: '600' });
    const { job, as } = await createJob(app, 'Be watched.');
    const connection = await begin(app.url, 'POST /graphql HTTP/1.1');
    const held = await holdDatabase(app);
    const body = JSON.stringify({ query: watchJob, variables: { id: job.id } });
    connection.write(post(body, `Authorization: Bearer ${as.token}\r\nAccept: text/event-stream\r\n`));
    await fetch(new URL('/health', app.url));
    const stopped = app.stop();
    await held.release();
    await stopped;
    await until('all to have come', () => connection.ended);
    expect(connection.received).toMatch(/^HTTP\/1.1 200 .*text\/event-stream/s);
    expect(connection.received).not.toContain('complete');
  });

  it('cuts off sockets that do not answer its close', async () => {
    const app = await startTestApp();
    const deaf = await begin(app.url, 'GET /graphql HTTP/1.1');
    deaf.write(upgrade);
    await deaf.receive('101 Switching Protocols');
    await app.stop();
    await until('it is cut off', () => deaf.ended);
  });

  it.each([{}, { WEBSOCKET_PORT: '0' }])('takes no upgrade any more (%j)', async (env) => {
    const app = await startTestApp(env);
    const url = (app.webSocketUrl as string).replace('ws', 'http');
    const connection = await begin(url, 'GET /graphql HTTP/1.1');
    const stopped = app.stop();
    connection.write(`Origin: ${new URL(url).origin}\r\n${upgrade}`);
    expect(await connection.receive('HTTP/1.1')).toMatch(/^HTTP\/1.1 503 /);
    await stopped;
  });
});
