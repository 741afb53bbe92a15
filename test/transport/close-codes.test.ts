import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Client, createClient } from 'graphql-ws';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { startTestApp, type TestApp, useTestApp } from '../support/app.ts';
import { movableClock } from '../support/clock.ts';
import { appendEvent, withoutTable } from '../support/faults.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { until } from '../support/until.ts';

const watching: Array<{ readonly client: Client; readonly seen: { readonly ended: boolean } }> = [];

afterEach(async () => {
  // One that has given up has nothing left.
  for (const { client, seen } of watching.splice(0)) if (!seen.ended) await client.dispose();
});

/** A client of graphql-ws as it is, but that it waits less; and what becomes of its subscription. */
function watch(url: string, params: Record<string, unknown>, variables: Record<string, unknown>) {
  const seen = { opened: 0, closes: [] as Array<{ code: number; reason: string }>, results: 0, ended: false };
  const sockets: WebSocket[] = [];
  const client = createClient({
    url,
    webSocketImpl: WebSocket,
    connectionParams: params,
    retryAttempts: 2,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 10)),
    on: {
      opened: (socket) => {
        seen.opened += 1;
        sockets.push(socket as WebSocket);
      },
      closed(event) {
        const { code, reason } = event as { code: number; reason: string };
        seen.closes.push({ code, reason });
      },
    },
  });
  watching.push({ client, seen });
  client.subscribe(
    { query: watchJob, variables },
    {
      next: () => {
        seen.results += 1;
      },
      error: () => {
        seen.ended = true;
      },
      complete: () => {
        seen.ended = true;
      },
    },
  );
  return {
    seen,
    /** Sends something on the newest socket, behind the client's back. */
    say: (message: unknown) => sockets.at(-1)?.send(message as string),
    cut: () => sockets.at(-1)?.terminate(),
  };
}

type Watching = ReturnType<typeof watch>;

/** A client that watches a job, and was told of it. */
async function watchOn(
  app: TestApp,
  subject = 'alice',
  expiresInSeconds = 3_600,
  url = app.webSocketUrl as string,
) {
  const token = await app.token(subject, ['USER'], expiresInSeconds);
  const { job } = await createJob(app, 'Be watched.', { token });
  const watching = watch(url, { authorization: `Bearer ${token}` }, { id: job.id });
  await until('the first result', () => watching.seen.results > 0);
  return { watching, job, token };
}

async function expectRetried({ seen }: Watching, close: { code: number; reason: string }): Promise<void> {
  await until('it comes back', () => seen.opened > 1);
  expect(seen.closes[0]).toEqual(close);
}

async function expectFatal({ seen }: Watching, close: { code: number; reason: string }): Promise<void> {
  await until('its end', () => seen.ended);
  expect(seen.closes).toEqual([close]);
  expect(seen.opened).toBe(1);
}

describe('an unmodified client of graphql-ws comes back, and goes on', () => {
  const app = useTestApp();

  it('after 1001: the server stops', async () => {
    const stopping = await startTestApp();
    const { watching } = await watchOn(stopping);
    await stopping.stop();
    await until('its close', () => watching.seen.closes.length > 0);
    expect(watching.seen.closes[0]).toEqual({ code: 1001, reason: 'Going away' });
    // Nobody listens there any more, and that is an error of another kind.
    await until('it has tried again', () => watching.seen.closes.length === 2);
  });

  it('after 1006: the line is cut', async () => {
    const { watching } = await watchOn(app());
    watching.cut();
    await expectRetried(watching, { code: 1006, reason: '' });
    await until('it goes on', () => watching.seen.results > 1);
  });

  it('after 1012: an event came that this server is too old to show', async () => {
    const { watching, job } = await watchOn(app());
    await appendEvent(app(), `job:${job.id}`, 'JobPainted', { jobId: job.id });
    await expectRetried(watching, { code: 1012, reason: 'Newer server needed' });
    await until('it goes on', () => watching.seen.results > 1);
  });

  it('after 1013: its credentials could not be looked at', async () => {
    const { job, token } = await watchOn(app());
    const watching = await withoutTable(app(), 'users', async () => {
      const begun = watch(app().webSocketUrl as string, { authorization: `Bearer ${token}` }, { id: job.id });
      await until('its close', () => begun.seen.closes.length > 0);
      return begun;
    });
    await expectRetried(watching, { code: 1013, reason: 'Try again later' });
  });

  it('after 4403: its token has expired while it was connected', async () => {
    const clock = movableClock();
    const aging = await startTestApp({}, { clock });
    const { watching } = await watchOn(aging, 'alice', 600);
    clock.advance(660_000);
    await until('it gives up, as its token stays the same', () => watching.seen.ended);
    expect(watching.seen.closes).toEqual(Array(3).fill({ code: 4403, reason: 'Token expired' }));
  });

  it('after 4430: it has sent too many messages', async () => {
    const { watching } = await watchOn(app());
    for (let sent = 0; sent < 1_000; sent += 1) watching.say('{"type":"pong"}');
    await expectRetried(watching, { code: 4430, reason: 'Too many messages' });
    await until('it goes on', () => watching.seen.results > 1);
  });

  it('after 4430: its viewer has too many connections', async () => {
    const narrow = await startTestApp({ LIMIT_CONNECTIONS_PER_VIEWER: '1' });
    const { job, token } = await watchOn(narrow);
    const second = watch(narrow.webSocketUrl as string, { authorization: `Bearer ${token}` }, { id: job.id });
    await expectRetried(second, { code: 4430, reason: 'Too many connections' });
    await until('it gives up', () => second.seen.ended);
    expect(second.seen.opened).toBe(3);
  });
});

