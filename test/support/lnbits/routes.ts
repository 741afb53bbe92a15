import { z } from 'zod';
import { readBolt11 } from '../../../src/money/lightning/bolt11-read.ts';
import type { Answer } from './answers.ts';
import type { LnbitsFaults } from './faults.ts';
import { booksWhenAsked, createdShape, type LnbitsVersion, outgoingShape, paymentShape } from './shapes.ts';
import type { FakeSockets } from './sockets.ts';
import { encodeInvoice, type FakeOutgoing, type FakePayment, type FakeWallet } from './wallet.ts';

/** A request, as the fake LNbits has read it; the path is without its prefix. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly key: string | undefined;
  readonly body: string;
}

interface Dependencies {
  readonly version: LnbitsVersion;
  readonly wallet: FakeWallet;
  readonly sockets: FakeSockets;
  readonly faults: LnbitsFaults;
  /** The keys of the wallet, and those of another one on the same server. */
  readonly keys: { readonly own: readonly string[]; readonly admin: string; readonly other: string };
}

const invoiceRequest = z.object({
  out: z.boolean().default(true),
  amount: z.number().min(0).default(0),
  bolt11: z.string().default(''),
  unit: z.literal('sat').default('sat'),
  memo: z
    .string()
    .refine((memo) => [...memo].length <= 640)
    .default('LNbits'),
  expiry: z.int().min(1).default(3_600),
  webhook: z.string().nullable().default(null),
});

