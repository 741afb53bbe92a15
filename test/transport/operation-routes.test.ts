import { describe, expect, it } from 'vitest';
import { openPglite } from '../../src/platform/database/pglite.ts';
import { createMetrics } from '../../src/platform/telemetry/metrics.ts';
import { operationRoutes } from '../../src/transport/operation-routes.ts';
import { databaseImage, startTestApp, temporaryFolder, useTestApp } from '../support/app.ts';
import { withoutTable } from '../support/faults.ts';
import { createJob } from '../support/operations.ts';
import { connectRaw } from '../support/raw-http.ts';
import { openSocket } from '../support/raw-socket.ts';
import { serve } from '../support/serve.ts';
import { until } from '../support/until.ts';

const app = useTestApp();

const at = (path: string) => new URL(path, app().url);

describe('whoever runs the server', () => {
  it('is told that it is alive and ready', async () => {
    const health = await fetch(at('/health'));
    expect([health.status, await health.json()]).toEqual([200, { status: 'alive' }]);
    expect(health.headers.get('cache-control')).toBe('no-store');
    const ready = await fetch(at('/ready'));
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
  });

  it('may ask by HEAD', async () => {
    for (const path of ['/health', '/ready', '/metrics']) {
      const response = await fetch(at(path), { method: 'HEAD' });
      expect([path, response.status, await response.text()]).toEqual([path, 200, '']);
    }
  });

  it('reads metrics, of what happens too', async () => {
    await createJob(app(), 'Count me.');
    const response = await fetch(at('/metrics'));
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0.0.4/);
    const metrics = await response.text();
    for (const name of [
      'satwire_connections 0',
      'satwire_websockets 0',
      'satwire_feed_topics 1',
      'satwire_subscriptions 1',
      'satwire_work_failures_total 0',
      'satwire_unexpected_errors_total 0',
      'process_cpu_seconds_total',
    ])
      expect(metrics).toContain(name);
    expect(metrics).toMatch(/^satwire_events_appended_total \d+$/m);
    const token = await app().token('alice');
    await withoutTable(app(), 'users', () => app().send('{ viewer { roles } }', {}, { token }));
    expect(await (await fetch(at('/metrics'))).text()).toContain('satwire_unexpected_errors_total 1');
  });

  it('counts sockets, what is sent over them, and those that break the protocol', async () => {
    const { webSocketUrl, url } = await startTestApp();
    const socket = await openSocket(webSocketUrl);
    socket.send({ type: 'next', id: 'what only a server sends' });
    await until('its end', () => !socket.isOpen);
    await until('it to be counted', async () => {
      const metrics = await (await fetch(new URL('/metrics', url))).text();
      return ['connections_total 1', 'messages_total 1', 'errors_total 1', 'dropped_total 0'].every((line) =>
        metrics.split('\n').includes(`satwire_websocket_${line}`),
      );
    });
  });

  it('keeps the metrics to whoever has their token', async () => {
    const guarded = await startTestApp({ METRICS_TOKEN: 'let me see' });
    const status = async (authorization?: string) =>
      (
        await fetch(new URL('/metrics', guarded.url), {
          headers: authorization === undefined ? {} : { authorization },
        })
      ).status;
    expect(await status()).toBe(401);
    expect(await status('Bearer let me')).toBe(401);
    expect(await status('Bearer let me see more')).toBe(401);
    expect(await status('let me see')).toBe(401);
    expect(await status('Bearer let me see')).toBe(200);
  });

  it('is told that the server drains, and later that nobody is there', async () => {
    const stopping = await startTestApp();
    const connection = await connectRaw(stopping.url);
    connection.write('GET /ready HTTP/1.1\r\nHost: satwire\r\n');
    // Its request has begun, so that it is waited for.
    await fetch(new URL('/health', stopping.url));
    const stopped = stopping.stop();
    connection.write('\r\n');
    const answer = await connection.receive('draining');
    expect(answer).toMatch(/^HTTP\/1.1 503 /);
    await stopped;
    await until('the connection ends', () => connection.ended);
    await expect(fetch(stopping.url)).rejects.toThrow();
  });

  it('is told when the database does not answer', async () => {
    const db = await openPglite(await temporaryFolder(), databaseImage());
    const metrics = createMetrics({
      connections: () => 0,
      sockets: () => 0,
      socketMessages: () => 0,
      waitingBytes: () => 0,
      feeds: () => ({ topics: 0, members: 0 }),
      database: () => db.connections(),
      bus: () => true,
      lightning: () => true,
      backendBalance: async () => 0,
      liabilities: async () => 0,
    });
    const url = await serve(
      operationRoutes({ db, metrics, metricsToken: undefined, isDraining: () => false }),
    );
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    await db.close();
    const response = await fetch(`${url}/ready`);
    expect([response.status, await response.json()]).toEqual([
      503,
      { status: 'the database does not answer' },
    ]);
  });
});
