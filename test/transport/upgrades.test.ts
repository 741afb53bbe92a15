import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { startTestApp } from '../support/app.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { openSocket, refusedUpgrade } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';

describe('an upgrade', () => {
  it('is accepted from a page of the server itself and of the allowed origins, else refused with 403', async () => {
    const app = await startTestApp({ ALLOWED_ORIGINS: 'https://app.example,https://other.example' });
    for (const origin of ['https://elsewhere.example', 'null', 'http://127.0.0.1', 'nonsense'])
      expect([origin, await refusedUpgrade(app.webSocketUrl as string, { origin })]).toEqual([origin, 403]);
    for (const origin of ['https://app.example', 'https://other.example', new URL(app.url).origin])
      expect((await openSocket(app.webSocketUrl, { headers: { origin } })).isOpen).toBe(true);
    expect(await refusedUpgrade(app.webSocketUrl as string, { origin: 'https://app.example.evil' })).toBe(
      403,
    );
  });

  it('is answered 404 on another path, also on one that cannot be read', async () => {
    const app = await startTestApp({ WEBSOCKET_PATH: '/live' });
    const origin = new URL('/', app.url.replace('http', 'ws')).href.slice(0, -1);
    expect(app.webSocketUrl).toBe(`${origin}/live`);
    for (const path of ['/graphql', '/', '/live/', '//'])
      expect([path, await refusedUpgrade(`${origin}${path}`)]).toEqual([path, 404]);
    expect((await openSocket(app.webSocketUrl)).isOpen).toBe(true);
  });

  it('is answered 404 where WebSocket is switched off, and HTTP and SSE go on', async () => {
    const app = await startTestApp({ WEBSOCKET_ENABLED: 'false' });
    expect(app.webSocketUrl).toBeUndefined();
    expect(await refusedUpgrade(app.url.replace('http', 'ws'))).toBe(404);
    const { job, as } = await createJob(app, 'Be watched.');
    const stream = await openStream(app.url, watchJob, { id: job.id }, as);
    expect((await stream.events(1))[0].data.jobUpdated.__typename).toBe('JobSnapshot');
    expect(await (await fetch(new URL('/metrics', app.url))).text()).toContain('satwire_websockets 0');
  });

  it('is taken at its own port where it has one, and there alone', async () => {
    const port = await freePort();
    const app = await startTestApp({ WEBSOCKET_PORT: String(port) });
    expect(app.webSocketUrl).toBe(`ws://127.0.0.1:${port}/graphql`);
    expect((await openSocket(app.webSocketUrl)).isOpen).toBe(true);
    expect(await refusedUpgrade(app.url.replace('http', 'ws'))).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(426);
    expect((await fetch(new URL('/health', app.url))).status).toBe(200);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
