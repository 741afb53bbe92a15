import { beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { appendEvent, holdDatabase, withoutTable } from '../support/faults.ts';
import { createJob, key, watchJob } from '../support/operations.ts';
import {
  type Frame,
  fragments,
  opcodes,
  openFrames,
  type RawFrames,
  textFrame,
} from '../support/raw-frames.ts';
import { openSocket } from '../support/raw-socket.ts';
import { until } from '../support/until.ts';
import { bearer, watchingSocket } from '../support/watching.ts';

const app = useTestApp({ LIMIT_MESSAGE_BYTES: '4096' });
const roles = '{ viewer { roles } }';
const answered = { data: { viewer: null } };
const createJobMutation = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { state } } }';
const subscribe = (id: string, query: string, variables?: object) => ({
  id,
  type: 'subscribe',
  payload: { query, variables },
});

/** A connection that was acknowledged. */
const acknowledged = () => openFrames(app().webSocketUrl, {});

/** Asks for a pong: by then the server has answered all that it was sent before. */
async function settled(raw: RawFrames): Promise<void> {
  const pings = () => raw.frames.filter(({ opcode }) => opcode === opcodes.pong).length;
  const before = pings();
  raw.send({ opcode: opcodes.ping, payload: Buffer.from('?') });
  await until('the pong', () => pings() > before);
}

describe('connection_init', () => {
  it.each([
    ['without a payload', { type: 'connection_init' }],
    ['with one that is null', { type: 'connection_init', payload: null }],
    ['with one that is empty', { type: 'connection_init', payload: {} }],
    ['with what is not known', { type: 'connection_init', payload: { lang: 'en', deep: [1, { a: null }] } }],
    ['with members that are not known', { type: 'connection_init', id: 'x', more: 1 }],
  ])('%s is answered with connection_ack', async (_name, message) => {
    const raw = await openFrames(app().webSocketUrl);
    raw.say(message);
    await until('the answer', () => raw.messages.length > 0);
    await settled(raw);
    expect(raw.messages).toEqual([{ type: 'connection_ack' }]);
  });

  it('is acknowledged with a ticket when one was asked for', async () => {
    const token = await app().token('alice');
    const raw = await openFrames(app().webSocketUrl, { authorization: `Bearer ${token}`, ticket: true });
    expect(raw.messages).toEqual([
      {
        type: 'connection_ack',
        payload: { ticket: expect.any(String), ticketExpiresAt: expect.any(String) },
      },
    ]);
  });

  it('may be read by the server before a second one is, which is one too many', async () => {
    const raw = await openFrames(app().webSocketUrl);
    raw.say({ type: 'connection_init' }, { type: 'connection_init' });
    expect(await raw.closed()).toBe(4429);
    expect(raw.closeReason).toBe('Too many initialisation requests');
  });
});

describe('ping and pong', () => {
  it.each([
    ['without a payload', { type: 'ping' }, { type: 'pong' }],
    ['with one that is null', { type: 'ping', payload: null }, { type: 'pong', payload: null }],
    ['with one that is empty', { type: 'ping', payload: {} }, { type: 'pong', payload: {} }],
    [
      'with one of any depth and any characters',
      { type: 'ping', payload: { a: [{ b: 'é€😀\u0000"\\' }] } },
      { type: 'pong', payload: { a: [{ b: 'é€😀\u0000"\\' }] } },
    ],
  ])('ping %s is answered with its like, before the introduction and after it', async (_name, ping, pong) => {
    const raw = await openFrames(app().webSocketUrl);
    raw.say(ping, { type: 'connection_init' });
    await until('the acknowledgement', () => raw.messages.length === 2);
    raw.say(ping);
    await until('the second pong', () => raw.messages.length === 3);
    expect(raw.messages.filter(({ type }) => type === 'pong')).toEqual([pong, pong]);
  });

  it.each([{ type: 'pong' }, { type: 'pong', payload: null }, { type: 'pong', payload: { a: 1 } }])(
    '%j is heard, and not answered',
    async (pong) => {
      const raw = await openFrames(app().webSocketUrl);
      raw.say(pong, { type: 'connection_init' }, pong);
      await settled(raw);
      await until('the acknowledgement', () => raw.messages.length > 0);
      expect(raw.messages).toEqual([{ type: 'connection_ack' }]);
    },
  );
});

