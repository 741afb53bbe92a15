import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openLnbitsPush, reconnectMs } from '../../../src/money/lightning/lnbits-push.ts';
import { lnbitsVersions } from '../../support/lnbits/shapes.ts';
import type { FakeLnbits } from '../../support/lnbits.ts';
import { until } from '../../support/until.ts';
import { useLnbits } from './lnbits-setup.ts';

const request = { amountSats: 21n, memo: 'Kaffee', expirySeconds: 900 };

/** The n-th of some payment hashes that nobody made. */
const hashOf = (n: number) => n.toString(16).padStart(64, '0');
const messageOf = (paymentHash: string) =>
  JSON.stringify({ wallet_balance: 1, payment: { payment_hash: paymentHash } });

/** Listens to a node's push, until the test is over, with pings as often as that. */
async function listen(pingMs: number, options: Parameters<typeof useLnbits>[0] = {}) {
  const setup = await useLnbits(options);
  const { node, told } = setup;
  const heard: string[] = [];
  const push = openLnbitsPush({
    address: `${node.url.replace('http', 'ws')}/api/v1/ws/${node.invoiceKey}`,
    pingMs,
    hear: (paymentHash) => heard.push(paymentHash),
    onError: (error) => told.push(error),
  });
  onTestFinished(() => push.close());
  await connected(node);
  return { ...setup, heard };
}

const rarely = 600_000;

const connected = (node: FakeLnbits) =>
  until('the push is connected', () => node.sockets.count(node.invoiceKey) === 1);

const messages = (told: readonly unknown[]) => told.map((error) => (error as Error).message);

/** Sends a hint, and waits until it is heard: what was sent before it was heard by then, or never will be. */
async function fence(node: FakeLnbits, heard: readonly string[], paymentHash: string): Promise<void> {
  node.sockets.send(node.invoiceKey, messageOf(paymentHash));
  await until('the hint is heard', () => heard.includes(paymentHash));
}

describe.each(lnbitsVersions)('LNbits %s', (version) => {
  it('hints at a payment as soon as it comes', async () => {
    const { node, connect, told } = await useLnbits({ version, prefix: '/lnbits' });
    const lnbits = connect();
    const [first, second]: string[][] = [[], []];
    lnbits.onHint((paymentHash) => first?.push(paymentHash));
    lnbits.onHint((paymentHash) => second?.push(paymentHash));
    await connected(node);
    const { paymentHash } = await lnbits.createInvoice(request);
    await node.pay(paymentHash);
    await until('both have heard', () => first?.length && second?.length);
    expect([first, second]).toEqual([[paymentHash], [paymentHash]]);
    expect(await lnbits.lookUp(paymentHash)).toMatchObject({ paid: true, receivedSats: 21n });
    expect(node.connections).toBe(1);
    expect(told).toEqual([]);
  });

  it('hints at nothing without a push, as before 0.12.8, and the payment is there', async () => {
    const { node, connect } = await useLnbits({ version });
    node.faults.noPush = true;
    const lnbits = connect();
    const heard: string[] = [];
    lnbits.onHint((paymentHash) => heard.push(paymentHash));
    await connected(node);
    const { paymentHash } = await lnbits.createInvoice(request);
    await node.pay(paymentHash);
    await fence(node, heard, hashOf(1));
    expect(heard).toEqual([hashOf(1)]);
    expect(await lnbits.lookUp(paymentHash)).toMatchObject({ paid: true });
  });
});

describe('a message', () => {
  it.each(['POST', 'GET'])('that anyone sends with %s is a hint, and pays nothing', async (method) => {
    const { node, connect } = await useLnbits();
    const lnbits = connect();
    const heard: string[] = [];
    lnbits.onHint((paymentHash) => heard.push(paymentHash));
    await connected(node);
    const { paymentHash } = await lnbits.createInvoice(request);
    const lie = JSON.stringify({
      wallet_balance: 21,
      payment: { payment_hash: paymentHash, status: 'success', pending: false, amount: 21_000 },
    });
    const channel = `${node.url}/api/v1/ws/${node.invoiceKey}`;
    const data = encodeURIComponent(lie);
    await fetch(method === 'POST' ? `${channel}?data=${data}` : `${channel}/${data}`, { method });
    await until('the lie is heard', () => heard.length === 1);
    expect(heard).toEqual([paymentHash]);
    expect(await lnbits.lookUp(paymentHash)).toEqual({ paid: false, isKnown: true });
  });

  it('that names no payment is ignored', async () => {
    const { node, heard, told } = await listen(rarely);
    for (const message of [
      '',
      '{',
      'null',
      '{"pending":false}',
      `{"payment":{"payment_hash":"${'x'.repeat(64)}"}}`,
    ])
      node.sockets.send(node.invoiceKey, message);
    const binary = Buffer.from(messageOf(hashOf(2)));
    node.sockets.sendRaw(node.invoiceKey, Buffer.concat([Buffer.of(0x82, binary.length), binary]));
    await fence(node, heard, hashOf(1));
    expect(heard).toEqual([hashOf(1)]);
    expect(told).toEqual([]);
    expect(node.connections).toBe(1);
  });

  it('that comes again is heard again, a second later, once', async () => {
    const { node, heard } = await listen(rarely);
    for (let n = 0; n < 50; n += 1) node.sockets.send(node.invoiceKey, messageOf(hashOf(1)));
    await fence(node, heard, hashOf(2));
    expect(heard).toEqual([hashOf(1), hashOf(2)]);
    await until('it is heard again', () => heard.length === 3);
    await fence(node, heard, hashOf(3));
    expect(heard).toEqual([hashOf(1), hashOf(2), hashOf(1), hashOf(3)]);
  });

  it('is lost in a flood of others, of which a bounded number is heard', async () => {
    const { node, heard } = await listen(rarely);
    for (let n = 0; n < 3_000; n += 1) node.sockets.send(node.invoiceKey, messageOf(hashOf(n)));
    await until('as many are heard as may be', () => heard.length >= 1_000);
    const late = hashOf(5_000);
    await until('the flood is over, and others are heard', () => {
      node.sockets.send(node.invoiceKey, messageOf(late));
      return heard.includes(late);
    });
    expect(new Set(heard.slice(0, 1_000)).size).toBe(1_000);
    expect(new Set(heard.slice(1_000))).toEqual(new Set([late]));
  });
});

