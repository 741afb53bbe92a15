import { describe, expect, it } from 'vitest';
import { startTestApp, type TestApp, useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { openSocket, type RawSocket } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { until } from '../support/until.ts';
import { bearer, expectAlive, watchingSocket } from '../support/watching.ts';

const app = useTestApp({ AGENT: 'external' });
const refreshToken = 'mutation ($token: String!) { refreshToken(input: { token: $token }) { expiresAt } }';
const watchDue = 'subscription { agentJobReady { __typename id } }';

const messagesOf = ({ texts }: RawSocket, type: string): Json[] =>
  texts.map((text) => JSON.parse(text)).filter((message) => message.type === type);

/** The payload of the acknowledgement. */
const acknowledgement = (socket: RawSocket): Json => messagesOf(socket, 'connection_ack')[0]?.payload;

/** Connects with a ticket, perhaps beside a token; answers the socket. */
const comeBack = (ticket: string, token?: string, on: TestApp = app()) =>
  openSocket(on.webSocketUrl, {
    params: { ticket, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
  });

/** Connects with a token, and asks for a ticket. */
async function ticketOf(token: string, on: TestApp = app()): Promise<string> {
  const socket = await openSocket(on.webSocketUrl, {
    params: { authorization: `Bearer ${token}`, ticket: true },
  });
  return acknowledgement(socket).ticket;
}

async function viewerOn(socket: RawSocket): Promise<Json> {
  const id = `viewer ${socket.texts.length}`;
  socket.subscribe(id, '{ viewer { roles user { id } } }');
  return (await socket.over(id))[0].payload.data.viewer;
}

describe('a reconnect ticket', () => {
  it('is in the acknowledgement for whoever asks for one and has credentials, and says how long it lasts', async () => {
    const token = await app().token('alice');
    const asked = await openSocket(app().webSocketUrl, {
      params: { authorization: `Bearer ${token}`, ticket: true },
    });
    const { ticket, ticketExpiresAt } = acknowledgement(asked);
    expect(ticket).toMatch(/^rct_/);
    expect(Date.parse(ticketExpiresAt)).toBeGreaterThan(Date.now());
    const nobody = await openSocket(app().webSocketUrl, { params: { ticket: true } });
    expect(nobody.texts).toEqual(['{"type":"connection_ack"}']);
    for (const other of [false, null, 7, {}]) {
      const socket = await openSocket(app().webSocketUrl, {
        params: { authorization: `Bearer ${token}`, ticket: other },
      });
      expect(socket.texts).toEqual(['{"type":"connection_ack"}']);
    }
  });

  it('stands for the credentials on the next socket, which is given the next ticket', async () => {
    const token = await app().token('alice');
    const { job } = await createJob(app(), 'Be watched.', { token });
    let ticket = await ticketOf(token);
    for (let round = 1; round <= 3; round += 1) {
      const socket = await comeBack(ticket);
      const next = acknowledgement(socket);
      expect(next.ticket).toMatch(/^rct_/);
      expect(next.ticket).not.toBe(ticket);
      socket.subscribe('watch', watchJob, { id: job.id });
      expect(await socket.count('watch', 1)).toMatchObject([{ type: 'next' }]);
      await socket.close();
      ticket = next.ticket;
    }
  });

  it('stands for an access token too', async () => {
    const { job, as } = await createJob(app(), 'Be watched.');
    const socket = await comeBack(await ticketOf(as.token as string));
    socket.subscribe('watch', watchJob, { id: job.id });
    expect(await socket.count('watch', 1)).toMatchObject([{ type: 'next' }]);
  });

  it('is good again as long as its successor was not used, and ends its family after that', async () => {
    const first = await ticketOf(await app().token('alice'));
    const lost = acknowledgement(await comeBack(first)).ticket;
    const second = acknowledgement(await comeBack(first)).ticket;
    const third = acknowledgement(await comeBack(second)).ticket;
    for (const ticket of [first, second, third, lost])
      expect(await (await comeBack(ticket)).closed).toEqual({
        code: 4401,
        reason: 'The token is not valid.',
      });
  });

  it('may come with a new token of the same user, which counts from then on', async () => {
    const ticket = await ticketOf(await app().token('alice'));
    const socket = await comeBack(ticket, await app().token('alice', ['USER', 'SERVICE']));
    expect((await viewerOn(socket)).roles).toEqual(['USER', 'SERVICE']);
    const again = await comeBack(acknowledgement(socket).ticket);
    expect((await viewerOn(again)).roles).toEqual(['USER', 'SERVICE']);
  });

  it('of another user is worth nothing beside a token: the token counts', async () => {
    const ticket = await ticketOf(await app().token('alice'));
    const bob = await app().token('bob');
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token: bob });
    const socket = await comeBack(ticket, bob);
    expect((await viewerOn(socket)).user).toEqual(viewer.user);
    // It was not used by that.
    expect((await comeBack(ticket)).isOpen).toBe(true);
  });

  it('that has expired is refused, but beside a good token, which begins a new family', async () => {
    const clock = standingClock();
    const aging = await startTestApp({}, { clock });
    const token = await aging.token('alice', ['USER'], 3_600);
    const ticket = await ticketOf(token, aging);
    clock.advance(10 * 60_000);
    expect(await (await comeBack(ticket, undefined, aging)).closed).toMatchObject({ code: 4401 });
    const socket = await comeBack(ticket, token, aging);
    expect(socket.isOpen).toBe(true);
    const again = await comeBack(acknowledgement(socket).ticket, undefined, aging);
    expect((await viewerOn(again)).roles).toEqual(['USER']);
  });

  it('beside a token that has expired is not looked at: the client gets another token', async () => {
    const clock = standingClock();
    const aging = await startTestApp({}, { clock });
    const old = await aging.token('alice', ['USER'], 60);
    const ticket = await ticketOf(await aging.token('alice', ['USER'], 3_600), aging);
    clock.advance(61_000);
    expect(await (await comeBack(ticket, old, aging)).closed).toEqual({
      code: 4403,
      reason: 'Token expired',
    });
    expect((await comeBack(ticket, undefined, aging)).isOpen).toBe(true);
  });

  it.each(['', 'rct_', 'rct_unknown', 'x'.repeat(10_000), '\u0000'])(
    'that is none is refused: %j',
    async (ticket) => {
      expect(await (await comeBack(ticket)).closed).toEqual({
        code: 4401,
        reason: 'The token is not valid.',
      });
    },
  );

  it('is worth nothing once its token was signed out', async () => {
    const token = await app().token('carol');
    const ticket = await ticketOf(token);
    await app().ask('mutation { signOut { signedOut } }', {}, { token });
    expect(await (await comeBack(ticket)).closed).toMatchObject({ code: 4401 });
  });
});

