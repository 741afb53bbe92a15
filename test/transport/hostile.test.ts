import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/graphql/schema.ts';
import { startTestApp, type TestApp, temporaryFolder, useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { appendEvent } from '../support/faults.ts';
import { createJob, key, openSession, watchJob } from '../support/operations.ts';
import {
  fragments,
  opcodes,
  openFrames,
  type RawFrames,
  textFrame,
  upgradeHead,
} from '../support/raw-frames.ts';
import { connectRaw } from '../support/raw-http.ts';
import { openSocket, refusedUpgrade } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { refusedDocuments } from '../support/refused-documents.ts';
import { until } from '../support/until.ts';
import { bearer, expectAlive, watchingSocket } from '../support/watching.ts';

const roles = '{ viewer { roles } }';
const createJobMutation = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }';
const ask = (id: string, query = roles, variables: object = {}) => ({
  id,
  type: 'subscribe',
  payload: { query, variables },
});

/** Does something while a neighbour watches a session, and asks: each event comes once, in order, each answer too. */
async function besideNeighbour(app: TestApp, attack: () => Promise<void>): Promise<void> {
  const token = await app.token('a neighbour');
  const { session } = await openSession(app, 1_000, { token });
  const neighbour = await openFrames(app.webSocketUrl, { authorization: `Bearer ${token}` });
  const query = 'subscription ($id: ID!) { sessionDebited(id: $id, after: "START") { balanceAfter } }';
  neighbour.say(ask('watch', query, { id: session.id }));
  const told = (): number[] =>
    neighbour.of('watch').map(({ payload }) => payload.data.sessionDebited.balanceAfter);
  let isOver = false;
  let sent = 0;
  const going = (async () => {
    while (!isOver || sent < 20) {
      sent += 1;
      const facts = { sessionId: session.id, debitedSats: 1, balanceAfter: sent, memo: null };
      await appendEvent(app, `session:${session.id}`, 'SessionDebited', facts);
      neighbour.say(ask(`query ${sent}`));
      await until('the event', () => told().length === sent);
      await until('the answer', () => neighbour.of(`query ${sent}`).length === 2);
    }
  })();
  try {
    await attack();
  } finally {
    isOver = true;
  }
  await going;
  expect(told()).toEqual(Array.from({ length: sent }, (_, index) => index + 1));
  expect(neighbour.closeCode).toBeUndefined();
}

