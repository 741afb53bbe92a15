import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { startTestApp, type TestApp, useTestApp } from '../support/app.ts';
import { useBrowser } from '../support/browser.ts';
import type { Json } from '../support/clients.ts';
import { createJob, debitSession, key } from '../support/operations.ts';
import { until } from '../support/until.ts';

const runningApp = useTestApp();

const browser = useBrowser();

/** The editors of GraphiQL, by the ends of their addresses. */
type Editor = 'operation.graphql' | 'request-headers.json';

/** GraphiQL in a page of its own, and what the page has sent to whom. */
async function openGraphiql(app: TestApp) {
  const page = await browser().newPage();
  const requested: string[] = [];
  const sent: Json[] = [];
  page.on('request', (request) => requested.push(request.url()));
  page.on('websocket', (socket) => {
    requested.push(socket.url());
    socket.on('framesent', ({ payload }) => sent.push(JSON.parse(String(payload))));
  });
  await page.goto(app.url);
  await editorOf(page, 'operation.graphql').waitFor();

  const shown = () => page.locator('.result-window .view-lines').innerText();
  // The pane breaks long lines, which its model has whole.
  const response = () =>
    page.evaluate(() => {
      const models: Json[] = (globalThis as Json).__MONACO.editor.getModels();
      return models.find((model) => model.uri.path.endsWith('response.json')).getValue() as string;
    });

  return {
    requested,
    /** The messages that were sent over WebSockets. */
    sent,

    /** Types a text as one line: over several, the editor would close brackets by itself. */
    async write(editor: Editor, text: string): Promise<void> {
      if (editor === 'request-headers.json') await page.getByRole('button', { name: 'Headers' }).click();
      await editorOf(page, editor).click();
      await page.keyboard.press('ControlOrMeta+A');
      await page.keyboard.insertText(text.replaceAll(/\s+/g, ' '));
    },

    async execute(operation: string): Promise<void> {
      await this.write('operation.graphql', operation);
      await page.getByRole('button', { name: /^Execute query/ }).click();
    },

    /** Resolves with the result in the response pane, once that shows a text. */
    async shows(text: string): Promise<Json> {
      try {
        await until(text, async () => (await shown()).includes(text), 10_000);
      } catch {
        throw new Error(`GraphiQL does not show ${text}, but: ${await response()}`);
      }
      return JSON.parse(await response()).data;
    },
  };
}

function editorOf(page: Page, editor: Editor) {
  return page.locator(`.monaco-editor[data-uri$="${editor}"]`);
}

/** A page that presents a token of a user. */
async function signedIn(app: TestApp) {
  const token = await app.token('alice');
  const graphiql = await openGraphiql(app);
  await graphiql.write('request-headers.json', JSON.stringify({ Authorization: `Bearer ${token}` }));
  return { token, graphiql };
}

it('asks nobody but the server itself for anything', async () => {
  const app = runningApp();
  const graphiql = await openGraphiql(app);
  await graphiql.execute('{ viewer { roles } }');
  expect(await graphiql.shows('viewer')).toEqual({ viewer: null });

  const { host } = new URL(app.url);
  expect(graphiql.requested.length).toBeGreaterThan(1);
  for (const url of graphiql.requested) expect(new URL(url.replace(/^blob:/, '')).host, url).toBe(host);
});

it('carries a job over a WebSocket, with the token of the headers editor', async () => {
  const app = runningApp();
  const { token, graphiql } = await signedIn(app);
  await graphiql.execute(`mutation {
    createJob(input: { prompt: "Count to three.", idempotencyKey: "${key()}" }) { job { id evalInvoice { paymentHash } } }
  }`);
  const { job } = (await graphiql.shows('paymentHash')).createJob;

  await graphiql.execute(`subscription {
    jobUpdated(id: "${job.id}") {
      __typename
      ... on JobEvaluated { workInvoice { paymentHash } }
      ... on JobCompleted { result }
    }
  }`);
  await graphiql.shows('JobSnapshot');
  await app.pay(job.evalInvoice.paymentHash);
  const { workInvoice } = (await graphiql.shows('JobEvaluated')).jobUpdated;
  await app.pay(workInvoice.paymentHash);
  expect((await graphiql.shows('JobCompleted')).jobUpdated).toMatchObject({
    result: 'The stub agent has done: Count to three.',
  });

  expect(graphiql.requested).toContain(app.webSocketUrl);
  expect(graphiql.sent[0]).toMatchObject({
    type: 'connection_init',
    payload: { Authorization: `Bearer ${token}` },
  });
  expect(graphiql.sent[1]).toMatchObject({
    type: 'subscribe',
    payload: { query: expect.stringContaining('jobUpdated') },
  });
});

it('carries a session over a WebSocket, with the token of the headers editor', async () => {
  const app = runningApp();
  const { token, graphiql } = await signedIn(app);
  await graphiql.execute(`mutation {
    openSession(input: { depositSats: 1000, idempotencyKey: "${key()}" }) { session { id depositInvoice { paymentHash } } }
  }`);
  const { session } = (await graphiql.shows('paymentHash')).openSession;

  await graphiql.execute(`subscription {
    sessionUpdated(id: "${session.id}") {
      __typename
      session { state }
      ... on SessionActivated { balanceSats }
      ... on SessionDebited { balanceAfter }
    }
  }`);
  await graphiql.shows('SessionSnapshot');
  await app.pay(session.depositInvoice.paymentHash);
  expect((await graphiql.shows('SessionActivated')).sessionUpdated).toMatchObject({
    session: { state: 'ACTIVE' },
    balanceSats: 1000,
  });
  const debit = { sessionId: session.id, amountSats: 45, idempotencyKey: key() };
  await app.ask(debitSession, { input: debit }, { token: await app.token('meter', ['SERVICE']) });
  expect((await graphiql.shows('SessionDebited')).sessionUpdated).toMatchObject({ balanceAfter: 955 });

  expect(graphiql.requested).toContain(app.webSocketUrl);
  expect(graphiql.sent[0]).toMatchObject({
    type: 'connection_init',
    payload: { Authorization: `Bearer ${token}` },
  });
});

const watchOwnJob = async (app: TestApp) => {
  const { token, graphiql } = await signedIn(app);
  const { job } = await createJob(app, 'Count to three.', { token });
  await graphiql.execute(`subscription { jobUpdated(id: "${job.id}") { __typename } }`);
  await graphiql.shows('JobSnapshot');
  await app.pay(job.evalInvoice.paymentHash);
  await graphiql.shows('JobEvaluated');
  return graphiql.requested.filter((url) => url.startsWith('ws:'));
};

it('finds the WebSocket on a path and a port of its own', async () => {
  const app = await startTestApp({ WEBSOCKET_PATH: '/live', WEBSOCKET_PORT: '0' });
  expect(app.webSocketUrl).not.toBe(app.url.replace('http', 'ws'));
  expect(await watchOwnJob(app)).toEqual([app.webSocketUrl]);
});

it('subscribes over SSE when WebSocket is switched off', async () => {
  const app = await startTestApp({ WEBSOCKET_ENABLED: 'false' });
  expect(await watchOwnJob(app)).toEqual([]);
});
