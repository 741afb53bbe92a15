import { graphql } from 'graphql';
import { describe, expect, it } from 'vitest';
import { rootCause } from '../../src/graphql/errors.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import type { Connection } from '../../src/platform/auth/connections.ts';
import { startTestApp, useTestApp } from '../support/app.ts';
import { standingClock } from '../support/clock.ts';
import { until } from '../support/until.ts';
import { anonymous } from '../support/viewers.ts';
import { expectAlive, watchingSocket } from '../support/watching.ts';

const app = useTestApp();
const schema = buildSchema();
const refreshToken = 'mutation ($token: String!) { refreshToken(input: { token: $token }) { expiresAt } }';

/** The claims of a token; times are in seconds. */
const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());

/** A socket of the user who has this id. */
function socketOf(userId: string): Connection {
  const times = { issuedAt: new Date(0), expiresAt: new Date(Date.now() + 60_000) };
  const user = { id: userId, roles: ['USER' as const], tokenId: 'the first', ...times };
  return app().connections.open({ ...anonymous, user }, undefined, true);
}

/** Refreshes on that connection; answers when the token expires, or the code of the refusal. */
async function refreshOn(connection: Connection, token: string): Promise<unknown> {
  const { data, errors } = await graphql({
    schema,
    source: refreshToken,
    variableValues: { token },
    contextValue: { services: app().services, connection, viewer: connection.viewer },
  });
  return errors ? rootCause(errors[0]) : data?.refreshToken;
}

describe('refreshToken', () => {
  it('puts a newer token in the place of the one before, on that socket', async () => {
    const token = await app().token('alice', ['USER', 'SERVICE'], 120);
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token });
    const socket = socketOf(viewer.user.id);
    const { exp, jti } = claimsOf(token);
    expect(await refreshOn(socket, token)).toEqual({ expiresAt: new Date(exp * 1000).toISOString() });
    expect(socket.viewer.user).toMatchObject({ tokenId: jti, roles: ['USER', 'SERVICE'] });
    socket.closed();
  });

  it('refuses what authenticating refuses, and the token of somebody else', async () => {
    const token = await app().token('alice');
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token });
    const socket = socketOf(viewer.user.id);
    expect(await refreshOn(socket, 'nonsense')).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await refreshOn(socket, await app().token('bob'))).toMatchObject({ code: 'FORBIDDEN' });
    expect(await refreshOn(socket, 'swt_x')).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(socket.viewer.user?.tokenId).toBe('the first');
    socket.closed();
  });

  it('is for users, and not over HTTP', async () => {
    const token = await app().token('alice');
    const codeFor = async (as: object) => {
      const { errors } = await app().send(refreshToken, { token }, as);
      return errors?.[0]?.extensions;
    };
    expect(await codeFor({})).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await codeFor({ token })).toMatchObject({ code: 'BAD_USER_INPUT', argument: 'token' });
  });
});

describe('a socket whose token runs out', () => {
  it('is told so, may send a newer one for a while and nothing else, and goes on with that', async () => {
    const clock = standingClock();
    const aging = await startTestApp({}, { clock });
    const { socket, job } = await watchingSocket(aging, 'alice', 60);
    const texts = (type: string) =>
      socket.texts.map((text) => JSON.parse(text)).filter((m) => m.type === type);

    clock.advance(31_000);
    await until('the warning', () => texts('ping').length === 1);
    expect(texts('ping')).toEqual([{ type: 'ping', payload: { tokenExpiresInMs: 29_000 } }]);
    clock.advance(30_000);
    socket.subscribe('late', '{ viewer { roles } }');
    expect((await socket.over('late'))[0]).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'UNAUTHENTICATED', reason: 'TOKEN_EXPIRED' } }],
    });
    await expectAlive(aging, socket, job);

    socket.subscribe('refresh', refreshToken, { token: await aging.token('alice', ['USER'], 60) });
    const expiresAt = new Date(clock.now() + 60_000).toISOString();
    expect((await socket.over('refresh'))[0].payload).toEqual({ data: { refreshToken: { expiresAt } } });
    await expectAlive(aging, socket, job);
    clock.advance(59_000);
    await until('the next warning', () => texts('ping').length === 2);
    socket.subscribe('ask', '{ viewer { roles } }');
    expect((await socket.over('ask'))[0].payload).toEqual({ data: { viewer: { roles: ['USER'] } } });

    clock.advance(26_000);
    expect(await socket.closed).toEqual({ code: 4403, reason: 'Token expired' });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next', 'next', 'next']);
  });

  it('takes a newer one by a ping too, and says what it makes of it', async () => {
    const clock = standingClock();
    const aging = await startTestApp({}, { clock });
    const { socket, job } = await watchingSocket(aging, 'alice', 60);
    const pongs = () => socket.texts.map((text) => JSON.parse(text)).filter(({ type }) => type === 'pong');
    const ping = async (payload: object) => {
      const before = pongs().length;
      socket.send({ type: 'ping', payload });
      await until('the pong', () => pongs().length > before);
      return pongs().at(-1).payload;
    };
    clock.advance(61_000);
    expect(await ping({ token: 'nonsense' })).toEqual({
      error: { code: 'UNAUTHENTICATED', message: 'The token is not valid.' },
    });
    const tokenExpiresAt = new Date(clock.now() + 60_000).toISOString();
    expect(await ping({ auth: { token: await aging.token('alice', ['USER'], 60) } })).toEqual({
      tokenExpiresAt,
    });
    clock.advance(59_000);
    await expectAlive(aging, socket, job);
  });
});
