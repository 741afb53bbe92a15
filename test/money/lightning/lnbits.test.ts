import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { decode } from 'light-bolt11-decoder';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { InvoiceRequest } from '../../../src/money/lightning/backend.ts';
import { standingClock } from '../../support/clock.ts';
import type { LnbitsAnswers, LnbitsFaults } from '../../support/lnbits/faults.ts';
import { booksWhenAsked, lnbitsVersions } from '../../support/lnbits/shapes.ts';
import { until } from '../../support/until.ts';
import { useLnbits } from './lnbits-setup.ts';

const request: InvoiceRequest = { amountSats: 2_100n, memo: 'Zwei Kaffee', expirySeconds: 900 };

function fieldsOf(bolt11: string): Record<string, unknown> {
  return Object.fromEntries(
    decode(bolt11).sections.map((section) => [section.name, 'value' in section ? section.value : undefined]),
  );
}

/** A server of this machine until the test is over. */
async function listen(answer: Parameters<typeof createServer>[1]): Promise<URL> {
  const server: Server = createServer(answer as never);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

const answering = (status: number, body: string) => (_: unknown, response: ServerResponse) =>
  response.writeHead(status).end(body);

describe.each(lnbitsVersions)('LNbits %s', (version) => {
  it('makes an invoice, which is what was asked for', async () => {
    const clock = standingClock();
    const { node, connect } = await useLnbits({ version, clock });
    const { paymentHash, bolt11, expiresAt } = await connect().createInvoice(request);
    expect(fieldsOf(bolt11)).toMatchObject({
      amount: '2100000',
      payment_hash: paymentHash,
      description: 'Zwei Kaffee',
      expiry: 900,
    });
    expect(expiresAt).toEqual(new Date(clock.now() + 900_000));
    const [{ method, path, key, body }] = node.requests as never as [(typeof node.requests)[number]];
    expect({ method, path, key, body: JSON.parse(body) }).toEqual({
      method: 'POST',
      path: '/api/v1/payments',
      key: node.invoiceKey,
      body: { out: false, amount: 2_100, unit: 'sat', memo: 'Zwei Kaffee', expiry: 900 },
    });
  });

  it('says what was paid, and since 1.0 also when', async () => {
    const clock = standingClock();
    const later = { now: () => clock.now() + 5_000 };
    const { node, connect } = await useLnbits({ version, clock });
    const lnbits = connect({ clock: later });
    const { paymentHash } = await lnbits.createInvoice(request);
    expect(await lnbits.lookUp(paymentHash)).toEqual({ paid: false, isKnown: true });
    await node.pay(paymentHash);
    expect(await lnbits.lookUp(paymentHash)).toEqual({
      paid: true,
      receivedSats: 2_100n,
      paidAt: new Date(version === '0.12' ? later.now() : clock.now()),
    });
    expect(node.requests.at(-1)).toMatchObject({
      method: 'GET',
      path: `/api/v1/payments/${paymentHash}`,
      key: node.invoiceKey,
    });
  });

  it('says what was paid without its telling anyone', async () => {
    const { node, connect } = await useLnbits({ version });
    const lnbits = connect();
    const { paymentHash } = await lnbits.createInvoice(request);
    await node.pay(paymentHash, { push: false, webhook: false });
    expect(await lnbits.lookUp(paymentHash)).toMatchObject({ paid: true, receivedSats: 2_100n });
  });

  it('never says unpaid of a payment that its node has', async () => {
    const { node, connect, refusal } = await useLnbits({ version });
    const lnbits = connect();
    const { paymentHash } = await lnbits.createInvoice(request);
    await node.pay(paymentHash, { booked: false });
    if (!booksWhenAsked(version)) {
      expect(await refusal(lnbits.lookUp(paymentHash))).toBe(
        'LNbits has not booked a payment that its node has.',
      );
      node.recheck();
    }
    expect(await lnbits.lookUp(paymentHash)).toMatchObject({ paid: true, receivedSats: 2_100n });
  });

  it('takes more than was asked, and takes it late', async () => {
    const clock = standingClock();
    const { node, connect } = await useLnbits({ version, clock });
    const lnbits = connect({ clock });
    const { paymentHash } = await lnbits.createInvoice(request);
    clock.advance(7 * 86_400_000);
    await node.pay(paymentHash, { sats: 5_000 });
    expect(await lnbits.lookUp(paymentHash)).toEqual({
      paid: true,
      receivedSats: 5_000n,
      paidAt: new Date(clock.now()),
    });
  });

  it('posts a webhook as that version writes it, once', async () => {
    const posted: string[] = [];
    const webhookUrl = await listen(async (incoming, response) => {
      posted.push(await text(incoming));
      response.writeHead(500).end();
    });
    const { node, connect } = await useLnbits({ version });
    const { paymentHash } = await connect().createInvoice({ ...request, webhookUrl: webhookUrl.href });
    await node.pay(paymentHash);
    const bodies = posted.map((body) => JSON.parse(body));
    const payments = version === '0.12' ? bodies : bodies.map((body) => JSON.parse(body));
    expect(payments.map((payment) => payment.payment_hash)).toEqual(version === '1.0' ? [] : [paymentHash]);
    expect(node.invoices.get(paymentHash)?.webhookStatus).toBe(version === '1.0' ? undefined : 500);
  });

  it('does not know other payments', async () => {
    const { node, connect } = await useLnbits({ version });
    const lnbits = connect();
    const { paymentHash } = await lnbits.createInvoice(request);
    await node.pay(paymentHash);
    node.invoices.delete(paymentHash);
    expect(await lnbits.lookUp(paymentHash)).toEqual({ paid: false, isKnown: false });
    expect(lnbits.reachable).toBe(true);
  });

  it('keeps the details of a payment from a key that is none', async () => {
    const { node, connect, refusal } = await useLnbits({ version });
    const { paymentHash } = await connect().createInvoice(request);
    const stranger = connect({ invoiceKey: 'f'.repeat(32) });
    expect(await refusal(stranger.createInvoice(request))).toBe('LNbits answered 404.');
    expect(await stranger.lookUp(paymentHash)).toEqual({ paid: false, isKnown: true });
    await node.pay(paymentHash);
    expect(await refusal(stranger.lookUp(paymentHash))).toBe(
      'LNbits gives no details of a payment: the key is of another wallet.',
    );
  });
});

describe('a request for an invoice', () => {
  it.each([
    ['keeps what fits', 'é'.repeat(319), 'é'.repeat(319)],
    ['is cut to what BOLT11 takes', 'x'.repeat(700), 'x'.repeat(639)],
    ['is not cut through a character of two bytes', 'é'.repeat(400), 'é'.repeat(319)],
    ['is not cut through a character of four bytes', '⚡😀'.repeat(200), `${'⚡😀'.repeat(91)}`],
    ['loses half a character', 'a\ud800', 'a\ufffd'],
  ])('has a memo that %s', async (_, memo, expected) => {
    const { node, connect } = await useLnbits();
    const { bolt11 } = await connect().createInvoice({ ...request, memo });
    expect(JSON.parse(node.requests[0]!.body).memo).toBe(expected);
    expect(fieldsOf(bolt11).description).toBe(expected);
  });

  it('goes below the path of the address', async () => {
    const { node, connect } = await useLnbits({ prefix: '/pay/lnbits' });
    for (const url of [node.url, `${node.url}/`]) await connect({ url: new URL(url) }).createInvoice(request);
    expect(node.requests.map(({ path }) => path)).toEqual(['/api/v1/payments', '/api/v1/payments']);
  });
});

describe('an invoice that is not what was asked for', () => {
  it.each<[LnbitsFaults['invoices'], string]>([
    ['withoutRequest', 'LNbits made an invoice that cannot be read.'],
    ['unreadable', 'LNbits made an invoice that cannot be read.'],
    ['otherHash', 'LNbits made an invoice with another payment hash than it says.'],
    ['otherAmount', 'LNbits made an invoice for another amount.'],
  ])('is refused: %s', async (fault, message) => {
    const { node, connect, refusal } = await useLnbits();
    node.faults.invoices = fault;
    const lnbits = connect();
    expect(await refusal(lnbits.createInvoice(request))).toBe(message);
    expect(lnbits.reachable).toBe(false);
  });
});

const spoilt: ReadonlyArray<[LnbitsAnswers, string]> = [
  ['error', 'LNbits answered 520.'],
  ['limited', 'LNbits answered 429.'],
  ['html', 'LNbits gave an answer that makes no sense.'],
  ['truncated', 'LNbits gave an answer that makes no sense.'],
  ['redirect', 'LNbits answered 307.'],
  ['hang', 'LNbits did not answer in time.'],
  ['stall', 'LNbits did not answer in time.'],
  ['oversized', 'LNbits answered too much.'],
  ['cut', 'LNbits cannot be reached (UND_ERR_SOCKET).'],
];

describe('an answer that is none', () => {
  it.each(spoilt)('says nothing of a payment, and makes no invoice: %s', async (fault, message) => {
    const { node, connect, refusal } = await useLnbits();
    const lnbits = connect({ timeoutMs: fault === 'hang' || fault === 'stall' ? 100 : 10_000 });
    expect(lnbits.reachable).toBe(true);
    const { paymentHash } = await lnbits.createInvoice(request);
    await node.pay(paymentHash);
    const before = node.requests.length;
    node.faults.answers = fault;
    expect(await refusal(lnbits.lookUp(paymentHash))).toBe(message);
    expect(await refusal(lnbits.createInvoice(request))).toBe(message);
    expect(lnbits.reachable).toBe(false);
    expect(node.requests).toHaveLength(before + 2);
    node.faults.answers = 'sound';
    expect(await lnbits.lookUp(paymentHash)).toMatchObject({ paid: true });
    expect(lnbits.reachable).toBe(true);
  });

  it('is unpaid while the node behind LNbits is away, which is no error, and paid after that', async () => {
    const { node, connect, refusal } = await useLnbits();
    const lnbits = connect();
    const { paymentHash } = await lnbits.createInvoice(request);
    node.faults.answers = 'backend';
    await node.pay(paymentHash);
    expect(await lnbits.lookUp(paymentHash)).toEqual({ paid: false, isKnown: true });
    expect(await refusal(lnbits.createInvoice(request))).toBe('LNbits answered 520.');
    node.faults.answers = 'sound';
    expect(await lnbits.lookUp(paymentHash)).toMatchObject({ paid: true });
  });

  it('is waited for when it is late but in time', async () => {
    const { node, connect } = await useLnbits();
    node.faults.delayMs = 50;
    const lnbits = connect();
    const { paymentHash } = await lnbits.createInvoice(request);
    expect(await lnbits.lookUp(paymentHash)).toEqual({ paid: false, isKnown: true });
  });

  it('is known when nobody is there, and LNbits is asked again when it is back', async () => {
    const { node, connect, refusal } = await useLnbits();
    const lnbits = connect();
    const { paymentHash } = await lnbits.createInvoice(request);
    await node.close();
    expect(await refusal(lnbits.lookUp(paymentHash))).toBe('LNbits cannot be reached (ECONNREFUSED).');
    await node.start();
    expect(await lnbits.lookUp(paymentHash)).toEqual({ paid: false, isKnown: true });
  });

  it('is told without the key when the key itself is the fault', async () => {
    const { node, connect, refusal } = await useLnbits();
    const lnbits = connect({ invoiceKey: `${node.invoiceKey}\n${node.adminKey}` });
    expect(await refusal(lnbits.createInvoice(request))).toBe('LNbits cannot be reached.');
  });

  it.each([
    [404, '{"detail":"Not Found"}', 'LNbits answered 404.'],
    [404, '{"detail":"Wallet not found."}', 'LNbits answered 404.'],
    [404, '<html>', 'LNbits gave an answer that makes no sense.'],
    [401, '{"detail":"No Api Key provided."}', 'LNbits answered 401.'],
    [403, '{"detail":"Payment does not exist."}', 'LNbits answered 403.'],
    [500, '{"paid":true}', 'LNbits answered 500.'],
    [204, '', 'LNbits gave an answer that makes no sense.'],
    [200, 'null', 'LNbits gave an answer that makes no sense.'],
    [200, '{}', 'LNbits gave an answer that makes no sense.'],
    [200, '{"paid":1}', 'LNbits gave an answer that makes no sense.'],
    [200, '{"paid":"true"}', 'LNbits gave an answer that makes no sense.'],
  ])('is refused with status %i: %s', async (status, body, message) => {
    const { connect, refusal } = await useLnbits();
    const lnbits = connect({ url: await listen(answering(status, body)) });
    expect(await refusal(lnbits.lookUp('00'.repeat(32)))).toBe(message);
  });
});

describe('close', () => {
  it('gives up what is under way, and asks nothing after it', async () => {
    const { node, connect, refusal } = await useLnbits();
    node.faults.answers = 'hang';
    const lnbits = connect({ timeoutMs: 600_000 });
    const created = refusal(lnbits.createInvoice(request));
    const lookedUp = refusal(lnbits.lookUp('00'.repeat(32)));
    await until('both are asked', () => node.requests.length === 2);
    await lnbits.close();
    expect([await created, await lookedUp]).toEqual(Array(2).fill('LNbits is no longer asked.'));
    expect(await refusal(lnbits.lookUp('00'.repeat(32)))).toBe('LNbits is no longer asked.');
    expect(node.requests).toHaveLength(2);
  });
});
