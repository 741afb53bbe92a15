import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { createAccessTokens, hashToken } from '../../../src/platform/auth/access-tokens.ts';
import { createAuthenticate } from '../../../src/platform/auth/authenticate.ts';
import { createTokenIssuer, createTokenVerifier } from '../../../src/platform/auth/tokens.ts';
import { standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';

const db = useDatabase();
const clock = standingClock();
const secret = Buffer.from('a secret that has more than 32 characters');
const issuer = createTokenIssuer({ secret, clock });

function build() {
  const accessTokens = createAccessTokens({ secret });
  const verifier = createTokenVerifier({ secret, clock });
  return { authenticate: createAuthenticate({ db: db(), clock, verifier, accessTokens }), accessTokens };
}

const tokenOf = (subject: string) => issuer.issue({ subject, roles: ['USER'], expiresInSeconds: 60 });

describe('a user', () => {
  it('is made at the first sight of a subject, once, however many see it at the same time', async () => {
    const { authenticate } = build();
    const tokens = await Promise.all(Array.from({ length: 5 }, () => tokenOf('newcomer')));
    const viewers = await Promise.all(
      tokens.map((token) => authenticate({ authorization: `Bearer ${token}`, accessTokens: [] })),
    );
    const ids = new Set(viewers.map(({ user }) => user?.id));
    expect(ids.size).toBe(1);
    expect([...ids][0]).toMatch(/^usr_/);
    expect(new Set(viewers.map(({ user }) => user?.tokenId)).size).toBe(5);
    const rows = await db().query('SELECT 1 FROM users WHERE subject = $1', ['newcomer']);
    expect(rows).toHaveLength(1);
  });

  it('has what the token says', async () => {
    const { authenticate } = build();
    const token = await tokenOf('alice');
    const viewer = await authenticate({ authorization: `bearer  ${token}`, accessTokens: [] });
    expect(viewer).toEqual({
      user: {
        id: expect.stringMatching(/^usr_/),
        roles: ['USER'],
        tokenId: expect.any(String),
        issuedAt: new Date(clock.now()),
        expiresAt: new Date(clock.now() + 60_000),
      },
      objects: new Set(),
      bearerObject: undefined,
    });
  });

  it('is known by the token itself where it has no id of its own', async () => {
    const { authenticate } = build();
    const seconds = clock.now() / 1000;
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('bob')
      .setExpirationTime(seconds + 60)
      .sign(secret);
    const credentials = { authorization: `Bearer ${token}`, accessTokens: [] };
    expect((await authenticate(credentials)).user?.tokenId).toBe(hashToken(token));
    await db().query('INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2)', [
      hashToken(token),
      new Date(clock.now() + 60_000),
    ]);
    await expect(authenticate(credentials)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      details: { reason: 'TOKEN_INVALID' },
    });
  });

  it('may hold access tokens too, of which one that is none refuses all', async () => {
    const { authenticate, accessTokens } = build();
    await db().transaction((tx) => accessTokens.grant(tx, 'job_1'));
    await db().transaction((tx) => accessTokens.grant(tx, 'ses_2'));
    const authorization = `Bearer ${await tokenOf('alice')}`;
    const tokens = [accessTokens.derive('ses_2'), accessTokens.derive('job_1')];
    const viewer = await authenticate({ authorization, accessTokens: tokens });
    expect([viewer.user?.roles, viewer.objects, viewer.bearerObject]).toEqual([
      ['USER'],
      new Set(['ses_2', 'job_1']),
      undefined,
    ]);
    await expect(
      authenticate({ authorization, accessTokens: [...tokens, accessTokens.derive('never granted')] }),
    ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('an access token', () => {
  it('is the same for the same object, and another for another object or server', () => {
    const { accessTokens } = build();
    const elsewhere = createAccessTokens({ secret: Buffer.from('another secret of another server') });
    expect(accessTokens.derive('job_1')).toBe(accessTokens.derive('job_1'));
    expect(accessTokens.derive('job_1')).toMatch(/^swt_[\w-]{43}$/);
    expect(accessTokens.derive('job_1')).not.toBe(accessTokens.derive('job_2'));
    expect(accessTokens.derive('job_1')).not.toBe(elsewhere.derive('job_1'));
  });
});
