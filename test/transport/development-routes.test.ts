import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestApp, useTestApp } from '../support/app.ts';
import { createJob } from '../support/operations.ts';
import { until } from '../support/until.ts';

const app = useTestApp();
const viewerRoles = '{ viewer { roles } }';

const at = (path: string) => new URL(path, app().url);

describe('/dev/token', () => {
  const ask = async (body: string) => {
    const response = await fetch(at('/dev/token'), { method: 'POST', body });
    return { status: response.status, body: (await response.json()) as { token: string } };
  };

  it('makes tokens for anyone', async () => {
    const made = await ask('{"sub":"alice","roles":["USER","ADMIN"]}');
    expect(await app().ask(viewerRoles, {}, made.body)).toEqual({
      viewer: { roles: ['USER', 'ADMIN'] },
    });
    const { body } = await ask('{"sub":"bob"}');
    const claims = JSON.parse(Buffer.from(body.token.split('.')[1] as string, 'base64url').toString());
    expect(claims).toMatchObject({ sub: 'bob', roles: ['USER'] });
    expect(claims.exp - claims.iat).toBe(86_400);
  });

  it.each([
    '',
    'alice',
    '{}',
    '{"sub":""}',
    '{"sub":7}',
    '{"sub":"alice","roles":["KING"]}',
    '{"sub":"alice","expiresInSeconds":0}',
    `{"sub":"${'a'.repeat(256)}"}`,
    `{"sub":"alice","more":"${'a'.repeat(20_000)}"}`,
  ])('says what it wants when it is sent %.60s', async (body) => {
    expect(await ask(body)).toEqual({
      status: 400,
      body: { error: 'Send {"sub": "alice", "roles": ["USER"]}.' },
    });
  });

  it('is not there where tokens are made elsewhere, whose keys are then asked for', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    let answering = true;
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' };
    const keys = createServer((_request, response) => {
      response.writeHead(answering ? 200 : 500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ keys: [jwk] }));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => {
      keys.close();
    });
    await until('the keys are there', () => keys.listening);
    const JWKS_URL = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`;
    const sign = () =>
      new SignJWT({ roles: ['SERVICE'] })
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setSubject('a service')
        .setIssuedAt()
        .setExpirationTime('1 min')
        .sign(privateKey);

    answering = false;
    const elsewhere = await startTestApp({ JWKS_URL });
    const development = await fetch(new URL('/dev/token', elsewhere.url), {
      method: 'POST',
      body: '{"sub":"a"}',
    });
    expect(development.status).toBe(404);
    const unavailable = await fetch(elsewhere.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await sign()}` },
      body: JSON.stringify({ query: viewerRoles }),
    });
    expect([unavailable.status, await unavailable.json()]).toEqual([
      503,
      {
        errors: [
          {
            message: 'Tokens cannot be checked at the moment.',
            extensions: { code: 'UNAVAILABLE', retryAfterMs: 2_000 },
          },
        ],
      },
    ]);
    answering = true;
    expect(await elsewhere.ask(viewerRoles, {}, { token: await sign() })).toEqual({
      viewer: { roles: ['SERVICE'] },
    });
  });
});

describe('/dev/stub/pay', () => {
  const pay = async (paymentHash: string) => {
    const response = await fetch(at(`/dev/stub/pay/${paymentHash}`), { method: 'POST' });
    return { status: response.status, body: await response.json() };
  };

  it('pays an invoice, once', async () => {
    const { job } = await createJob(app(), 'Be paid.');
    const { paymentHash } = job.evalInvoice;
    const paid = { status: 200, body: { paymentHash, state: 'PAID' } };
    expect(await pay(paymentHash)).toEqual(paid);
    expect(await pay(paymentHash)).toEqual(paid);
  });

  it.each(['', 'x', '0'.repeat(64), '%00', 'a/b'])('knows no invoice %j', async (paymentHash) => {
    expect(await pay(paymentHash)).toEqual({ status: 404, body: { error: 'There is no such invoice.' } });
  });
});