describe('a neighbour notices nothing of', () => {
  const app = useTestApp({ LIMIT_MESSAGES_PER_SECOND: '0' });

  it('50,000 subscribes on one socket, of which a hundred are taken', async () => {
    const token = await app().token('mallory');
    const { job } = await createJob(app(), 'Be watched by many.', { token });
    const { members } = app().hub.size();
    await besideNeighbour(app(), async () => {
      const raw = await openFrames(app().webSocketUrl, { authorization: `Bearer ${token}` });
      for (let first = 0; first < 50_000; first += 500) {
        raw.say(
          ...Array.from({ length: 500 }, (_, index) => ask(`${first + index}`, watchJob, { id: job.id })),
        );
        await until('the answers', () => raw.messages.length >= first + 500);
      }
      await until('all answers', () => raw.messages.length === 50_001);
      const refused = raw.messages.filter(({ type }) => type === 'error');
      expect(refused).toHaveLength(49_900);
      expect(refused.every(({ payload }) => payload[0].extensions.code === 'RATE_LIMITED')).toBe(true);
      expect(app().hub.size().members).toBeLessThanOrEqual(members + 1 + 100);
      raw.destroy();
    });
    await until('all have left', () => app().hub.size().members <= members + 1);
  });

  it.each<[name: string, code: number, attack: (raw: RawFrames) => void]>([
    ['a message in too many fragments', 1008, (raw) => raw.send(...fragments('x'.repeat(65), 1))],
    ['fragments without end', 1008, (raw) => raw.send(...fragments('x'.repeat(100_000), 1).slice(0, 50_000))],
    [
      'empty fragments',
      1008,
      (raw) =>
        raw.send(
          ...Array.from({ length: 1_000 }, (_, index) => ({
            opcode: index === 0 ? opcodes.text : opcodes.more,
            payload: Buffer.alloc(0),
            isLast: false,
          })),
        ),
    ],
    ['a frame that is too large', 1009, (raw) => raw.send(textFrame('x'.repeat(65_537)))],
    [
      'the head of a frame of 2 GiB',
      1009,
      (raw) => raw.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0])),
    ],
    [
      'the head of a frame of 2^63 bytes',
      1009,
      (raw) => raw.write(Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255])),
    ],
    [
      'text that is not UTF-8',
      1007,
      (raw) => raw.send({ opcode: opcodes.text, payload: Buffer.from([0xff]) }),
    ],
    ['noise', 1002, (raw) => raw.write(Buffer.alloc(10_000, 0x77))],
    ['a second introduction', 4429, (raw) => raw.say({ type: 'connection_init' })],
    ['no message of the protocol', 4400, (raw) => raw.say({ type: 'start' })],
  ])('%s: it is closed with %i', async (_name, code, attack) => {
    await besideNeighbour(app(), async () => {
      const attackers = await Promise.all(
        Array.from({ length: 5 }, () => openFrames(app().webSocketUrl, {})),
      );
      for (const raw of attackers) attack(raw);
      for (const raw of attackers) expect(await raw.closed()).toBe(code);
    });
  });

  it('documents that are too deep, too large or too costly, and of whatever else is refused', async () => {
    await besideNeighbour(app(), async () => {
      const raw = await openFrames(app().webSocketUrl, {});
      for (let round = 0; round < 3; round += 1)
        for (const { name, query, variables, operationName, code } of refusedDocuments) {
          const id = `${round} ${name}`;
          raw.say({ id, type: 'subscribe', payload: { query, variables, operationName } });
          await until('its end', () => raw.of(id).length > 0);
          expect([id, raw.of(id)[0].type, raw.of(id)[0].payload[0].extensions.code]).toEqual([
            id,
            'error',
            code,
          ]);
        }
    });
  });

  it('nobody, who asks for everything', async () => {
    const subscriptions = Object.keys(buildSchema().getSubscriptionType()?.getFields() ?? {});
    const watched: Readonly<Record<string, string>> = {
      jobUpdated: '(id: "job_1")',
      sessionUpdated: '(id: "ses_1")',
      sessionDebited: '(id: "ses_1")',
      streamUpdated: '(id: "str_1")',
      settleFinished: '(streamId: "str_1")',
    };
    // Open to all, where a chain is followed.
    const ofChain = ['tipUpdated', 'blockMined', 'mempoolUpdated', 'txSeen'];
    await besideNeighbour(app(), async () => {
      const raw = await openFrames(app().webSocketUrl, {});
      for (const field of subscriptions) {
        const code = ofChain.includes(field) ? 'UNAVAILABLE' : 'UNAUTHENTICATED';
        raw.say(ask(field, `subscription { ${field}${watched[field] ?? ''} { __typename } }`));
        await until('its end', () => raw.of(field).length > 0);
        expect([field, raw.of(field)]).toEqual([
          field,
          [
            {
              id: field,
              type: 'error',
              payload: [expect.objectContaining({ extensions: expect.objectContaining({ code }) })],
            },
          ],
        ]);
      }
      expect(subscriptions.length).toBeGreaterThanOrEqual(5);
    });
  });

  it('upgrades that come byte by byte, and introductions that do not come', async () => {
    await besideNeighbour(app(), async () => {
      const slow = await Promise.all(
        Array.from({ length: 20 }, async () => ({
          line: await connectRaw(app().url),
          left: upgradeHead(app().webSocketUrl as string),
        })),
      );
      const silent = await Promise.all(Array.from({ length: 20 }, () => openFrames(app().webSocketUrl)));
      const dripping = setInterval(() => {
        for (const each of slow) {
          each.line.write(each.left.slice(0, 1));
          each.left = each.left.slice(1);
        }
      }, 100);
      for (const raw of silent) expect(await raw.closed()).toBe(4408);
      for (const { line } of slow) await until('it is cut off', () => line.ended);
      clearInterval(dripping);
      for (const { line } of slow) expect(line.received).toMatch(/^HTTP\/1.1 408 /);
    });
  });
});

