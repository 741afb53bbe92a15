import { createHmac, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createTokenIssuer,
  createTokenVerifier,
  TokenError,
  type TokenErrorKind,
} from '../../../src/platform/auth/tokens.ts';

const NOW = Date.UTC(2026, 10, 1);
const SECONDS = NOW / 1000;
const SECRET = new TextEncoder().encode('a secret that has more than 32 characters');
const OTHER_SECRET = new TextEncoder().encode('another secret that has more than 32 of them');

const clock = { now: () => NOW };

const sign = (
  claims: Record<string, unknown>,
  key: Uint8Array | CryptoKey = SECRET,
  alg = 'HS256',
  kid?: string,
) => new SignJWT(claims).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key);

/** A token put together by hand: whatever a forger likes. */
function forge(header: object, claims: object, signature = ''): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.${signature}`;
}

/** A token with a good signature over claims that a library might refuse to sign. */
function signByHand(claims: object): string {
  const unsigned = forge({ alg: 'HS256' }, claims);
  return unsigned + createHmac('sha256', SECRET).update(unsigned.slice(0, -1)).digest('base64url');
}

async function refusal(verified: Promise<unknown>): Promise<{ kind: TokenErrorKind; message: string }> {
  const error = await verified.then(
    () => expect.unreachable('the token was accepted'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TokenError);
  return error as TokenError;
}

const INVALID = { kind: 'INVALID', message: 'The access token is not valid.' };

describe('with a secret', () => {
  const verifier = createTokenVerifier({ secret: SECRET, clock });

  it('reads what the issuer wrote', async () => {
    const issuer = createTokenIssuer({ secret: SECRET, clock });
    const token = await issuer.issue({ subject: 'alice', roles: ['ADMIN', 'SERVICE'], expiresInSeconds: 60 });
    expect(await verifier.verify(token)).toEqual({
      subject: 'alice',
      roles: ['SERVICE', 'ADMIN'],
      expiresAt: new Date(NOW + 60_000),
      issuedAt: new Date(NOW),
      tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      addresses: [],
    });
  });

  it('gives every token an id of its own', async () => {
    const issuer = createTokenIssuer({ secret: SECRET, clock });
    const tokens = [1, 2].map(() => issuer.issue({ subject: 'a', roles: [], expiresInSeconds: 1 }));
    const ids = await Promise.all(tokens.map(async (token) => (await verifier.verify(await token)).tokenId));
    expect(new Set(ids).size).toBe(2);
  });

  it('takes a token that says only what it must', async () => {
    expect(await verifier.verify(signByHand({ sub: 'bob', exp: SECONDS + 1 }))).toEqual({
      subject: 'bob',
      roles: ['USER'],
      expiresAt: new Date(NOW + 1000),
      issuedAt: new Date(0),
      addresses: [],
    });
  });

  const alice = 'SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7';

  it('reads how the subject is called, and its principals', async () => {
    const issuer = createTokenIssuer({ secret: SECRET, clock });
    const addresses = [alice, `${alice}.streams-v2`];
    const token = await issuer.issue({
      subject: 'alice',
      roles: [],
      expiresInSeconds: 60,
      name: 'Alice',
      addresses,
    });
    expect(await verifier.verify(token)).toMatchObject({ name: 'Alice', addresses });
  });

  it.each([
    ['the id of a user', 'usr_AAAAAAAAAAAAAAAAAAAAAA'],
    ['a principal with something behind it', `${alice} `],
    ['a principal in small letters', alice.toLowerCase()],
    ['a contract without a name', `${alice}.`],
    ['an address of Bitcoin', 'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq'],
    ['nothing', ''],
    ['a number', 7],
    ['an object', { address: alice }],
    ['null', null],
  ])('passes over %s among the principals', async (_what, value) => {
    const claims = { sub: 'alice', exp: SECONDS + 1, addresses: [value, alice] };
    expect((await verifier.verify(signByHand(claims))).addresses).toEqual([alice]);
  });

  it.each(['', 'x'.repeat(65), 7, null, 'a\0b'])('passes over %j as a name', async (name) => {
    const claims = { sub: 'alice', exp: SECONDS + 1, preferred_username: name };
    expect(await verifier.verify(signByHand(claims))).not.toHaveProperty('name');
  });

  it('refuses more principals than anyone has, and what is no list', async () => {
    for (const addresses of [Array.from({ length: 21 }, () => alice), alice])
      await expect(
        verifier.verify(signByHand({ sub: 'alice', exp: SECONDS + 1, addresses })),
      ).rejects.toMatchObject({ kind: 'INVALID' });
  });

  it.each([
    [[], []],
    [['ROOT', 'ADMIN', 'admin'], ['ADMIN']],
    [['SERVICE', 'SERVICE'], ['SERVICE']],
  ])('reads the roles %j as %j', async (roles, expected) => {
    const token = await sign({ sub: 'bob', exp: SECONDS + 1, roles });
    expect((await verifier.verify(token)).roles).toEqual(expected);
  });

  it('takes subjects of up to 255 characters', async () => {
    const subject = 'x'.repeat(255);
    expect((await verifier.verify(await sign({ sub: subject, exp: SECONDS + 1 }))).subject).toBe(subject);
  });

  it.each<[string, Record<string, unknown>]>([
    ['no subject', { exp: SECONDS + 1 }],
    ['an empty subject', { exp: SECONDS + 1, sub: '' }],
    ['too long a subject', { exp: SECONDS + 1, sub: 'x'.repeat(256) }],
    ['a subject that cannot be stored', { exp: SECONDS + 1, sub: 'a\0b' }],
    ['a subject that is no text', { exp: SECONDS + 1, sub: 7 }],
    ['no expiry', { sub: 'bob' }],
    ['an expiry that is no number', { sub: 'bob', exp: 'never' }],
    ['an expiry beyond all dates', { sub: 'bob', exp: 8.65e12 }],
    ['a time of issue that is no number', { sub: 'bob', exp: SECONDS + 1, iat: 'then' }],
    ['a start in the future', { sub: 'bob', exp: SECONDS + 60, nbf: SECONDS + 1 }],
    ['roles that are no list', { sub: 'bob', exp: SECONDS + 1, roles: 'ADMIN' }],
    ['roles that are no texts', { sub: 'bob', exp: SECONDS + 1, roles: [1] }],
    ['an id that is no text', { sub: 'bob', exp: SECONDS + 1, jti: 5 }],
  ])('refuses a token with %s', async (_, claims) => {
    expect(await refusal(verifier.verify(signByHand(claims)))).toMatchObject(INVALID);
  });

  it('knows a token for a minute, and no longer than it lasts, and the newest 5,000', async () => {
    let now = NOW;
    const verifying = createTokenVerifier({ secret: SECRET, clock: { now: () => now } });
    const issuer = createTokenIssuer({ secret: SECRET, clock });
    const [brief, lasting] = await Promise.all(
      [10, 600].map((expiresInSeconds) => issuer.issue({ subject: 'a', roles: [], expiresInSeconds })),
    );
    const first = await verifying.verify(lasting as string);
    await verifying.verify(brief as string);
    expect(await verifying.verify(lasting as string)).toBe(first);
    now += 10_000;
    expect(await refusal(verifying.verify(brief as string))).toMatchObject({ kind: 'EXPIRED' });
    expect(await verifying.verify(lasting as string)).toBe(first);
    now += 50_000;
    const second = await verifying.verify(lasting as string);
    expect(second).not.toBe(first);
    now -= 1;
    const third = await verifying.verify(lasting as string);
    expect(third).not.toBe(second);
    for (let n = 0; n < 5_000; n += 1)
      await verifying.verify(await issuer.issue({ subject: `${n}`, roles: [], expiresInSeconds: 600 }));
    expect(await verifying.verify(lasting as string)).not.toBe(third);
  });

  it('goes by the clock that it was given', async () => {
    let now = NOW;
    const later = createTokenVerifier({ secret: SECRET, clock: { now: () => now } });
    const token = await sign({ sub: 'bob', exp: SECONDS + 10, nbf: SECONDS + 5 });
    expect(await refusal(later.verify(token))).toMatchObject(INVALID);
    now = NOW + 5_000;
    expect((await later.verify(token)).subject).toBe('bob');
    now = NOW + 9_999;
    expect((await later.verify(token)).subject).toBe('bob');
    now = NOW + 10_000;
    expect(await refusal(later.verify(token))).toMatchObject({
      kind: 'EXPIRED',
      message: 'The access token has expired.',
    });
  });

  it('calls an expired token of a forger invalid', async () => {
    const token = await sign({ sub: 'bob', exp: SECONDS - 1 }, OTHER_SECRET);
    expect(await refusal(verifier.verify(token))).toMatchObject(INVALID);
  });

  it('refuses what it cannot have signed', async () => {
    const claims = { sub: 'bob', exp: SECONDS + 60 };
    const genuine = await sign(claims);
    const { privateKey } = await generateKeyPair('RS256');
    const forgeries = [
      '',
      'no token at all',
      forge({ alg: 'none' }, claims),
      forge({ alg: 'none' }, claims, genuine.split('.')[2]),
      forge({ alg: 'HS256' }, { ...claims, roles: ['ADMIN'] }, genuine.split('.')[2]),
      forge({ alg: 'HS256' }, claims),
      await sign(claims, OTHER_SECRET),
      await sign(claims, SECRET, 'HS512'),
      await sign(claims, privateKey, 'RS256'),
    ];
    for (const forgery of forgeries) {
      expect(await refusal(verifier.verify(forgery))).toMatchObject(INVALID);
    }
  });

  it('checks issuer and audience when they are configured', async () => {
    const strict = createTokenVerifier({ secret: SECRET, issuer: 'us', audience: 'api', clock });
    const valid = { sub: 'bob', exp: SECONDS + 60, iss: 'us', aud: ['web', 'api'] };
    expect((await strict.verify(await sign(valid))).subject).toBe('bob');
    const issuer = createTokenIssuer({ secret: SECRET, issuer: 'us', audience: 'api', clock });
    const issued = await issuer.issue({ subject: 'eve', roles: [], expiresInSeconds: 1 });
    expect((await strict.verify(issued)).subject).toBe('eve');
    for (const wrong of [{ iss: 'them' }, { iss: undefined }, { aud: 'other' }, { aud: undefined }]) {
      expect(await refusal(strict.verify(await sign({ ...valid, ...wrong })))).toMatchObject(INVALID);
    }
  });

  it('says nothing of what was wrong with a token', async () => {
    const { message } = await refusal(verifier.verify(forge({ alg: 'none' }, { sub: 'confidential' })));
    expect(message).toBe('The access token is not valid.');
  });
});

it('needs exactly one kind of key', () => {
  expect(() => createTokenVerifier({ clock })).toThrow(TypeError);
  expect(() => createTokenVerifier({ clock, secret: SECRET, jwksUrl: new URL('http://127.0.0.1') })).toThrow(
    TypeError,
  );
});

describe('with published keys', () => {
  let server: Server;
  let url: URL;
  let published: JWK[];
  let requests: number;
  let answer: ((keys: JWK[]) => { status: number; body: string }) | undefined;

  beforeEach(async () => {
    published = [];
    requests = 0;
    answer = undefined;
    server = createServer((_, response) => {
      requests += 1;
      const { status, body } = answer?.(published) ?? {
        status: 200,
        body: JSON.stringify({ keys: published }),
      };
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`);
  });

  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };

  afterEach(stop);

  /** Makes a key pair and publishes its public half. */
  async function publish(alg: string) {
    const { publicKey, privateKey } = await generateKeyPair(alg);
    const kid = randomUUID();
    published.push({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' });
    return { kid, alg, publicKey, privateKey };
  }

  const claims = { sub: 'carol', exp: SECONDS + 60 };

  it.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('takes %s', async (algorithm) => {
    const { kid, privateKey } = await publish(algorithm);
    const verifier = createTokenVerifier({ jwksUrl: url, clock });
    expect((await verifier.verify(await sign(claims, privateKey, algorithm, kid))).subject).toBe('carol');
  });

  it('fetches the keys once and again for a key that is new', async () => {
    let now = NOW;
    const verifier = createTokenVerifier({ jwksUrl: url, clock: { now: () => now }, jwksCooldownMs: 0 });
    const old = await publish('ES256');
    const oldToken = await sign(claims, old.privateKey, 'ES256', old.kid);
    await verifier.verify(oldToken);
    await verifier.verify(oldToken);
    expect(requests).toBe(1);

    published = [];
    const rotated = await publish('ES256');
    const newToken = await sign(claims, rotated.privateKey, 'ES256', rotated.kid);
    expect((await verifier.verify(newToken)).subject).toBe('carol');
    expect(requests).toBe(2);
    // What was good is taken for good for a minute.
    await verifier.verify(oldToken);
    now += 60_000;
    expect(await refusal(verifier.verify(oldToken))).toMatchObject(INVALID);
  });

  it('is not made to fetch again and again by made-up keys', async () => {
    const verifier = createTokenVerifier({ jwksUrl: url, clock });
    const { kid, privateKey } = await publish('ES256');
    await verifier.verify(await sign(claims, privateKey, 'ES256', kid));
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const token = await sign(claims, privateKey, 'ES256', randomUUID());
      expect(await refusal(verifier.verify(token))).toMatchObject(INVALID);
    }
    expect(requests).toBe(1);
  });

  it('refuses a token that could be of several keys', async () => {
    const { privateKey } = await publish('ES256');
    await publish('ES256');
    const verifier = createTokenVerifier({ jwksUrl: url, clock });
    expect(await refusal(verifier.verify(await sign(claims, privateKey, 'ES256')))).toMatchObject(INVALID);
  });

  it('never takes the public key for a shared secret, nor no signature', async () => {
    const { kid, publicKey, privateKey } = await publish('RS256');
    const verifier = createTokenVerifier({ jwksUrl: url, clock });
    await verifier.verify(await sign(claims, privateKey, 'RS256', kid));
    const pem = new TextEncoder().encode(await exportSPKI(publicKey));
    const modulus = new TextEncoder().encode(published[0]?.n);
    for (const forgery of [
      await sign(claims, pem, 'HS256', kid),
      await sign(claims, modulus, 'HS256', kid),
      forge({ alg: 'none', kid }, claims),
      await sign(claims, (await generateKeyPair('RS256')).privateKey, 'RS256', kid),
    ]) {
      expect(await refusal(verifier.verify(forgery))).toMatchObject(INVALID);
    }
  });

  it('tells an expired token', async () => {
    const { kid, privateKey } = await publish('ES256');
    const verifier = createTokenVerifier({ jwksUrl: url, clock });
    const token = await sign({ ...claims, exp: SECONDS }, privateKey, 'ES256', kid);
    expect(await refusal(verifier.verify(token))).toMatchObject({ kind: 'EXPIRED' });
  });

  it.each<[string, { status: number; body: string }]>([
    ['fails', { status: 500, body: 'stack trace' }],
    ['answers no JSON', { status: 200, body: '<html>' }],
    ['answers no keys', { status: 200, body: '{"keys":5}' }],
  ])('is unavailable while the endpoint %s, and recovers', async (_, failure) => {
    const { kid, privateKey } = await publish('ES256');
    const token = await sign(claims, privateKey, 'ES256', kid);
    const verifier = createTokenVerifier({ jwksUrl: url, clock });
    answer = () => failure;
    expect(await refusal(verifier.verify(token))).toMatchObject({
      kind: 'UNAVAILABLE',
      message: 'Access tokens cannot be checked at the moment.',
    });
    answer = undefined;
    expect((await verifier.verify(token)).subject).toBe('carol');
  });

  it('is unavailable when nobody listens, save for the keys it has', async () => {
    const { kid, privateKey } = await publish('ES256');
    const token = await sign(claims, privateKey, 'ES256', kid);
    const informed = createTokenVerifier({ jwksUrl: url, clock });
    await informed.verify(token);
    await stop();
    expect((await informed.verify(token)).subject).toBe('carol');
    const uninformed = createTokenVerifier({ jwksUrl: url, clock });
    expect(await refusal(uninformed.verify(token))).toMatchObject({ kind: 'UNAVAILABLE' });
  });

  it('asks nobody about a token whose algorithm it would not take', async () => {
    const verifier = createTokenVerifier({ jwksUrl: url, clock });
    expect(await refusal(verifier.verify(await sign(claims)))).toMatchObject(INVALID);
    expect(requests).toBe(0);
  });
});
