import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Agent } from '../../../src/jobs/agent/agent.ts';
import { createHttpAgent } from '../../../src/jobs/agent/http.ts';
import { standingClock } from '../../support/clock.ts';

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const secret = Buffer.from('a secret of the agent and of the server');
const clock = standingClock();
const task = { jobId: 'job_x', prompt: 'Zähle bis drei.' };
const { signal } = new AbortController();

let server: Server;
let asked: Asked[];
let answer: (response: ServerResponse) => void;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    asked.push({ method, url, headers, body: await text(request) });
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

beforeEach(() => {
  asked = [];
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const agentUrl = () => new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/agent`);

const createAgent = (timeoutMs = 10_000): Agent =>
  createHttpAgent({ url: agentUrl(), secret, timeoutMs, clock });

const answering = (status: number, body: string) => (response: ServerResponse) =>
  response.writeHead(status).end(body);

const answeringJson = (body: unknown) => answering(200, JSON.stringify(body));

const evaluate = (agent = createAgent()) => agent.evaluate(task, signal);
const work = (agent = createAgent()) => agent.work(task, () => {}, signal);

describe('a request', () => {
  it('is a signed POST that says what is asked for which job', async () => {
    answer = answeringJson({ accepted: true, workPriceSats: 70 });
    await evaluate();
    answer = answeringJson({ done: true, result: '' });
    await work();
    expect(asked.map(({ method, url, body }) => [method, url, JSON.parse(body)])).toEqual([
      ['POST', '/agent', { action: 'evaluate', ...task }],
      ['POST', '/agent', { action: 'work', ...task }],
    ]);
    for (const { headers, body } of asked) {
      expect(headers).toMatchObject({
        'content-type': 'application/json',
        'x-satwire-timestamp': String(clock.now() / 1000),
        'x-satwire-signature': createHmac('sha256', secret)
          .update(`${clock.now() / 1000}.${body}`)
          .digest('hex'),
      });
    }
  });

  it('is given up after a time', async () => {
    answer = () => {};
    await expect(evaluate(createAgent(50))).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('is given up after a time also when the answer has begun', async () => {
    answer = (response) => response.writeHead(200).write('{"accepted":');
    await expect(evaluate(createAgent(200))).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('is given up when the server stops', async () => {
    const stopping = new AbortController();
    answer = () => stopping.abort();
    await expect(createAgent().evaluate(task, stopping.signal)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('follows nobody elsewhere', async () => {
    answer = (response) => response.writeHead(307, { location: '/elsewhere' }).end();
    await expect(evaluate()).rejects.toThrow();
    expect(asked.map(({ url }) => url)).toEqual(['/agent']);
  });
});

describe('an answer', () => {
  it('takes a job on for a price, or not and says why', async () => {
    answer = answeringJson({ accepted: true, workPriceSats: 2_100_000_000_000_000 });
    expect(await evaluate()).toEqual({ accepted: true, workPriceSats: 2_100_000_000_000_000n });
    answer = answeringJson({ accepted: false, reason: 'Too long.' });
    expect(await evaluate()).toEqual({ accepted: false, reason: 'Too long.' });
  });

  it('is the result of the work, or why there is none', async () => {
    answer = answeringJson({ done: true, result: 'eins, zwei, drei' });
    expect(await work()).toEqual({ done: true, result: 'eins, zwei, drei' });
    answer = answeringJson({ done: false, reason: 'Cannot count.' });
    expect(await work()).toEqual({ done: false, reason: 'Cannot count.' });
  });

  it.each([
    { accepted: true },
    { accepted: true, workPriceSats: 0 },
    { accepted: true, workPriceSats: -1 },
    { accepted: true, workPriceSats: 1.5 },
    { accepted: true, workPriceSats: '70' },
    { accepted: true, workPriceSats: 2_100_000_000_000_001 },
    { accepted: false },
    { accepted: false, reason: '' },
    { accepted: false, reason: 'x'.repeat(2_001) },
    { done: true, result: 'of the wrong question' },
    ['accepted'],
    null,
  ])('is refused as an evaluation when it makes no sense: %o', async (body) => {
    answer = answeringJson(body);
    await expect(evaluate()).rejects.toThrow();
  });

  it.each([
    { done: true },
    { done: true, result: 5 },
    { done: true, result: 'x'.repeat(100_001) },
    { done: false },
    { done: false, reason: '' },
    { accepted: false, reason: 'of the wrong question' },
  ])('is refused as the end of work when it makes no sense: %o', async (body) => {
    answer = answeringJson(body);
    await expect(work()).rejects.toThrow();
  });

  it('is refused when it is not JSON', async () => {
    answer = answering(200, '<html>');
    await expect(evaluate()).rejects.toThrow(SyntaxError);
  });

  it.each([400, 404, 500, 503])('is refused with status %i, whatever it says', async (status) => {
    answer = answering(status, JSON.stringify({ accepted: true, workPriceSats: 1 }));
    await expect(evaluate()).rejects.toThrow(`The agent answered ${status}.`);
  });

  it('is refused without a body', async () => {
    answer = answering(204, '');
    await expect(evaluate()).rejects.toThrow(SyntaxError);
  });

  it('is not read beyond a bound', async () => {
    let closed = false;
    answer = (response) => {
      response.writeHead(200);
      response.on('close', () => {
        closed = true;
      });
      const more = () => {
        if (!closed) response.write(Buffer.alloc(65_536, 0x20), more);
      };
      more();
    };
    await expect(evaluate()).rejects.toThrow('The agent answered too much.');
  });

  it('is refused when the connection breaks in the middle', async () => {
    answer = (response) =>
      response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy());
    await expect(evaluate()).rejects.toThrow();
  });

  it('is an error when nobody is there', async () => {
    const away = createHttpAgent({ url: new URL('http://127.0.0.1:9/'), secret, timeoutMs: 1_000, clock });
    await expect(evaluate(away)).rejects.toThrow();
  });
});
