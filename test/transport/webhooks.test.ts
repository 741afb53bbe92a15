import { beforeEach, describe, expect, it } from 'vitest';
import { byHash } from '../../src/money/invoice-queries.ts';
import { useTestApp } from '../support/app.ts';
import { withoutTable } from '../support/faults.ts';
import { faultyLightning } from '../support/lightning.ts';
import { createJob } from '../support/operations.ts';
import { connectRaw } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

const prefix = 'https://satwire.example/behind/webhooks/lnbits/';

const line = faultyLightning();
line.silent = true;
// No agent, which would ask for invoices itself.
const app = useTestApp(
  { PUBLIC_URL: 'https://satwire.example/behind', AGENT: 'external' },
  { lightning: line.wrap },
);

/** The last invoice that was made: its payment hash, and the token that the node was given with it. */
let paymentHash: string;
let token: string;

beforeEach(async () => {
  const { job } = await createJob(app(), 'Tell me when it is paid.');
  paymentHash = job.evalInvoice.paymentHash;
  token = String(line.requested.at(-1)?.webhookUrl).slice(prefix.length);
  // The reconciler knows of none of them, and nobody but the webhooks tells of a payment.
  await app().services.db.query('DELETE FROM open_invoices');
});

const at = (rest: string) => new URL(`/webhooks/lnbits/${rest}`, app().url);

async function post(rest: string, init: RequestInit = {}) {
  const response = await fetch(at(rest), { method: 'POST', ...init });
  return { status: response.status, body: await response.json() };
}

/** A wallet pays, and the node tells nobody. */
const payUnheard = () => app().services.stubLightning?.pay(paymentHash, 10n);

const stateOf = async () => (await byHash(app().services.db, paymentHash))?.state;

const hints = () =>
  app().services.db.query('SELECT 1 FROM invoices WHERE payment_hash = $1 AND hinted_at IS NOT NULL', [
    paymentHash,
  ]);

const heard = { status: 200, body: { status: 'heard' } };
const unknown = { status: 404, body: { error: 'Not found.' } };

it('has the URL under which this server is reached from outside, with a token of 256 bits', () => {
  expect(line.requested.at(-1)?.webhookUrl?.startsWith(prefix)).toBe(true);
  expect(token).toMatch(/^[\w-]{43}$/);
});

it('with the token of an invoice has its payment booked', async () => {
  await payUnheard();
  expect(await post(token, { body: JSON.stringify({ payment_hash: paymentHash }) })).toEqual(heard);
  await until('the booking', async () => (await stateOf()) === 'PAID');
  expect(await post(token)).toEqual(heard);
});

it('is a hint alone: what was not paid is not booked', async () => {
  const before = line.lookedUp.length;
  expect(await post(token, { body: JSON.stringify({ payment_hash: paymentHash, paid: true }) })).toEqual(
    heard,
  );
  await until('the look-up', () => line.lookedUp.slice(before).includes(paymentHash));
  expect(await stateOf()).toBe('OPEN');
});

describe('what is posted', () => {
  it.each([
    ['nothing', undefined],
    ['JSON in JSON', JSON.stringify(JSON.stringify({ payment_hash: 'f'.repeat(64) }))],
    ['garbage', '{"payment_hash": '],
    ['bytes', Buffer.from([0xff, 0x00, 0xfe])],
    ['another payment', JSON.stringify({ payment_hash: '0'.repeat(64), token: 'x' })],
    ['as much as may be', 'x'.repeat(65_536)],
  ])('is not read: %s', async (_what, body) => {
    await payUnheard();
    const headers = { 'content-type': 'application/json' };
    expect(await post(token, body === undefined ? { headers } : { headers, body })).toEqual(heard);
    await until('the booking', async () => (await stateOf()) === 'PAID');
  });

  it('is cut off when it is huge', async () => {
    const connection = await connectRaw(app().url);
    const bytes = 1_000_000_000;
    connection.write(
      `POST /webhooks/lnbits/${token} HTTP/1.1\r\nHost: satwire.example\r\nContent-Length: ${bytes}\r\n\r\n`,
    );
    await connection.receive(/^HTTP\/1.1 200 /);
    // Answered already, and yet it goes on.
    let sent = 0;
    await until('the cut', () => {
      if (!connection.ended && sent < 10_000_000) {
        connection.write('x'.repeat(32_768));
        sent += 32_768;
      }
      return connection.ended;
    });
    expect((await fetch(at(token), { method: 'POST' })).status).toBe(200);
  });
});

describe('what is no webhook', () => {
  it.each(['', 'x', 'A'.repeat(43), '%00', '..%2f', 'a/b', `${'x'.repeat(8_000)}`])(
    'has the token %.20s',
    async (unknownToken) => {
      expect(await post(unknownToken)).toEqual(unknown);
    },
  );

  it('has the token with something before or behind it', async () => {
    for (const rest of [`${token}/`, `${token}x`, `x${token}`, `/${token}`, `${token}/${token}`])
      expect(await post(rest)).toEqual(unknown);
    expect(await hints()).toEqual([]);
  });

  it('has the payment hash, which whoever pays knows too', async () => {
    expect(await post(paymentHash)).toEqual(unknown);
    expect(await hints()).toEqual([]);
  });

  it.each(['GET', 'PUT', 'DELETE', 'PATCH'])('is a %s', async (method) => {
    const response = await fetch(at(token), { method });
    expect([response.status, await response.json()]).toEqual([unknown.status, unknown.body]);
    expect(await hints()).toEqual([]);
  });

  it('comes from a page of another origin', async () => {
    const { status } = await post(token, { headers: { origin: 'https://elsewhere.example' } });
    expect(status).toBe(403);
    expect(await hints()).toEqual([]);
  });
});

it('fails while the database does, with nothing of the token said', async () => {
  const { status, body } = await withoutTable(app(), 'invoices', () => post(token));
  expect([status, body]).toEqual([500, { error: 'Unexpected error.' }]);
  expect(app().logged.join('\n')).toMatch(/request failed/);
  expect(app().logged.join('\n')).not.toContain(token);
});