describe('subscribe', () => {
  it('to a query is answered with next and complete', async () => {
    const raw = await acknowledged();
    raw.say(subscribe('1', roles));
    await until('its end', () => raw.of('1').length === 2);
    expect(raw.of('1')).toEqual([
      { id: '1', type: 'next', payload: answered },
      { id: '1', type: 'complete' },
    ]);
  });

  it('to a mutation is answered with next and complete', async () => {
    const raw = await acknowledged();
    raw.say(subscribe('1', createJobMutation, { input: { prompt: 'Count.', idempotencyKey: key() } }));
    await until('its end', () => raw.of('1').length === 2);
    expect(raw.of('1')).toEqual([
      {
        id: '1',
        type: 'next',
        payload: { data: { createJob: { job: { state: 'AWAITING_EVAL_PAYMENT' } } } },
      },
      { id: '1', type: 'complete' },
    ]);
  });

  it('to what is refused is answered with error, and nothing after it', async () => {
    const raw = await acknowledged();
    raw.say(
      subscribe('1', '{'),
      subscribe('2', watchJob, { id: 'job_nothing' }),
      subscribe('3', '{ nothing }'),
    );
    await until('the errors', () => ['1', '2', '3'].every((id) => raw.of(id).length > 0));
    await settled(raw);
    const code = (code: string) => expect.objectContaining({ extensions: expect.objectContaining({ code }) });
    expect(raw.of('1')).toEqual([{ id: '1', type: 'error', payload: [code('GRAPHQL_PARSE_FAILED')] }]);
    expect(raw.of('2')).toEqual([{ id: '2', type: 'error', payload: [code('UNAUTHENTICATED')] }]);
    expect(raw.of('3')).toEqual([{ id: '3', type: 'error', payload: [code('GRAPHQL_VALIDATION_FAILED')] }]);
  });

  it.each([
    ['null where something may be missing', { variables: null, operationName: null, extensions: null }],
    ['extensions, and members that are not known', { extensions: { a: 1 }, more: true }],
    ['variables that are not asked for', { variables: { no: 1 } }],
  ])('takes %s', async (_name, more) => {
    const raw = await acknowledged();
    raw.say({ id: '1', type: 'subscribe', payload: { query: roles, ...more } });
    await until('its end', () => raw.of('1').length === 2);
    expect(raw.of('1')[0]).toEqual({ id: '1', type: 'next', payload: answered });
  });

  const ids = [
    ' ',
    '0',
    '-1',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'é€😀',
    '\u0000\n"\\/',
    '\ud800',
    '\u2028',
    'x'.repeat(1_000),
    '€'.repeat(1_000),
  ];

  it.each(ids.map((id) => [id.slice(0, 20), id] as const))(
    'takes an id of any characters: %j',
    async (_name, id) => {
      const { job, as } = await createJob(app(), 'Be watched.');
      const raw = await openFrames(app().webSocketUrl, { authorization: `Bearer ${as.token}` });
      raw.say(subscribe(id, watchJob, { id: job.id }));
      await until('the first result', () => raw.of(id).length === 1);
      raw.say(subscribe('query', roles));
      await until('its end', () => raw.of('query').length === 2);
      expect(raw.of(id)[0]).toMatchObject({
        type: 'next',
        payload: { data: { jobUpdated: { cursor: expect.anything() } } },
      });
      raw.say({ id, type: 'complete' });
      await settled(raw);
      raw.say(subscribe(id, roles));
      await until('the second operation of that id', () => raw.of(id).length === 3);
      expect(raw.of(id).map(({ type }) => type)).toEqual(['next', 'next', 'complete']);
      raw.say(subscribe(id, watchJob, { id: job.id }));
      await until('the third', () => raw.of(id).length === 4);
      raw.say(subscribe(id, watchJob, { id: job.id }));
      expect([id, await raw.closed()]).toEqual([id, 4409]);
      const told = id.length < 25 ? `${id} already exists` : `${id.slice(0, 25)}…`;
      expect(raw.closeReason).toBe(String(Buffer.from(`Subscriber for ${told}`)));
    },
  );
});

