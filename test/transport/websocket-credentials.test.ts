import { describe, expect, it } from 'vitest';
import { startTestApp, useTestApp } from '../support/app.ts';
import { standingClock } from '../support/clock.ts';
import { holdDatabase } from '../support/faults.ts';
import { watchJob } from '../support/operations.ts';
import { openSocket } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { until } from '../support/until.ts';
import { bearer, expectAlive, watchingSocket } from '../support/watching.ts';

describe('credentials', () => {
  const app = useTestApp();

  it('that expire while the socket is open close it with 4403', async () => {
    const clock = standingClock();
    const aging = await startTestApp({}, { clock });
    const { socket } = await watchingSocket(aging, 'alice', 1);
    clock.advance(26_000);
    expect(await socket.closed).toEqual({ code: 4403, reason: 'Token expired' });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
    await until('its subscription is over', () => aging.hub.size().members === 1);
  });

  it('that are signed out close every socket and stream of their token with 4401, and are refused', async () => {
    const { socket, job, token } = await watchingSocket(app());
    const other = await watchingSocket(app());
    const stream = await openStream(app().url, watchJob, { id: job.id }, { token });
    await stream.events(1);
    expect(await app().ask('mutation { signOut { signedOut } }', {}, { token })).toEqual({
      signOut: { signedOut: true },
    });
    expect(await socket.closed).toEqual({ code: 4401, reason: 'Token revoked' });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
    expect(await stream.end()).not.toContain('complete');
    const { errors } = await app().send('{ viewer { roles } }', {}, { token });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' });
    const again = await openSocket(app().webSocketUrl, bearer(token));
    expect(await again.closed).toMatchObject({ code: 4401 });
    expect((await openStream(app().url, watchJob, { id: job.id }, { token })).status).toBe(401);
    await expectAlive(app(), other.socket, other.job);
  });

  it('of a user are revoked all together, by their id', async () => {
    const admin = await app().token('root', ['ADMIN']);
    const first = await watchingSocket(app(), 'bob');
    const second = await watchingSocket(app(), 'bob');
    const other = await watchingSocket(app(), 'carol');
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token: first.token });
    const revoke = 'mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) { revoked } }';
    const input = { userId: viewer.user.id };
    expect(await app().ask(revoke, { input }, { token: admin })).toEqual({ revokeTokens: { revoked: true } });
    for (const { socket, token } of [first, second]) {
      expect(await socket.closed).toEqual({ code: 4401, reason: 'Token revoked' });
      const { errors } = await app().send('{ viewer { roles } }', {}, { token });
      expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    }
    await expectAlive(app(), other.socket, other.job);
  });

  it('are revoked one by one, by the id of the token', async () => {
    const admin = await app().token('root', ['ADMIN']);
    const { socket, token } = await watchingSocket(app(), 'dave');
    const other = await watchingSocket(app(), 'dave');
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
    await app().ask(`mutation { revokeTokens(input: { jti: "${jti}" }) { revoked } }`, {}, { token: admin });
    expect(await socket.closed).toEqual({ code: 4401, reason: 'Token revoked' });
    await expectAlive(app(), other.socket, other.job);
  });

  it.each(['{}', '{ userId: "usr_x", jti: "x" }', '{ jti: "" }', '{ userId: "\\u0000" }'])(
    'are not revoked by %s',
    async (input) => {
      const token = await app().token('root', ['ADMIN']);
      const { errors } = await app().send(
        `mutation { revokeTokens(input: ${input}) { revoked } }`,
        {},
        { token },
      );
      expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    },
  );

  it('of who has gone while they were looked at leave nothing behind', async () => {
    const token = await app().token('alice');
    const { size } = app().connections;
    const held = await holdDatabase(app());
    const socket = await openSocket(app().webSocketUrl, { init: false });
    socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    await socket.close();
    await held.release();
    // Whatever the database was asked before this has been answered.
    await app().ask('{ viewer { roles } }');
    await until('nothing is left', () => app().connections.size === size);
  });

  it.each([undefined, {}, { authorization: null }, { Authorization: undefined }])(
    'may be missing: %j',
    async (params) => {
      const socket = await openSocket(app().webSocketUrl, params ? { params } : {});
      socket.subscribe('viewer', '{ viewer { roles } }');
      expect(await socket.over('viewer')).toEqual([
        { id: 'viewer', type: 'next', payload: { data: { viewer: null } } },
        { id: 'viewer', type: 'complete' },
      ]);
    },
  );
});