describe('an unmodified client of graphql-ws does not come back', () => {
  const app = useTestApp({ LIMIT_MESSAGE_BYTES: '2048' });

  it.each([
    ['1002: a frame without a mask', 1002, [0x81, 1, 0x78]],
    ['1007: text that is not UTF-8', 1007, [0x81, 0x81, 0, 0, 0, 0, 0xff]],
  ])('after %s', async (_name, code, bytes) => {
    const line = await startLine(app().webSocketUrl as string);
    const { watching } = await watchOn(app(), 'alice', 3_600, line.url);
    line.write(Buffer.from(bytes));
    await expectFatal(watching, { code, reason: '' });
  });

  it.each([
    ['1009: a message that is too large', 'x'.repeat(2_049), 1009, ''],
    ['4400: what is no message', 'hello', 4400, 'Invalid message received'],
    ['4429: a second introduction', '{"type":"connection_init"}', 4429, 'Too many initialisation requests'],
  ])('after %s', async (_name, message, code, reason) => {
    const { watching } = await watchOn(app());
    watching.say(message);
    await expectFatal(watching, { code, reason });
  });

  it('after 4401: credentials that are refused', async () => {
    const watching = watch(app().webSocketUrl as string, { authorization: 'Bearer x' }, {});
    await expectFatal(watching, { code: 4401, reason: 'The token is not valid.' });
  });

  it('after 4401: a token that was revoked', async () => {
    const { watching, token } = await watchOn(app(), 'bob');
    await app().ask('mutation { signOut { signedOut } }', {}, { token });
    await expectFatal(watching, { code: 4401, reason: 'Token revoked' });
  });

  it('after 4409: an id that is in use', async () => {
    const { watching, job } = await watchOn(app());
    const message = {
      id: 'mine',
      type: 'subscribe',
      payload: { query: watchJob, variables: { id: job.id } },
    };
    watching.say(JSON.stringify(message));
    watching.say(JSON.stringify(message));
    await expectFatal(watching, { code: 4409, reason: 'Subscriber for mine already exists' });
  });

  it('after 1000: nothing ran on its socket', async () => {
    const idle = await startTestApp({ LIMIT_IDLE_SECONDS: '1' });
    const closes: number[] = [];
    const client = createClient({
      url: idle.webSocketUrl as string,
      webSocketImpl: WebSocket,
      lazy: false,
      retryAttempts: 2,
      on: { closed: (event) => closes.push((event as { code: number }).code) },
    });
    await until('the close', () => closes.length > 0);
    expect(closes).toEqual([1000]);
    await client.dispose();
  });
});

/** A line to a server that a test may write on, between the frames of the client. */
async function startLine(target: string) {
  const { hostname, port, pathname } = new URL(target);
  const upstreams: Socket[] = [];
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const end of [client, upstream]) end.on('error', () => {});
    client.pipe(upstream).pipe(client);
    upstreams.push(upstream);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    for (const upstream of upstreams) upstream.destroy();
    server.close();
  });
  await until('it listens', () => server.listening);
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    write: (bytes: Buffer) => upstreams.at(-1)?.write(bytes),
  };
}

describe('codes that need a fault in a client or in the server are sent by a server of the test', () => {
  async function served(code: number, reason: string): Promise<Watching> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    server.on('connection', (socket) => socket.close(code, reason));
    await until('it listens', () => server.address());
    const { port } = server.address() as AddressInfo;
    const watching = watch(`ws://127.0.0.1:${port}`, {}, {});
    await until('its close', () => watching.seen.closes.length > 0);
    await until('its end', () => watching.seen.ended);
    server.close();
    return watching;
  }

  it.each([
    [1013, 'Slow consumer'],
    [4408, 'Connection initialisation timeout'],
  ])('%i is retried', async (code, reason) => {
    const { seen } = await served(code, reason);
    expect(seen.closes[0]).toEqual({ code, reason });
    expect(seen.opened).toBe(3);
  });

  it.each([
    [4401, 'Unauthorized'],
    [4406, 'Subprotocol not acceptable'],
    [4500, 'Internal server error'],
    [1008, 'Too many message fragments'],
  ])('%i is not', async (code, reason) => {
    await expectFatal(await served(code, reason), { code, reason });
  });
});
