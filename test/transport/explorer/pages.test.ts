import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { html } from '../../../src/transport/explorer/html.ts';
import { startTestApp, type TestApp } from '../../support/app.ts';
import { startCore } from '../../support/core.ts';
import { until } from '../../support/until.ts';

async function begin(env: Record<string, string> = {}) {
  const core = await startCore();
  onTestFinished(() => core.stop());
  core.mine(12);
  const [txid = ''] = core.enter([{ vsize: 150, fee: 900 }]);
  const app = await startTestApp({ ...core.env, ...env });
  await until('the chain', async () => (await app.send('{ chainTip { hash } mempool { txCount } }')).data);
  return { core, app, txid };
}

async function get(app: TestApp, path: string) {
  const response = await fetch(new URL(path, app.url), { redirect: 'manual' });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe('the pages', () => {
  it('show what the API answers, whole and without a script', async () => {
    const { core, app, txid } = await begin();
    const tip = core.tip();
    const overview = await get(app, '/explorer');
    expect(overview.status).toBe(200);
    for (const part of [tip.hash, 'regtest', '12.3 sat/vB', '150 vB', `/explorer/block/${tip.hash}`])
      expect(overview.text).toContain(part);
    expect((await get(app, '/explorer/')).text).toContain(tip.hash);
    const mempool = await get(app, '/explorer/mempool');
    expect(mempool.text).toContain(`/explorer/tx/${txid}`);
    const below = core.chain()[5];
    for (const name of [`${below?.height}`, below?.hash]) {
      const { status, text } = await get(app, `/explorer/block/${name}`);
      expect(status).toBe(200);
      for (const part of [below?.hash, `/explorer/block/${below?.parent}`]) expect(text).toContain(part);
    }
    expect((await get(app, '/explorer/block/0')).text).toContain('<h2>Block 0</h2>');
    const waiting = await get(app, `/explorer/tx/${txid}`);
    for (const part of [txid, 'waits to be confirmed', '900 sats', '6 sat/vB', 'bcrt1qafter'])
      expect(waiting.text).toContain(part);
    const [coinbase, paying] = core.chain()[3]?.txids ?? [];
    expect((await get(app, `/explorer/tx/${paying}`)).text).toContain(
      `/explorer/block/${core.chain()[3]?.hash}`,
    );
    expect((await get(app, `/explorer/tx/${coinbase}`)).text).toContain('what a miner earns');
  });

  it('say that a block was taken off the chain', async () => {
    const { core, app } = await begin();
    const { gone } = core.reorganise(1, 2);
    await until(
      'the new tip',
      async () => (await app.send('{ chainTip { hash } }')).data.chainTip.hash === core.tip().hash,
    );
    expect((await get(app, `/explorer/block/${gone[0]?.hash}`)).text).toContain('taken it off the chain');
  });

  it('find what is typed in', async () => {
    const { core, app, txid } = await begin();
    const search = async (typed: string) =>
      (await get(app, `/explorer/search?q=${encodeURIComponent(typed)}`)).headers.get('location');
    expect(await search(' 7 ')).toBe('/explorer/block/7');
    expect(await search(core.tip().hash.toUpperCase())).toBe(`/explorer/block/${core.tip().hash}`);
    expect(await search(txid)).toBe(`/explorer/tx/${txid}`);
    expect(await search('"><script>')).toBeNull();
  });

  it('answer 404 to what is not there or makes no sense, and repeat none of it', async () => {
    const { app } = await begin();
    const wrong = [
      'block/13',
      `block/${'a'.repeat(64)}`,
      'block/x',
      'block',
      `tx/${'a'.repeat(64)}`,
      'tx/%3Cscript%3E',
      'other',
      'block/1/2',
      'search?q=%3Cscript%3E',
      'search',
    ];
    for (const path of wrong) {
      const { status, text } = await get(app, `/explorer/${path}`);
      expect([path, status]).toEqual([path, 404]);
      expect(text).not.toMatch(/<script>|%3C/);
    }
  });

  it('run nothing but their own script, and load nothing from elsewhere', async () => {
    const { app } = await begin();
    const { headers, text } = await get(app, '/explorer');
    const { host } = new URL(app.url);
    expect(headers.get('content-security-policy')).toBe(
      `default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self' ws://${host} wss://${host}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    );
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(text).not.toMatch(/ style=| on\w+=|<script>/);
    expect(text).toContain('data-websocket="/graphql" data-websocket-port=""');
  });

  it('name the WebSocket where it is, or none', async () => {
    const { app } = await begin({ WEBSOCKET_PORT: '0', WEBSOCKET_PATH: '/live' });
    const { headers, text } = await get(app, '/explorer');
    const { port } = new URL(app.webSocketUrl as string);
    expect(text).toContain(`data-websocket="/live" data-websocket-port="${port}"`);
    expect(headers.get('content-security-policy')).toContain(`wss://127.0.0.1:${port};`);
    const { app: without } = await begin({ WEBSOCKET_ENABLED: 'false' });
    expect((await get(without, '/explorer')).text).toContain('data-websocket=""');
  });

  it('say so while nothing is known of a chain, and where none is followed', async () => {
    const app = await startTestApp();
    for (const path of ['', '/mempool', '/block/1', `/tx/${'a'.repeat(64)}`]) {
      const { status, headers, text } = await get(app, `/explorer${path}`);
      expect(status).toBe(503);
      expect(headers.get('retry-after')).toBe('5');
      expect(text).toContain('No chain is followed here.');
    }
  });
});

describe('what pages load', () => {
  it('is small, and nothing else', async () => {
    const app = await startTestApp();
    const { text } = await get(app, '/explorer/assets/web/live.js');
    const scripts = new Map([['web/live.js', text]]);
    for (const [name, script] of scripts)
      for (const [, path = ''] of script.matchAll(/from '(\.[^']+)'/g)) {
        const found = new URL(path, `http://x/${name}`).pathname.slice(1);
        if (!scripts.has(found)) scripts.set(found, (await get(app, `/explorer/assets/${found}`)).text);
      }
    expect(scripts.size).toBeGreaterThan(3);
    expect(gzipSync([...scripts.values()].join('\n')).length).toBeLessThan(15_000);
    const style = await get(app, '/explorer/assets/explorer.css');
    expect(style.headers.get('content-type')).toBe('text/css; charset=utf-8');
    for (const name of ['', 'other.js', 'web/live.ts', '../package.json', 'web%2Flive.js'])
      expect((await get(app, `/explorer/assets/${name}`)).status).toBe(404);
  });
});

it('escapes what is put into a page, and nothing twice', () => {
  const inner = html`<b>${'<&"\'>'}</b>`;
  expect(html`<p title="${'"'}">${inner}${[inner, html`x`]}${null}${undefined}${0}</p>`.text).toBe(
    '<p title="&quot;"><b>&lt;&amp;&quot;&#39;&gt;</b><b>&lt;&amp;&quot;&#39;&gt;</b>x0</p>',
  );
});
