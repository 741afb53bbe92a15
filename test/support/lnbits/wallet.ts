import { createHash, randomBytes } from 'node:crypto';
import { encodeBolt11 } from '../../../src/money/lightning/bolt11.ts';
import type { Clock } from '../../../src/platform/clock.ts';

/** What an invoice was asked to be. */
export interface Asked {
  readonly amountSats: number;
  readonly memo: string;
  readonly expirySeconds: number;
  readonly webhook: string | null;
}

/** A payment as the fake LNbits keeps it. */
export interface FakePayment extends Asked {
  readonly paymentHash: string;
  readonly preimage: string;
  readonly bolt11: string;
  /** Milliseconds since 1970, as is `bookedAt`. */
  readonly createdAt: number;
  /** What its node has received. */
  receivedSats: number | undefined;
  /** When LNbits itself learnt of the payment. */
  bookedAt: number | undefined;
  webhookStatus: number | undefined;
}

/** A payment that the wallet was asked to make. */
export interface FakeOutgoing {
  readonly paymentHash: string;
  readonly bolt11: string;
  readonly amountMsats: number;
  readonly createdAt: number;
  feeMsats: number;
  state: 'success' | 'pending' | 'failed';
}

export interface FakeWallet {
  /** By payment hash. */
  readonly outgoing: Map<string, FakeOutgoing>;
  /** By payment hash. */
  readonly invoices: Map<string, FakePayment>;
  readonly balanceSats: number;
  create(asked: Asked): FakePayment;
  now(): number;
  /** Marks a payment as known to LNbits. */
  book(payment: FakePayment): void;
}

const nodeKey = createHash('sha256').update('the node of a fake LNbits').digest();

/** A wallet that makes real BOLT11 invoices of a test network. */
export function createWallet(clock: Clock): FakeWallet {
  const invoices = new Map<string, FakePayment>();
  let balanceSats = 0;
  return {
    invoices,
    outgoing: new Map(),
    now: () => clock.now(),
    get balanceSats() {
      return balanceSats;
    },
    create(asked) {
      const createdAt = clock.now();
      const preimage = randomBytes(32);
      const paymentHash = createHash('sha256').update(preimage).digest();
      const payment: FakePayment = {
        ...asked,
        paymentHash: paymentHash.toString('hex'),
        preimage: preimage.toString('hex'),
        bolt11: encodeInvoice(asked, paymentHash, createdAt),
        createdAt,
        receivedSats: undefined,
        bookedAt: undefined,
        webhookStatus: undefined,
      };
      invoices.set(payment.paymentHash, payment);
      return payment;
    },
    book(payment) {
      balanceSats += payment.receivedSats ?? 0;
      payment.bookedAt = clock.now();
    },
  };
}

/** The BOLT11 of an invoice; for a fault also of one that nobody asked for. */
export function encodeInvoice(asked: Asked, paymentHash: Uint8Array, createdAt: number): string {
  return encodeBolt11(
    {
      network: 'regtest',
      amountSats: BigInt(asked.amountSats),
      paymentHash,
      paymentSecret: randomBytes(32),
      description: asked.memo,
      timestamp: Math.floor(createdAt / 1000),
      expirySeconds: asked.expirySeconds,
      minFinalCltvExpiry: 18,
    },
    nodeKey,
  );
}