/** Puts a new token in the place of a socket's, by one of the two ways; answers the code of a refusal. */
const ways: ReadonlyArray<
  readonly [string, (socket: RawSocket, token: string) => Promise<string | undefined>]
> = [
  [
    'the mutation refreshToken',
    async (socket, token) => {
      const id = `refresh ${socket.texts.length}`;
      socket.subscribe(id, refreshToken, { token });
      const [{ payload }] = await socket.over(id);
      return payload.errors?.[0].extensions.code;
    },
  ],
  [
    'a ping',
    async (socket, token) => {
      const before = messagesOf(socket, 'pong').length;
      socket.send({ type: 'ping', payload: { token } });
      await until('the pong', () => messagesOf(socket, 'pong').length > before);
      return messagesOf(socket, 'pong').at(-1).payload.error?.code;
    },
  ],
];

describe.each(ways)('a new token, by %s', (_name, refresh) => {
  it('ends what it does not allow with an error, and lets the rest go on', async () => {
    const token = await app().token('dora', ['USER', 'SERVICE']);
    const { socket, job } = await watchingSocket(app(), 'dora');
    expect(await refresh(socket, token)).toBeUndefined();
    socket.subscribe('due', watchDue);
    const { members } = app().hub.size();
    await until('it is there', () => app().hub.size().members === members + 1);
    expect(await refresh(socket, await app().token('dora', ['USER']))).toBeUndefined();
    expect(await socket.over('due')).toEqual([
      {
        id: 'due',
        type: 'error',
        payload: [expect.objectContaining({ extensions: { code: 'FORBIDDEN' } })],
      },
    ]);
    await expectAlive(app(), socket, job);
    expect((await viewerOn(socket)).roles).toEqual(['USER']);
    socket.subscribe('due again', watchDue);
    expect((await socket.over('due again'))[0].payload[0].extensions.code).toBe('FORBIDDEN');
    expect(await refresh(socket, token)).toBeUndefined();
  });

  it('ends what it does not allow also when that was about to begin', async () => {
    const { socket, job } = await watchingSocket(app(), 'hanna');
    expect(await refresh(socket, await app().token('hanna', ['USER', 'SERVICE']))).toBeUndefined();
    const { hub } = app().services.feeds;
    const { attach } = hub;
    let isAsked = false;
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    hub.attach = async (topic) => {
      isAsked = true;
      await held;
      return attach(topic);
    };
    socket.subscribe('due', watchDue);
    await until('it to begin', () => isAsked);
    hub.attach = attach;
    expect(await refresh(socket, await app().token('hanna', ['USER']))).toBeUndefined();
    goOn();
    expect((await socket.over('due'))[0]).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'FORBIDDEN' } }],
    });
    await expectAlive(app(), socket, job);
  });

  it('of another subject, or a bad one, is refused, and the one before stays', async () => {
    const { socket, job } = await watchingSocket(app(), 'emil');
    expect(await refresh(socket, await app().token('fred'))).toBe('FORBIDDEN');
    expect(await refresh(socket, 'nonsense')).toBe('UNAUTHENTICATED');
    expect(await refresh(socket, (await createJob(app(), 'Other.')).accessToken)).toBe('BAD_USER_INPUT');
    expect((await viewerOn(socket)).roles).toEqual(['USER']);
    await expectAlive(app(), socket, job);
  });

  it('that was revoked closes the socket, or is refused, whichever is first', async () => {
    const token = await app().token('gina');
    const { socket, job } = await watchingSocket(app(), 'gina');
    await app().ask('mutation { signOut { signedOut } }', {}, { token });
    expect(await refresh(socket, token)).toBe('UNAUTHENTICATED');
    await expectAlive(app(), socket, job);
  });

  it('is taken to its end: warned of, delivered to for 25 s more, and closed with 4403', async () => {
    const clock = standingClock();
    const aging = await startTestApp({}, { clock });
    const { socket, job } = await watchingSocket(aging, 'alice', 60);
    expect(await refresh(socket, await aging.token('alice', ['USER'], 120))).toBeUndefined();
    clock.advance(60_000);
    await expectAlive(aging, socket, job);
    expect(messagesOf(socket, 'ping')).toEqual([]);
    clock.advance(30_000);
    await until('the warning', () => messagesOf(socket, 'ping').length > 0);
    expect(messagesOf(socket, 'ping')).toEqual([{ type: 'ping', payload: { tokenExpiresInMs: 30_000 } }]);
    clock.advance(54_999);
    await expectAlive(aging, socket, job);
    expect(messagesOf(socket, 'ping')).toHaveLength(1);
    clock.advance(1);
    expect(await socket.closed).toEqual({ code: 4403, reason: 'Token expired' });
    expect(socket.of('watch').filter(({ type }) => type !== 'next')).toEqual([]);
  });
});

it('a socket without a user, and a request, have no token to refresh', async () => {
  const { job, as } = await createJob(app(), 'Be watched.');
  const token = await app().token('alice');
  for (const socket of [
    await openSocket(app().webSocketUrl),
    await openSocket(app().webSocketUrl, bearer(as.token as string)),
  ]) {
    socket.send({ type: 'ping', payload: { token } });
    await until('the pong', () => messagesOf(socket, 'pong').length > 0);
    expect(messagesOf(socket, 'pong')[0].payload.error.code).toBe('FORBIDDEN');
  }
  const { errors } = await app().send(refreshToken, { token }, { token });
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', argument: 'token' });
  expect(job.id).toBeDefined();
});

it('a stream ends 25 s after its token, and coming back with it is answered 401', async () => {
  const clock = standingClock();
  const aging = await startTestApp({}, { clock });
  const token = await aging.token('alice', ['USER'], 60);
  const { job } = await createJob(aging, 'Be watched.', { token });
  const stream = await openStream(aging.url, watchJob, { id: job.id }, { token });
  await stream.events(1);
  clock.advance(85_000);
  expect(await stream.end()).not.toContain('complete');
  expect((await openStream(aging.url, watchJob, { id: job.id }, { token })).status).toBe(401);
});
