import { afterEach, describe, expect, it } from 'vitest';
import { createAccessTokens } from '../../../src/platform/auth/access-tokens.ts';
import { createAuthenticate } from '../../../src/platform/auth/authenticate.ts';
import { createConnections } from '../../../src/platform/auth/connections.ts';
import { createRefresh } from '../../../src/platform/auth/refresh.ts';
import { createTokenIssuer, createTokenVerifier } from '../../../src/platform/auth/tokens.ts';
import type { Viewer } from '../../../src/platform/auth/viewer.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import { standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { anonymous } from '../../support/viewers.ts';

const db = useDatabase();
const secret = Buffer.from('a secret that has more than 32 characters');
const accessTokens = createAccessTokens({ secret });
const closing: Array<() => void> = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A node whose clock stands still; `through` stands between it and the database. */
function build(through: (db: Database) => Database = (same) => same) {
  const clock = standingClock();
  const issuer = createTokenIssuer({ secret, clock });
  const verifier = createTokenVerifier({ secret, clock });
  const authenticate = createAuthenticate({ db: through(db()), clock, verifier, accessTokens });
  const connections = createConnections({ clock });
  closing.push(connections.close);
  const tokenOf = (subject: string, expiresInSeconds = 60) =>
    issuer.issue({ subject, roles: ['USER'], expiresInSeconds });
  return {
    clock,
    connections,
    tokenOf,
    refresh: createRefresh({ authenticate }),
    /** What a token, and access tokens beside it, say of whoever has them. */
    viewerOf: async (subject: string, further: readonly string[] = []): Promise<Viewer> =>
      authenticate({ authorization: `Bearer ${await tokenOf(subject)}`, accessTokens: further }),
  };
}

/** Holds each answer of the database until it is released; released in the order of the numbers given. */
function held() {
  const answers: Array<() => void> = [];
  let isHolding = false;
  return {
    through: (database: Database): Database => ({
      ...database,
      async query<Row>(sql: string, parameters?: readonly unknown[]) {
        const rows = await database.query<Row>(sql, parameters);
        if (isHolding) await new Promise<void>((resolve) => answers.push(resolve));
        return rows;
      },
    }),
    hold: () => {
      isHolding = true;
    },
    waiting: (count: number) => until('the database to have answered', () => answers.length === count),
    release: (index: number) => answers[index]?.(),
  };
}

describe('a token', () => {
  it('is replaced by a newer one of the same user, also in the time of grace', async () => {
    const { clock, connections, tokenOf, refresh, viewerOf } = build();
    const before = await viewerOf('alice');
    const told: string[] = [];
    const listener = { ended: () => {}, refreshed: () => told.push('refreshed') };
    const connection = connections.open(before, listener, true);
    clock.advance(61_000);
    expect(connection.isExpired).toBe(true);
    const expiresAt = new Date(clock.now() + 120_000);
    expect(await refresh(connection, await tokenOf('alice', 120))).toEqual({ expiresAt });
    expect([connection.isExpired, told]).toEqual([false, ['refreshed']]);
    expect(connection.viewer.user).toMatchObject({
      id: before.user?.id,
      issuedAt: new Date(clock.now()),
      expiresAt,
    });
    expect(connection.viewer.user?.tokenId).not.toBe(before.user?.tokenId);
  });

  it('is replaced, and what further access tokens have opened stays open', async () => {
    const { connections, tokenOf, refresh, viewerOf } = build();
    await db().transaction((tx) => accessTokens.grant(tx, 'job_1'));
    const viewer = await viewerOf('alice', [accessTokens.derive('job_1')]);
    const connection = connections.open(viewer, undefined, true);
    await refresh(connection, await tokenOf('alice'));
    expect(connection.viewer.objects).toEqual(new Set(['job_1']));
  });

  it.each([
    ['of another user', 'FORBIDDEN', 'bob', 60],
    ['that has expired', 'UNAUTHENTICATED', 'alice', -1],
  ])('stays when the new one is one %s', async (_name, code, subject, seconds) => {
    const { connections, tokenOf, refresh, viewerOf } = build();
    const viewer = await viewerOf('alice');
    const connection = connections.open(viewer, undefined, true);
    await expect(refresh(connection, await tokenOf(subject, seconds))).rejects.toMatchObject({ code });
    expect([connection.viewer, connection.isOver]).toEqual([viewer, false]);
  });

  it.each([
    ['made up', 'UNAUTHENTICATED', 'nonsense'],
    ['nothing', 'UNAUTHENTICATED', ''],
    ['two', 'UNAUTHENTICATED', 'one two'],
    ['an access token', 'BAD_USER_INPUT', accessTokens.derive('job_1')],
  ])('stays when what is presented is %s', async (_name, code, token) => {
    const { connections, refresh, viewerOf } = build();
    const viewer = await viewerOf('alice');
    const connection = connections.open(viewer, undefined, true);
    await expect(refresh(connection, token)).rejects.toMatchObject({ code });
    expect([connection.viewer, connection.isOver]).toEqual([viewer, false]);
  });

  it('is not replaced by one that has been revoked', async () => {
    const { connections, tokenOf, refresh, viewerOf } = build();
    const viewer = await viewerOf('carol');
    const connection = connections.open(viewer, undefined, true);
    const token = await tokenOf('carol');
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
    await db().query('INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2)', [jti, new Date()]);
    await expect(refresh(connection, token)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      details: { reason: 'TOKEN_INVALID' },
    });
    expect(connection.viewer).toBe(viewer);
  });

  it('cannot be put where there was none, nor on a request', async () => {
    const { connections, tokenOf, refresh, viewerOf } = build();
    const token = await tokenOf('alice');
    const holder = { ...anonymous, objects: new Set(['job_1']) };
    for (const viewer of [anonymous, holder]) {
      const connection = connections.open(viewer, undefined, true);
      await expect(refresh(connection, token)).rejects.toMatchObject({ code: 'FORBIDDEN' });
      expect(connection.viewer).toBe(viewer);
    }
    const request = connections.open(await viewerOf('alice'));
    await expect(refresh(request, token)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { argument: 'token' },
    });
  });
});