describe('complete', () => {
  let job: Json;
  let token: string;
  const watching = () => openFrames(app().webSocketUrl, { authorization: `Bearer ${token}` });
  const members = () => app().hub.size().members;

  beforeAll(async () => {
    token = await app().token('alice');
    ({ job } = await createJob(app(), 'Be watched.', { token }));
  });

  it('ends a subscription, and is not answered', async () => {
    const raw = await watching();
    const before = members();
    raw.say(subscribe('1', watchJob, { id: job.id }));
    await until('the first result', () => raw.of('1').length === 1);
    expect(members()).toBe(before + 1);
    raw.say({ id: '1', type: 'complete' });
    await until('its end', () => members() === before);
    await appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
    await settled(raw);
    expect(raw.of('1')).toHaveLength(1);
  });

  it('twice, or of an id that nothing has, changes nothing', async () => {
    const raw = await watching();
    raw.say({ id: 'unknown', type: 'complete' });
    raw.say(subscribe('1', watchJob, { id: job.id }), subscribe('2', watchJob, { id: job.id }));
    await until('the first results', () => raw.of('1').length === 1 && raw.of('2').length === 1);
    raw.say({ id: '1', type: 'complete' }, { id: '1', type: 'complete' });
    await settled(raw);
    await appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
    await until('the event', () => raw.of('2').length === 2);
    expect(raw.of('1')).toHaveLength(1);
    expect(raw.of('unknown')).toEqual([]);
    expect(raw.closeCode).toBeUndefined();
  });

  it('before the first result leaves nothing behind, and nothing is answered', async () => {
    const raw = await watching();
    const before = members();
    const held = await holdDatabase(app());
    raw.say(
      subscribe('watch', watchJob, { id: job.id }),
      subscribe('query', roles),
      subscribe('refused', watchJob, { id: 'job_0000000000000000000000' }),
      ...['watch', 'query', 'refused'].map((id) => ({ id, type: 'complete' })),
    );
    await settled(raw);
    await held.release();
    // Whatever the database was asked before this has been answered.
    await app().ask(roles, {}, { token });
    raw.say(subscribe('last', roles));
    await until('the last one', () => raw.of('last').length === 2);
    await until('nothing is left', () => members() === before);
    expect(raw.messages.map(({ id }) => id)).toEqual([undefined, 'last', 'last']);
  });

  it('frees its id: what is subscribed to with it then is told once', async () => {
    const raw = await watching();
    for (let round = 1; round <= 3; round += 1) {
      raw.say(subscribe('1', watchJob, { id: job.id }));
      await until('a first result', () => raw.of('1').length === round);
      raw.say({ id: '1', type: 'complete' });
      await settled(raw);
    }
    raw.say(subscribe('1', watchJob, { id: job.id }));
    await until('the first result', () => raw.of('1').length === 4);
    await appendEvent(app(), `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
    await until('the event', () => raw.of('1').length === 5);
    await settled(raw);
    expect(raw.of('1').map(({ payload }) => payload.data.jobUpdated.__typename)).toEqual([
      ...Array(4).fill('JobSnapshot'),
      'JobRejected',
    ]);
  });
});

describe('what is no message', () => {
  const invalid: ReadonlyArray<readonly [name: string, text: string]> = [
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['half a message', '{"type":"ping"'],
    ['two at once', '{"type":"ping"}{"type":"ping"}'],
    ...['null', 'true', '7', '"ping"', '[]', '[{"type":"ping"}]', '{}'].map((text) => [text, text] as const),
    ...[
      { type: 7 },
      { type: '' },
      { type: null },
      { type: 'start', id: '1', payload: { query: roles } },
      { type: 'PING' },
      { type: 'connection_init', payload: 'x' },
      { type: 'connection_init', payload: [] },
      { type: 'ping', payload: 'x' },
      { type: 'pong', payload: 7 },
      { type: 'subscribe', payload: { query: roles } },
      { type: 'subscribe', id: '', payload: { query: roles } },
      { type: 'subscribe', id: 7, payload: { query: roles } },
      { type: 'subscribe', id: null, payload: { query: roles } },
      { type: 'subscribe', id: '1' },
      { type: 'subscribe', id: '1', payload: null },
      { type: 'subscribe', id: '1', payload: roles },
      { type: 'subscribe', id: '1', payload: [] },
      { type: 'subscribe', id: '1', payload: {} },
      { type: 'subscribe', id: '1', payload: { query: null } },
      { type: 'subscribe', id: '1', payload: { query: { kind: 'Document' } } },
      { type: 'subscribe', id: '1', payload: { query: roles, variables: [] } },
      { type: 'subscribe', id: '1', payload: { query: roles, variables: '{}' } },
      { type: 'subscribe', id: '1', payload: { query: roles, operationName: 7 } },
      { type: 'subscribe', id: '1', payload: { query: roles, extensions: [] } },
      { type: 'complete' },
      { type: 'complete', id: '' },
      { type: 'complete', id: 7 },
      // Messages that only a server sends.
      { type: 'connection_ack' },
      { type: 'next', id: '1', payload: { data: null } },
      { type: 'error', id: '1', payload: [{ message: 'No.' }] },
    ].map((message) => [JSON.stringify(message), JSON.stringify(message)] as const),
  ];

  it.each(invalid)('closes the socket with 4400: %s', async (_name, text) => {
    for (const params of [undefined, {}]) {
      const raw = await openFrames(app().webSocketUrl, params);
      raw.send(textFrame(text));
      expect(await raw.closed()).toBe(4400);
      expect(raw.closeReason).toBe('Invalid message received');
    }
  });
});

describe('the frames of a message', () => {
  const ask = JSON.stringify(subscribe('1', roles));
  const ping = (text: string): Frame => ({ opcode: opcodes.ping, payload: Buffer.from(text) });

  it.each<[name: string, frames: readonly Frame[]]>([
    ['one frame', [textFrame(ask)]],
    ['a frame of bytes', [{ opcode: opcodes.binary, payload: Buffer.from(ask) }]],
    ['fragments', fragments(ask, 10)],
    ['fragments with pings between them', fragments(ask, 10).flatMap((frame) => [frame, ping('!')])],
    [
      'a fragment without anything',
      [
        { ...textFrame(''), isLast: false },
        { ...textFrame(ask), opcode: opcodes.more },
      ],
    ],
    ['fragments cut within a character', fragments(ask.replace('{ ', '{ # €€€€€€\\n'), 7)],
  ])('may be %s', async (_name, frames) => {
    const raw = await acknowledged();
    raw.send(...frames);
    await until('its end', () => raw.of('1').length === 2);
    expect(raw.of('1')[0]).toEqual({ id: '1', type: 'next', payload: answered });
  });

  it('may come byte by byte', async () => {
    const raw = await openFrames(app().webSocketUrl);
    const all = fragments('{"type":"ping","payload":{"a":"€😀"}}', 5);
    raw.send(...all.slice(0, -1));
    raw.send(...all.slice(-1));
    await until('the pong', () => raw.messages.length > 0);
    expect(raw.messages).toEqual([{ type: 'pong', payload: { a: '€😀' } }]);
  });

  it.each(['', 'x', 'x'.repeat(125), '\u0000\u00ff'])(
    'ping with %j is answered with the same',
    async (text) => {
      const raw = await openFrames(app().webSocketUrl);
      raw.send(ping(text), { opcode: opcodes.pong, payload: Buffer.from('unasked') });
      // The server may ping at any time.
      const answers = () => raw.frames.filter(({ opcode }) => opcode !== opcodes.ping);
      await until('the pong', () => answers().length > 0);
      expect(answers().map(({ opcode, payload }) => [opcode, String(payload)])).toEqual([
        [opcodes.pong, text],
      ]);
    },
  );

  const invalidUtf8 = Buffer.from([0x22, 0xc3, 0x28, 0x22]);
  const close = (...bytes: number[]): Frame => ({ opcode: opcodes.close, payload: Buffer.from(bytes) });

  it.each<[name: string, code: number, frames: readonly Frame[]]>([
    ['text that is not UTF-8', 1007, [{ opcode: opcodes.text, payload: invalidUtf8 }]],
    ['a close whose reason is not UTF-8', 1007, [close(0x03, 0xe8, 0xc3, 0x28)]],
    ['a message over the limit', 1009, [textFrame('x'.repeat(4_097))]],
    ['fragments that are together over the limit', 1009, fragments('x'.repeat(4_097), 1_024)],
    ['no mask', 1002, [{ ...textFrame(ask), isMasked: false }]],
    ['the first reserved bit', 1002, [{ ...textFrame(ask), reserved: 4 }]],
    ['the second reserved bit', 1002, [{ ...textFrame(ask), reserved: 2 }]],
    ['the third reserved bit', 1002, [{ ...textFrame(ask), reserved: 1 }]],
    ['an unknown opcode', 1002, [{ opcode: 3, payload: Buffer.from(ask) }]],
    ['an unknown opcode of control', 1002, [{ opcode: 11, payload: Buffer.alloc(0) }]],
    ['the end of nothing', 1002, [{ ...textFrame(ask), opcode: opcodes.more }]],
    ['a beginning within a message', 1002, [{ ...textFrame('{'), isLast: false }, textFrame(ask)]],
    ['a ping in parts', 1002, [{ ...ping('x'), isLast: false }]],
    ['a ping that is too large', 1002, [ping('x'.repeat(126))]],
    ['a close with half a code', 1002, [close(0x03)]],
    ['a close with a code that nobody may send', 1002, [close(0x03, 0xed)]],
    ['a close with a code that there is not', 1002, [close(0xff, 0xff)]],
  ])('close the socket: %s, with %i', async (_name, code, frames) => {
    for (const params of [undefined, {}]) {
      const raw = await openFrames(app().webSocketUrl, params);
      raw.send(...frames);
      expect(await raw.closed()).toBe(code);
    }
  });

  it('that break the rules end the line too, though no answer comes', async () => {
    const raw = await acknowledged();
    raw.send({ opcode: 3, payload: Buffer.alloc(0) });
    await until('the line is gone', () => raw.ended);
    expect(raw.closeCode).toBe(1002);
  });

  it.each([
    ['without a code', [], 1005],
    ['with 1000', [0x03, 0xe8], 1000],
    ['with a code of its own', [0x11, 0x30], 4400],
  ])('a close %s is answered with the same', async (_name, bytes, code) => {
    const raw = await acknowledged();
    raw.send(close(...bytes));
    expect(await raw.closed()).toBe(code);
    await until('the line is gone', () => raw.ended);
    expect(raw.messages).toEqual([{ type: 'connection_ack' }]);
  });
});

describe('a close by the server', () => {
  it('4401: an operation before the introduction, or before its acknowledgement', async () => {
    const raw = await openFrames(app().webSocketUrl);
    raw.say(subscribe('1', roles));
    expect([await raw.closed(), raw.closeReason]).toEqual([4401, 'Unauthorized']);
    const token = await app().token('alice');
    const held = await holdDatabase(app());
    const early = await openFrames(app().webSocketUrl);
    early.say(
      { type: 'connection_init', payload: { authorization: `Bearer ${token}` } },
      subscribe('1', roles),
    );
    expect([await early.closed(), early.closeReason]).toEqual([4401, 'Unauthorized']);
    await held.release();
    expect(early.messages).toEqual([]);
  });

  it('4401: credentials that are refused', async () => {
    const raw = await openFrames(app().webSocketUrl, { authorization: 'Bearer nonsense' });
    expect([await raw.closed(), raw.closeReason]).toEqual([4401, 'The token is not valid.']);
    expect(raw.messages).toEqual([]);
  });

  it('4403: a token that has expired', async () => {
    const clock = standingClock();
    const aging = await startTestApp({}, { clock });
    const token = await aging.token('alice', ['USER'], 1);
    clock.advance(60_000);
    const raw = await openFrames(aging.webSocketUrl, { authorization: `Bearer ${token}` });
    expect([await raw.closed(), raw.closeReason]).toEqual([4403, 'Token expired']);
  });

  it.each([
    ['another subprotocol', 'graphql-ws'],
    ['several others', 'graphql-ws, mqtt'],
  ])('4406: %s', async (_name, protocol) => {
    const raw = await openFrames(app().webSocketUrl, undefined, { 'sec-websocket-protocol': protocol });
    expect([await raw.closed(), raw.closeReason]).toEqual([4406, 'Subprotocol not acceptable']);
  });

  it('takes the subprotocol from among others', async () => {
    const socket = await openSocket(app().webSocketUrl, { protocol: ['graphql-ws', 'graphql-transport-ws'] });
    expect(socket.texts).toEqual(['{"type":"connection_ack"}']);
  });

  it('4408: no introduction within 3 seconds, whatever else is sent', async () => {
    const raw = await openFrames(app().webSocketUrl);
    raw.say({ type: 'ping' });
    expect([await raw.closed(), raw.closeReason]).toEqual([4408, 'Connection initialisation timeout']);
  });

  it('4409: two operations of one id, also while the first has not begun', async () => {
    const held = await holdDatabase(app());
    const { webSocketUrl } = app();
    const raw = await openFrames(webSocketUrl, {});
    raw.say(subscribe('1', createJobMutation, { input: { prompt: 'One.', idempotencyKey: key() } }));
    raw.say(subscribe('1', roles));
    expect([await raw.closed(), raw.closeReason]).toEqual([4409, 'Subscriber for 1 already exists']);
    await held.release();
  });

  it('4430: more messages than a socket may send', async () => {
    const raw = await acknowledged();
    raw.say(...Array(1_000).fill({ type: 'pong' }));
    expect([await raw.closed(), raw.closeReason]).toEqual([4430, 'Too many messages']);
  });

  it('1012: an event that only a newer server knows', async () => {
    const { socket, job } = await watchingSocket(app());
    await appendEvent(app(), `job:${job.id}`, 'JobPainted', { jobId: job.id });
    expect(await socket.closed).toEqual({ code: 1012, reason: 'Newer server needed' });
  });

  it('1013: credentials that cannot be looked at for the moment', async () => {
    const token = await app().token('alice');
    const close = await withoutTable(app(), 'users', async () => {
      const socket = await openSocket(app().webSocketUrl, bearer(token));
      return socket.closed;
    });
    expect(close).toEqual({ code: 1013, reason: 'Try again later' });
  });

  it('1001: it stops', async () => {
    const other = await startTestApp();
    const { socket } = await watchingSocket(other);
    await other.stop();
    expect(await socket.closed).toEqual({ code: 1001, reason: 'Going away' });
  });

  it('is the last word: nothing that is sent after it is heard', async () => {
    const { socket, job, token } = await watchingSocket(app(), 'eve');
    const raw = await openFrames(app().webSocketUrl, { authorization: `Bearer ${token}` });
    await app().ask('mutation { signOut { signedOut } }', {}, { token });
    expect(await raw.closed()).toBe(4401);
    await socket.closed;
    const idempotencyKey = key();
    raw.say(
      subscribe('late', createJobMutation, { input: { prompt: 'Too late.', idempotencyKey } }),
      subscribe('watch', watchJob, { id: job.id }),
    );
    await until('the line is gone', () => raw.ended);
    const [row] = await app().services.db.query<{ made: number }>(
      `SELECT count(*)::int AS made FROM agent_jobs WHERE prompt = 'Too late.'`,
    );
    expect(row).toEqual({ made: 0 });
  });
});