describe('a connection', () => {
  it('is not made before anyone listens', async () => {
    const { node, connect } = await useLnbits();
    const lnbits = connect();
    await lnbits.lookUp(hashOf(1));
    expect(node.connections).toBe(0);
  });

  it('that was dropped is made again, and said to be lost once', async () => {
    const { node, heard, told } = await listen(rarely);
    node.sockets.drop();
    await until('it is made again', () => node.connections === 2);
    await connected(node);
    await fence(node, heard, hashOf(1));
    expect(messages(told)).toEqual(['LNbits pushes no payments for now: the connection was closed.']);
  });

  it('is tried for again and again while it is refused, which is said once', async () => {
    const { node, heard, told } = await listen(rarely);
    node.faults.refuseSockets = true;
    node.sockets.drop();
    await until('it was refused', () => node.connections === 2);
    node.faults.refuseSockets = false;
    await connected(node);
    await fence(node, heard, hashOf(1));
    expect(told).toHaveLength(1);
  });

  it('says with which status it was refused', async () => {
    const { node, connect, told } = await useLnbits();
    node.faults.refuseSockets = true;
    connect().onHint(() => {});
    await until('it is said', () => told.length);
    expect(messages(told)).toEqual(['LNbits pushes no payments for now: the answer was 403.']);
  });

  it('is said to be lost again only after it has held for a ping', async () => {
    const { node, heard, told } = await listen(rarely);
    node.sockets.drop();
    await until('it is made again', () => node.connections === 2);
    await connected(node);
    node.sockets.drop();
    await until('it is made a third time', () => node.connections === 3);
    await connected(node);
    await fence(node, heard, hashOf(1));
    expect(told).toHaveLength(1);

    const often = await listen(500);
    for (const n of [1, 2]) {
      often.node.sockets.pings = 0;
      await until('a ping has come', () => often.node.sockets.pings > 0);
      // The answer to the ping was sent before this, and so it has come before.
      await fence(often.node, often.heard, hashOf(n));
      often.node.sockets.drop();
      await until('the loss is said', () => often.told.length === n);
      await connected(often.node);
    }
  });

  it('to a server that went away and came back is made again', async () => {
    const { node, heard, told } = await listen(rarely);
    await node.close();
    await until('the loss is said', () => told.length);
    await node.start();
    await connected(node);
    await fence(node, heard, hashOf(1));
    expect(told).toHaveLength(1);
  });

  it('that is dead and looks open is given up', async () => {
    const { node, heard, told } = await listen(500);
    node.sockets.stall();
    await until('it is made again', () => node.connections === 2);
    await fence(node, heard, hashOf(1));
    expect(messages(told)).toEqual(['LNbits pushes no payments for now: the other end is gone.']);
  });

  it('that answers its pings is kept', async () => {
    const { node, told } = await listen(500);
    await until('a ping follows another', () => node.sockets.pings === 2);
    expect(node.connections).toBe(1);
    expect(told).toEqual([]);
  });

  it.each([
    ['no frame', Buffer.alloc(64, 0xff), 'WS_ERR_UNEXPECTED_RSV_2_3'],
    ['half a text', Buffer.of(0x81, 2, 0xc3, 0x28), 'WS_ERR_INVALID_UTF8'],
    [
      'a frame that is said to be huge',
      Buffer.of(0x81, 127, 0, 0, 0, 127, 0, 0, 0, 0),
      'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
    ],
    ['a frame that is too long', textFrame(' '.repeat(262_145)), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'],
  ])('through which comes %s is made again', async (_, bytes, code) => {
    const { node, heard, told } = await listen(rarely);
    node.sockets.sendRaw(node.invoiceKey, bytes);
    await until('it is made again', () => node.connections === 2);
    await connected(node);
    await fence(node, heard, hashOf(1));
    expect(messages(told)).toEqual([`LNbits pushes no payments for now: ${code}.`]);
  });

  it('that is never made is given up, and tried again', async () => {
    const { url, connections } = await listenSilently();
    const told: unknown[] = [];
    const push = openLnbitsPush({
      address: url.href.replace('http', 'ws'),
      pingMs: 100,
      hear: () => {},
      onError: (error) => told.push(error),
    });
    onTestFinished(() => push.close());
    await until('it is tried again', () => connections.size === 2);
    expect(messages(told)).toEqual(['LNbits pushes no payments for now: the connection failed.']);
  });

  it('takes messages of 256 KiB', async () => {
    const { node, heard, told } = await listen(rarely);
    node.sockets.send(node.invoiceKey, messageOf(hashOf(1)).padEnd(262_144));
    await until('it is heard', () => heard.length === 1);
    expect(told).toEqual([]);
  });
});

/** A server that takes connections and says nothing. */
async function listenSilently() {
  const connections = new Set<Socket>();
  const server = createServer((socket) => connections.add(socket.on('error', () => {})));
  onTestFinished(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), connections };
}

