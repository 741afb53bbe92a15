import { describe, expect, it } from 'vitest';
import type { Routes } from '../../src/transport/http.ts';
import { useTestApp } from '../support/app.ts';
import { connectRaw } from '../support/raw-http.ts';
import { serve } from '../support/serve.ts';
import { until } from '../support/until.ts';

const app = useTestApp();

const at = (path: string) => new URL(path, app().url);

describe('a request', () => {
  it.each(['/', '/graphq', '/graphql/', '/graphql/x', '/dev', '/metrics/'])(
    'for %s finds nothing',
    async (path) => {
      const response = await fetch(at(path));
      expect([response.status, await response.json()]).toEqual([404, { error: 'Not found.' }]);
    },
  );

  it('finds nothing by another method', async () => {
    for (const [method, path] of [
      ['POST', '/health'],
      ['GET', '/dev/token'],
      ['HEAD', '/dev/token'],
      ['DELETE', '/metrics'],
    ])
      expect([method, path, (await fetch(at(path as string), { method: method as string })).status]).toEqual([
        method,
        path,
        404,
      ]);
  });

  it.each([
    ['GET // HTTP/1.1\r\nHost: satwire', 404],
    ['GET //[ HTTP/1.1\r\nHost: satwire', 404],
    ['GET http:// HTTP/1.1\r\nHost: satwire', 404],
    ['OPTIONS * HTTP/1.1\r\nHost: satwire', 404],
    ['GET /health HTTP/1.1\r\nHost: [', 404],
    ['GET http://satwire/health HTTP/1.1\r\nHost: satwire', 200],
    ['GET /graphql?query={__typename} HTTP/1.1\r\nHost: [', 404],
    ['GET /graphql?query={__typename} HTTP/1.0', 200],
    ['GET http://satwire/graphql?query={__typename} HTTP/1.1\r\nHost: satwire', 200],
    ['GET //satwire/graphql?query={__typename} HTTP/1.1\r\nHost: satwire', 404],
    ['GET /x/../health HTTP/1.1\r\nHost: satwire', 404],
    ['GET /webhooks/lnbits/..\\..\\metrics HTTP/1.1\r\nHost: satwire', 404],
    ['GET /webhooks/%2e%2e/metrics HTTP/1.1\r\nHost: satwire', 404],
    ['GET http://satwire/x/../metrics HTTP/1.1\r\nHost: satwire', 404],
    ['GET // HTTP/1.1\r\nHost: satwire\r\nConnection: Upgrade\r\nUpgrade: websocket', 404],
  ])('that is odd brings nothing down: %j', async (head, status) => {
    const connection = await connectRaw(app().url);
    connection.write(`${head}\r\n\r\n`);
    expect((await connection.receive(/^HTTP.*\r\n/)).slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    expect((await fetch(at('/health'))).status).toBe(200);
  });

  it('that fails is answered without a word of why, which is logged', async () => {
    const logged: string[] = [];
    const routes: Routes = {
      'GET /fails': () => {
        throw new Error('a secret of the house');
      },
      'GET /later': async () => Promise.reject(new Error('another secret')),
      'GET /middle': async (_request, response) => {
        response.writeHead(200);
        response.write('half of it');
        throw new Error('a third secret');
      },
    };
    const url = await serve(routes, (line) => logged.push(line));
    for (const path of ['/fails', '/later']) {
      const response = await fetch(url + path);
      expect([response.status, await response.json()]).toEqual([500, { error: 'Unexpected error.' }]);
    }
    const connection = await connectRaw(url);
    connection.write('GET /middle HTTP/1.1\r\nHost: satwire\r\n\r\n');
    await until('it is cut off', () => connection.ended);
    expect(connection.received).not.toContain('secret');
    expect(logged).toHaveLength(3);
    expect(logged.join('')).toMatch(/a secret of the house.*another secret.*a third secret/s);
  });
});
