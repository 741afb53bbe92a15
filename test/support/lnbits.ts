import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/platform/clock.ts';
import { send } from './lnbits/answers.ts';
import { type LnbitsFaults, noFaults } from './lnbits/faults.ts';
import { createRoutes, type Request } from './lnbits/routes.ts';
import { type LnbitsVersion, paymentMessage, walletMessage, webhookBody } from './lnbits/shapes.ts';
import { createSockets, type FakeSockets } from './lnbits/sockets.ts';
import { createWallet, type FakeOutgoing, type FakePayment } from './lnbits/wallet.ts';

/** How a payment comes; unless it is said otherwise, LNbits learns of it and tells everyone. */
export interface PaymentOptions {
  /** What is received; as much as was asked when it is not said. */
  readonly sats?: number;
  readonly push?: boolean;
  readonly webhook?: boolean;
  /** False: only the node has it, and LNbits finds it when it looks. Nobody is told then, ever. */
  readonly booked?: boolean;
}

/** A server that speaks the published protocol of LNbits, with one wallet, and fails as LNbits can. */
export interface FakeLnbits {
  readonly url: string;
  readonly invoiceKey: string;
  readonly adminKey: string;
  /** An invoice key of another wallet. */
  readonly otherKey: string;
  readonly faults: LnbitsFaults;
  /** By payment hash. Deleted ones are unknown. */
  readonly invoices: Map<string, FakePayment>;
  /** What it was asked to pay, by payment hash. */
  readonly outgoing: Map<string, FakeOutgoing>;
  /** What it was asked lately, in order. */
  readonly requests: readonly Request[];
  readonly sockets: FakeSockets;
  /** How many WebSockets were asked for, also those that were refused. */
  readonly connections: number;
  /**
   * Pays an invoice, also after its time; again it does nothing. Resolves once the webhook was answered or given up.
   */
  pay(paymentHash: string, options?: PaymentOptions): Promise<void>;
  /** The task of every 30 minutes, which books what the node has received and tells nobody. */
  recheck(): void;
  /** Stops at once, as a crash does. */
  close(): Promise<void>;
  /** Starts again where it was, with all that it knows. */
  start(): Promise<void>;
}

interface Options {
  readonly version?: LnbitsVersion;
  /** Any free one when it is not given. */
  readonly port?: number;
  /** Where it is on its host: `/lnbits`, for example. */
  readonly prefix?: string;
  readonly clock?: Clock;
}

const maximumRequests = 100_000;
const webhookTimeoutMs = 40_000;

/** Starts a fake LNbits on this machine. */
export async function startLnbits(options: Options = {}): Promise<FakeLnbits> {
  const { version = '1.5', prefix = '', clock = systemClock } = options;
  const [invoiceKey, adminKey, otherKey] = [newKey(), newKey(), newKey()];
  const faults = noFaults();
  const wallet = createWallet(clock);
  const sockets = createSockets();
  const keys = { own: [invoiceKey, adminKey], admin: adminKey, other: otherKey };
  const routes = createRoutes({ version, wallet, sockets, faults, keys });
  const requests: Request[] = [];
  let port = options.port ?? 0;
  let server: Server | undefined;
  let stopping = new AbortController();
  let connections = 0;

  async function read(incoming: IncomingMessage): Promise<Request> {
    const { pathname, searchParams: query } = new URL(incoming.url ?? '/', 'http://lnbits');
    const header = incoming.headers['x-api-key'];
    const request: Request = {
      method: incoming.method ?? '',
      path: pathname.startsWith(prefix) ? pathname.slice(prefix.length) : '',
      query,
      key: typeof header === 'string' ? header : (query.get('api-key') ?? undefined),
      body: await text(incoming),
    };
    requests.push(request);
    if (requests.length > maximumRequests) requests.shift();
    return request;
  }

  function listen(): Server {
    const listening = createServer(async (incoming, response) => {
      response.on('error', () => {});
      try {
        const answer = routes.answer(await read(incoming));
        if (faults.delayMs > 0) await delay(faults.delayMs, undefined, { signal: stopping.signal });
        send(response, answer, faults.answers);
      } catch {
        // Whoever asked is gone, or we are.
        response.destroy();
      }
    });
    listening.on('upgrade', (request, socket, head) => {
      const path = `${prefix}/api/v1/ws/`;
      socket.on('error', () => {});
      connections += 1;
      if (faults.refuseSockets || !request.url?.startsWith(path)) {
        const refusal = 'HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';
        socket.end(refusal, () => socket.destroy());
        return;
      }
      sockets.upgrade(decodeURIComponent(request.url.slice(path.length)), request, socket, head);
    });
    return listening;
  }

  async function sendWebhook(payment: FakePayment): Promise<void> {
    const body = webhookBody(version, payment);
    if (!payment.webhook || body === undefined) return;
    try {
      const response = await fetch(payment.webhook, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', 'user-agent': `LNbits/${version}` },
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(webhookTimeoutMs)]),
      });
      await response.arrayBuffer();
      payment.webhookStatus = response.status;
    } catch {
      payment.webhookStatus = -1;
    }
  }

  const lnbits: FakeLnbits = {
    get url() {
      return `http://127.0.0.1:${port}${prefix}`;
    },
    invoiceKey,
    adminKey,
    otherKey,
    faults,
    invoices: wallet.invoices,
    outgoing: wallet.outgoing,
    requests,
    sockets,
    get connections() {
      return connections;
    },
    async pay(paymentHash, { sats, push = true, webhook = true, booked = true } = {}) {
      const payment = wallet.invoices.get(paymentHash);
      if (!payment) throw new Error('There is no such invoice.');
      if (payment.receivedSats !== undefined) return;
      payment.receivedSats = sats ?? payment.amountSats;
      // A node that does not answer LNbits does not tell it of payments either.
      if (!booked || faults.answers === 'backend') return;
      wallet.book(payment);
      if (push && !faults.noPush) {
        const message = walletMessage(version, payment, wallet.balanceSats);
        sockets.send(invoiceKey, message);
        if (version !== '0.12') sockets.send(adminKey, message);
        sockets.send(paymentHash, paymentMessage(version));
      }
      if (webhook && !faults.noWebhook) await sendWebhook(payment);
    },
    recheck() {
      for (const payment of wallet.invoices.values()) {
        if (payment.receivedSats !== undefined && payment.bookedAt === undefined) wallet.book(payment);
      }
    },
    async close() {
      const closing = server;
      server = undefined;
      if (!closing) return;
      stopping.abort();
      sockets.drop();
      await new Promise<void>((resolve) => {
        closing.close(() => resolve());
        closing.closeAllConnections();
      });
    },
    async start() {
      stopping = new AbortController();
      const starting = listen();
      server = starting;
      await new Promise<void>((resolve, reject) => {
        starting.once('error', reject).listen(port, '127.0.0.1', resolve);
      });
      port = (starting.address() as AddressInfo).port;
    },
  };
  await lnbits.start();
  return lnbits;
}

function newKey(): string {
  return randomBytes(16).toString('hex');
}