describe('limits', () => {
  const from = (address: string) => ({ 'x-forwarded-for': address });

  it('of connections of an address are said before the upgrade, by 429, and hold for that address', async () => {
    const app = await startTestApp({ TRUST_PROXY: '1', LIMIT_CONNECTIONS_PER_IP: '3' });
    const url = app.webSocketUrl as string;
    const open = (address: string) => openSocket(url, { headers: from(address) });
    const sockets = [await open('203.0.113.7'), await open('203.0.113.7'), await open('203.0.113.7')];
    for (let flood = 0; flood < 50; flood += 1)
      expect(await refusedUpgrade(url, from('203.0.113.7'))).toBe(429);
    for (const address of ['203.0.113.8', '2001:db8:1::1']) expect((await open(address)).isOpen).toBe(true);
    await sockets[0]?.close();
    await until('there is room', async () => {
      const socket = await open('203.0.113.7').catch(() => undefined);
      return socket?.isOpen;
    });
  });

  it('of connections of a viewer close one that is too many with 4430', async () => {
    const app = await startTestApp({ LIMIT_CONNECTIONS_PER_VIEWER: '2' });
    const token = await app.token('alice');
    for (let opened = 0; opened < 2; opened += 1)
      expect((await openSocket(app.webSocketUrl, bearer(token))).isOpen).toBe(true);
    const third = await openSocket(app.webSocketUrl, bearer(token));
    expect(await third.closed).toEqual({ code: 4430, reason: 'Too many connections' });
    const other = await openSocket(app.webSocketUrl, bearer(await app.token('bob')));
    expect(other.isOpen).toBe(true);
  });

  it('of mutations a minute are RATE_LIMITED over HTTP and over a socket alike', async () => {
    const app = await startTestApp({ LIMIT_MUTATIONS_PER_MINUTE: '4' });
    const token = await app.token('alice');
    const input = () => ({ input: { prompt: 'Count.', idempotencyKey: key() } });
    for (let made = 0; made < 4; made += 1) await app.ask(createJobMutation, input(), { token });
    const { errors } = await app.send(createJobMutation, input(), { token });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) });
    const socket = await openSocket(app.webSocketUrl, bearer(token));
    socket.subscribe('1', createJobMutation, input());
    expect(JSON.stringify(await socket.over('1'))).toContain('"code":"RATE_LIMITED"');
    socket.subscribe('2', roles);
    expect((await socket.over('2'))[0].payload.data.viewer.roles).toEqual(['USER']);
  });

  it('of bytes are 1009 on a socket and 413 over HTTP', async () => {
    const app = await startTestApp({ LIMIT_MESSAGE_BYTES: '2048', LIMIT_BODY_BYTES: '2048' });
    const post = async (bytes: number) => {
      const body = JSON.stringify({ query: roles, variables: { filler: 'x'.repeat(bytes) } });
      return (await fetch(app.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body }))
        .status;
    };
    expect([await post(1_000), await post(3_000)]).toEqual([200, 413]);
    const raw = await openFrames(app.webSocketUrl, {});
    raw.send(textFrame('x'.repeat(2_049)));
    expect(await raw.closed()).toBe(1009);
  });

  it('of time without an operation are 1000', async () => {
    const app = await startTestApp({ LIMIT_IDLE_SECONDS: '1' });
    const { socket, job } = await watchingSocket(app);
    const idle = await openSocket(app.webSocketUrl);
    expect(await idle.closed).toEqual({ code: 1000, reason: 'Idle' });
    await expectAlive(app, socket, job);
  });

  it('let a client that comes back subscribe at once to a hundred things', async () => {
    const app = await startTestApp();
    const { job, as } = await createJob(app, 'Be watched.');
    for (let round = 0; round < 2; round += 1) {
      const raw = await openFrames(app.webSocketUrl, { authorization: `Bearer ${as.token}` });
      raw.say(...Array.from({ length: 100 }, (_, index) => ask(`${index}`, watchJob, { id: job.id })));
      await until('all results', () => raw.messages.length === 101);
      expect(raw.messages.slice(1).every(({ type }: Json) => type === 'next')).toBe(true);
      raw.destroy();
    }
  });

  it('are none where they are 0', async () => {
    const none = Object.fromEntries(
      [
        'CONNECTIONS_PER_IP',
        'CONNECTIONS_PER_VIEWER',
        'SUBSCRIPTIONS_PER_CONNECTION',
        'MESSAGES_PER_SECOND',
        'MUTATIONS_PER_MINUTE',
        'MESSAGE_BYTES',
        'BODY_BYTES',
        'IDLE_SECONDS',
        'CONNECTION_BYTES',
        'BUFFERED_BYTES',
      ].map((name) => [`LIMIT_${name}`, '0']),
    );
    const app = await startTestApp({ TRUST_PROXY: '1', ...none });
    const token = await app.token('alice');
    const { job } = await createJob(app, 'Be watched.', { token });
    const sockets = await Promise.all(
      Array.from({ length: 220 }, () =>
        openFrames(app.webSocketUrl, { authorization: `Bearer ${token}` }, from('203.0.113.7')),
      ),
    );
    const raw = sockets[0] as RawFrames;
    raw.say(...Array.from({ length: 500 }, (_, index) => ask(`${index}`, watchJob, { id: job.id })));
    raw.say({ type: 'ping', payload: { large: 'x'.repeat(200_000) } });
    await until('all results', () => raw.messages.length === 502);
    expect(sockets.every(({ closeCode }) => closeCode === undefined)).toBe(true);
    const body = JSON.stringify({ query: roles, variables: { filler: 'x'.repeat(300_000) } });
    const response = await fetch(app.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(response.status).toBe(200);
  });
});