/** Answers what LNbits of that version answers. */
export function createRoutes({ version, wallet, sockets, faults, keys }: Dependencies) {
  const isKnown = (key: string) => keys.own.includes(key) || key === keys.other;
  /** Payment hashes of invoices of the other wallet. */
  const foreign = new Set<string>();

  function create({ key, body }: Request): Answer {
    if (!key) return refusal(401, 'No Api Key provided.');
    if (!isKnown(key)) return refusal(404, 'Wallet not found.');
    const asked = invoiceRequest.safeParse(parse(body));
    if (!asked.success) {
      const detail = asked.error.issues.map(({ path, message }) => ({
        loc: ['body', ...path],
        msg: message,
        type: 'value_error',
      }));
      return { status: 400, body: { detail } };
    }
    const { out, amount, memo, expiry, webhook, bolt11 } = asked.data;
    if (out && key !== keys.admin)
      return refusal(version === '1.5' ? 403 : 401, 'Invoice (or Admin) key required.');
    if (out) return pay(bolt11);
    if (amount === 0) return invoiceError('Amountless invoices not supported.');
    if (faults.answers === 'backend') return invoiceError('Unable to connect to the node.');
    const payment = wallet.create({ amountSats: amount, memo, expirySeconds: expiry, webhook });
    if (key === keys.other) foreign.add(payment.paymentHash);
    return { status: 201, body: createdShape(version, spoilt(payment)) };
  }

  function spoilt(payment: FakePayment): FakePayment {
    const { paymentHash, createdAt, amountSats } = payment;
    switch (faults.invoices) {
      case 'otherAmount': {
        const asked = { ...payment, amountSats: amountSats + 1 };
        return { ...payment, bolt11: encodeInvoice(asked, Buffer.from(paymentHash, 'hex'), createdAt) };
      }
      case 'otherHash':
        return { ...payment, bolt11: encodeInvoice(payment, Buffer.alloc(32, 7), createdAt) };
      case 'unreadable':
        return { ...payment, bolt11: payment.bolt11.slice(0, -1) };
      default:
        return payment;
    }
  }

  function pay(bolt11: string): Answer {
    const invoice = readBolt11(bolt11);
    if (!invoice?.amountMsats) return invoiceError('Bolt11 decoding failed.');
    const { paymentHash } = invoice;
    if (wallet.outgoing.has(paymentHash)) return invoiceError('Payment already paid.');
    if (faults.payments === 'forgotten') return invoiceError('Insufficient balance.');
    const outgoing: FakeOutgoing = {
      paymentHash,
      bolt11,
      amountMsats: Number(invoice.amountMsats),
      createdAt: wallet.now(),
      feeMsats: 1_234,
      state: { paid: 'success', untold: 'success', pending: 'pending', failed: 'failed' }[
        faults.payments
      ] as FakeOutgoing['state'],
    };
    wallet.outgoing.set(paymentHash, outgoing);
    if (faults.payments === 'untold') throw new Error('The answer is lost.');
    // Of a payment that failed 0.12 keeps nothing.
    if (outgoing.state === 'failed' && version === '0.12') wallet.outgoing.delete(paymentHash);
    if (outgoing.state === 'failed') return invoiceError('Payment failed: no route.');
    return { status: 201, body: outgoingShape(version, outgoing) };
  }

  function lookUpOutgoing(outgoing: FakeOutgoing): Answer {
    const { state } = outgoing;
    const details = outgoingShape(version, outgoing);
    if (state === 'success') return found({ paid: true, preimage: '0'.repeat(64), details });
    return found({ paid: false, details }, version !== '0.12' && { status: state });
  }

  function showWallet(key: string | undefined): Answer {
    if (!key || !isKnown(key)) return refusal(404, 'Wallet not found.');
    const balance = wallet.balanceSats * 1_000 - spentMsats();
    return found({ name: 'A wallet', balance }, key === keys.admin && { id: 'wallet' });
  }

  const spentMsats = () =>
    [...wallet.outgoing.values()]
      .filter(({ state }) => state !== 'failed')
      .reduce((sum, { amountMsats, feeMsats }) => sum + amountMsats + feeMsats, 0);

  function lookUp(paymentHash: string, key: string | undefined): Answer {
    const outgoing = wallet.outgoing.get(paymentHash);
    if (outgoing && key !== undefined && keys.own.includes(key)) return lookUpOutgoing(outgoing);
    const payment = wallet.invoices.get(paymentHash);
    const isOfOther = foreign.has(paymentHash);
    // A key of another wallet hides the payment; one that is none leaves the details out.
    if (!payment || (key !== undefined && isKnown(key) && (key === keys.other) !== isOfOther))
      return refusal(404, 'Payment does not exist.');
    const isOwner = key !== undefined && keys.own.includes(key);
    const { preimage } = payment;
    if (payment.bookedAt !== undefined)
      return found({ paid: true, preimage }, isOwner && { details: paymentShape(version, payment) });
    if (faults.answers === 'backend')
      return found({ paid: false }, isOwner && { details: paymentShape(version, payment) });
    const isAtNode = payment.receivedSats !== undefined;
    if (isAtNode && booksWhenAsked(version)) wallet.book(payment);
    return found(
      { paid: payment.bookedAt !== undefined, preimage: isAtNode ? preimage : null },
      isOwner && { status: isAtNode ? 'success' : 'pending', details: paymentShape(version, payment) },
    );
  }

  function relay(item: string, data: string): Answer {
    sockets.send(item, data);
    return found({ sent: true, data });
  }

  return {
    answer(request: Request): Answer {
      const [, kind, item, data] = request.path.match(/^\/api\/v1\/(\w+)(?:\/([^/]+))?(?:\/([^/]+))?$/) ?? [];
      const route = `${request.method} ${kind}`;
      if (route === 'POST payments' && item === undefined) return withoutRequest(create(request));
      if (route === 'GET payments' && item && data === undefined) return lookUp(item, request.key);
      if (route === 'GET wallet' && item === undefined) return showWallet(request.key);
      const sent = request.query.get('data');
      if (route === 'POST ws' && item && sent !== null) return relay(decodeURIComponent(item), sent);
      if (route === 'GET ws' && item && data)
        return relay(decodeURIComponent(item), decodeURIComponent(data));
      return refusal(404, 'Not Found');
    },
  };

  function withoutRequest({ status, body }: Answer): Answer {
    if (faults.invoices !== 'withoutRequest') return { status, body };
    return { status, body: { ...(body as object), payment_request: undefined, bolt11: undefined } };
  }
}

function found(...parts: Array<object | false>): Answer {
  return { status: 200, body: Object.assign({}, ...parts.filter((part) => part !== false)) };
}

function refusal(status: number, detail: string): Answer {
  return { status, body: { detail } };
}

function invoiceError(detail: string): Answer {
  return { status: 520, body: { detail, status: 'failed' } };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