describe('at the same time', () => {
  it.each([[[0, 1, 2]], [[0, 2, 1]], [[1, 0, 2]], [[1, 2, 0]], [[2, 0, 1]], [[2, 1, 0]]])(
    'the token that was issued last wins, in whichever order they are looked at: %j',
    async (order) => {
      const { through, hold, waiting, release } = held();
      const { clock, connections, tokenOf, refresh, viewerOf } = build(through);
      const connection = connections.open(await viewerOf('alice'), undefined, true);
      const newest = new Date(clock.now() + 2_000);
      const tokens: string[] = [];
      for (let n = 0; n < 3; n += 1) {
        tokens.push(await tokenOf('alice'));
        clock.advance(1_000);
      }
      hold();
      const refreshes: Array<Promise<{ readonly expiresAt: Date }>> = [];
      for (const token of tokens) {
        refreshes.push(refresh(connection, token));
        await waiting(refreshes.length);
      }
      let present = 0;
      for (const index of order) {
        release(index);
        const { expiresAt } = (await refreshes[index]) as { readonly expiresAt: Date };
        present = Math.max(present, index);
        expect(expiresAt).toEqual(new Date(newest.getTime() + (present - 2) * 1_000 + 60_000));
      }
      expect(connection.viewer.user?.issuedAt).toEqual(newest);
    },
  );

  it('a token that is revoked while it is looked at does not survive it', async () => {
    const { through, hold, waiting, release } = held();
    const { connections, tokenOf, refresh, viewerOf } = build(through);
    const ends: string[] = [];
    const listener = { ended: (reason: string) => ends.push(reason) };
    const connection = connections.open(await viewerOf('alice'), listener, true);
    const token = await tokenOf('alice');
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
    hold();
    const refreshing = refresh(connection, token);
    await waiting(1);
    connections.revoke(({ user }) => user?.tokenId === jti);
    expect(ends).toEqual([]);
    release(0);
    await expect(refreshing).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect([ends, connection.isOver, connections.size]).toEqual([['TOKEN_REVOKED'], true, 0]);
  });

  it('a connection that ends is not brought back', async () => {
    const { through, hold, waiting, release } = held();
    const { connections, tokenOf, refresh, viewerOf } = build(through);
    const viewer = await viewerOf('alice');
    const connection = connections.open(viewer, undefined, true);
    const token = await tokenOf('alice');
    hold();
    const refreshing = refresh(connection, token);
    await waiting(1);
    connection.end('TOKEN_EXPIRED');
    release(0);
    await expect(refreshing).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect([connection.viewer, connections.size]).toEqual([viewer, 0]);
  });
});