describe('with trusted documents alone', () => {
  it('the same is taken and refused by POST, GET, SSE and WebSocket', async () => {
    const path = join(await temporaryFolder(), 'manifest.json');
    const trusted = 'query Roles { viewer { roles } }';
    const hash = createHash('sha256').update(trusted).digest('hex');
    await writeFile(path, JSON.stringify({ [hash]: trusted }));
    const app = await startTestApp({ TRUSTED_DOCUMENTS: path });
    const extensions = { persistedQuery: { version: 1, sha256Hash: hash } };
    const get = async (parameters: Record<string, string>) =>
      (await fetch(`${app.url}?${new URLSearchParams(parameters)}`)).json();
    const socket = await openSocket(app.webSocketUrl);
    const over = async (id: string, payload: object) => {
      socket.send({ id, type: 'subscribe', payload });
      return (await socket.over(id))[0];
    };
    const answer = { data: { viewer: null } };
    expect(await app.send(trusted)).toEqual(answer);
    expect(await get({ query: trusted })).toEqual(answer);
    expect(await get({ extensions: JSON.stringify(extensions) })).toEqual(answer);
    expect(await over('1', { query: trusted })).toMatchObject({ type: 'next', payload: answer });
    expect(await over('2', { query: '', extensions })).toMatchObject({ type: 'next', payload: answer });

    const refused = [expect.objectContaining({ extensions: { code: 'BAD_USER_INPUT', argument: 'query' } })];
    expect(await app.send(roles)).toEqual({ errors: refused });
    expect(await get({ query: roles })).toEqual({ errors: refused });
    expect(await over('3', { query: roles })).toMatchObject({ type: 'error', payload: refused });
    const stream = await openStream(app.url, 'subscription { agentJobReady { id } }', {});
    expect([stream.status, JSON.parse(await stream.end())]).toEqual([400, { errors: refused }]);
    expect(socket.isOpen).toBe(true);
  });
});

it('an upgrade from a page of an origin that is not allowed is refused with 403', async () => {
  const app = await startTestApp({ ALLOWED_ORIGINS: 'https://app.example' });
  const url = app.webSocketUrl as string;
  for (const origin of ['https://evil.example', 'null', 'https://app.example.evil', 'http://app.example'])
    expect([origin, await refusedUpgrade(url, { origin })]).toEqual([origin, 403]);
  expect((await openSocket(url, { headers: { origin: 'https://app.example' } })).isOpen).toBe(true);
});