function textFrame(content: string): Buffer {
  const head = Buffer.of(0x81, 127, 0, 0, 0, 0, 0, 0, 0, 0);
  head.writeUInt32BE(content.length, 6);
  return Buffer.concat([head, Buffer.from(content)]);
}

describe('the pause before the next attempt', () => {
  it('is from half a second to at most 30, and longer with each attempt', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, noNaN: true }), (attempts, random) => {
        const pause = reconnectMs(attempts, random);
        expect(pause).toBeGreaterThanOrEqual(500);
        expect(pause).toBeLessThanOrEqual(30_000);
        expect(pause).toBeLessThanOrEqual(reconnectMs(attempts + 1, random));
      }),
    );
    expect([0, 1, 4, 5].map((attempts) => reconnectMs(attempts, 1))).toEqual([1_000, 2_000, 16_000, 30_000]);
  });
});

describe('close', () => {
  it('ends the connection, and hears nothing more, not even what has come', async () => {
    const { node, told } = await useLnbits();
    const heard: string[] = [];
    let closing: Promise<void> | undefined;
    const push = openLnbitsPush({
      address: `${node.url.replace('http', 'ws')}/api/v1/ws/${node.invoiceKey}`,
      pingMs: rarely,
      hear: (paymentHash) => {
        heard.push(paymentHash);
        closing = push.close();
      },
      onError: (error) => told.push(error),
    });
    await connected(node);
    const frames = [hashOf(1), hashOf(2)].map((paymentHash) => textFrame(messageOf(paymentHash)));
    node.sockets.sendRaw(node.invoiceKey, Buffer.concat(frames));
    await until('the first is heard', () => heard.length > 0);
    await closing;
    await until('it is gone there too', () => node.sockets.count(node.invoiceKey) === 0);
    expect(heard).toEqual([hashOf(1)]);
    expect(told).toEqual([]);
    await push.close();
  });

  it('ends an attempt that is never answered', async () => {
    const { url, connections } = await listenSilently();
    const { connect, told } = await useLnbits();
    const lnbits = connect({ url });
    lnbits.onHint(() => {});
    await until('it is tried', () => connections.size === 1);
    await lnbits.close();
    expect(told).toEqual([]);
  });

  // A process ends by itself when it has no timer, no socket and no request left.
  it.each(['connected', 'lost', 'waiting'])('leaves nothing behind when it is %s', async (state) => {
    const { node } = await useLnbits();
    if (state === 'waiting') node.faults.answers = 'hang';
    const script = fileURLToPath(new URL('./lnbits-leaver.ts', import.meta.url));
    const leaver = spawn(process.execPath, ['--import', 'tsx', script], {
      env: { ...process.env, LNBITS_URL: node.url, LNBITS_KEY: node.invoiceKey },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    onTestFinished(() => {
      leaver.kill('SIGKILL');
    });
    const output = text(leaver.stdout!);
    const exit = once(leaver, 'exit');
    await connected(node);
    if (state === 'lost') {
      node.faults.refuseSockets = true;
      node.sockets.drop();
      await until('it has tried again', () => node.connections === 2);
    }
    if (state === 'flooded')
      for (let n = 0; n < 2; n += 1) node.sockets.send(node.invoiceKey, messageOf(hashOf(n % 2)));
    if (state === 'waiting') {
      leaver.send('ask');
      await until('it has asked', () => node.requests.length === 1);
    }
    leaver.send('close');
    expect(await exit).toEqual([0, null]);
    expect(await output).toBe('closed\n');
  });
});
