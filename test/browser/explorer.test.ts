import type { Page, WebSocketRoute } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { useBrowser } from '../support/browser.ts';
import { type Core, startCore } from '../support/core.ts';
import { until } from '../support/until.ts';

const browser = useBrowser();

async function begin(env: Record<string, string> = {}) {
  const core = await startCore();
  onTestFinished(() => core.stop());
  core.mine(12);
  core.enter([{ vsize: 150, fee: 900 }]);
  const app = await startTestApp({ ...core.env, ...env });
  await until('the chain', async () => (await app.send('{ chainTip { hash } mempool { txCount } }')).data);
  return { core, app };
}

/** A page, and what it has complained of. */
async function open(app: TestApp, path: string, { javaScriptEnabled = true } = {}) {
  const context = await browser().newContext({ javaScriptEnabled });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  const sockets: string[] = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.goto(new URL(path, app.url).href);
  return { page, complaints, sockets };
}

const height = (page: Page) => page.locator('#tip .height').innerText();
const waiting = (page: Page) => page.locator('#mempool dd').first().innerText();
const state = (page: Page) => page.locator('#connection').innerText();

/** Shows that new blocks, and what waits, are on the page without anything being done there. */
async function expectLive(page: Page, core: Core): Promise<void> {
  core.mine();
  await until('the new tip', async () => (await height(page)) === `${core.tip().height}`);
  const before = Number(await waiting(page));
  core.enter([{ vsize: 200, fee: 4_000 }]);
  await until('what waits', async () => Number(await waiting(page)) === before + 1);
}

it('is whole without a script, and can be walked through', async () => {
  const { core, app } = await begin();
  const { page } = await open(app, '/explorer', { javaScriptEnabled: false });
  expect(await height(page)).toBe('12');
  expect(await waiting(page)).toBe('1');
  expect(await page.locator('#connection').isVisible()).toBe(false);
  await page.locator('#tip .height a').click();
  expect(await page.locator('h2').innerText()).toBe('Block 12');
  await page.locator(`a[href="/explorer/block/${core.chain()[11]?.hash}"]`).click();
  expect(await page.locator('h2').innerText()).toBe('Block 11');
  await page.locator('input[name=q]').fill('3');
  await page.locator('button').click();
  expect(await page.locator('h2').innerText()).toBe('Block 3');
  await page.locator('nav a', { hasText: 'Mempool' }).click();
  await page.locator('#recent a').click();
  expect(await page.locator('h2').innerText()).toBe('Transaction');
  core.mine();
  await page.goto(new URL('/explorer', app.url).href);
  await until('the new tip', async () => {
    await page.reload();
    return (await height(page)) === '13';
  });
});

it('shows new tips and what waits over a WebSocket, within a strict policy', async () => {
  const { core, app } = await begin();
  const { page, complaints, sockets } = await open(app, '/explorer');
  await until('it to be live', async () => (await state(page)) === 'Live');
  await expectLive(page, core);
  expect(sockets).toEqual([app.webSocketUrl]);
  expect(complaints).toEqual([]);
});

it('says that it was cut off, and shows what it has missed once it is connected again', async () => {
  const { core, app } = await begin();
  const page = await (await browser().newContext()).newPage();
  const sockets: WebSocketRoute[] = [];
  let isCut = false;
  await page.routeWebSocket(/graphql/, (socket) => {
    sockets.push(socket);
    if (isCut) socket.close();
    else socket.connectToServer();
  });
  await page.goto(new URL('/explorer', app.url).href);
  await until('it to be live', async () => (await state(page)) === 'Live');
  isCut = true;
  await sockets.at(-1)?.close();
  await until('it to be noticed', async () => (await state(page)) !== 'Live');
  core.mine(2);
  await until('another attempt', () => sockets.length > 1);
  expect(await height(page)).toBe('12');
  isCut = false;
  await until('it to be live again', async () => (await state(page)) === 'Live');
  await until('what it has missed', async () => (await height(page)) === '14');
  await expectLive(page, core);
});

it('goes on over SSE where a WebSocket is refused, and where there is none', async () => {
  for (const env of [{}, { WEBSOCKET_ENABLED: 'false' }] as Record<string, string>[]) {
    const { core, app } = await begin(env);
    const context = await browser().newContext();
    const page = await context.newPage();
    // A proxy that does not let the upgrade through.
    if (env.WEBSOCKET_ENABLED === undefined) await page.routeWebSocket(/graphql/, (socket) => socket.close());
    const streams: string[] = [];
    page.on('request', (request) => {
      if (request.resourceType() === 'eventsource') streams.push(request.url());
    });
    await page.goto(new URL('/explorer', app.url).href);
    await until('it to be live', async () => (await state(page)) === 'Live');
    await expectLive(page, core);
    expect(streams.length).toBeGreaterThanOrEqual(2);
  }
});

it('asks for the page again where nothing else is let through', async () => {
  const { core, app } = await begin();
  const context = await browser().newContext();
  const polling = await context.newPage();
  await polling.routeWebSocket(/graphql/, (socket) => socket.close());
  await polling.route(/\/graphql\?/, (route) => route.abort());
  await polling.goto(new URL('/explorer', app.url).href);
  await until('it to give up', async () => (await state(polling)) === 'Every 10 seconds');
  core.mine();
  await until('the new tip', async () => (await height(polling)) === '13');
});
