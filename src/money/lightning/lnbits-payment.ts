import { z } from 'zod';
import type { Sats } from '../sats.ts';
import { type CreatedInvoice, LightningUnavailableError, type LookUp } from './backend.ts';
import { readBolt11 } from './bolt11-read.ts';
import type { PaymentLookUp } from './payer.ts';

// Versions 1.0 to 1.3 have no `payment_request`, and those before 1.0 no `bolt11`.
const createdAnswer = z.object({
  payment_hash: z.string(),
  bolt11: z.string().nullish(),
  payment_request: z.string().nullish(),
});

const lookUpAnswer = z.object({
  paid: z.boolean(),
  status: z.unknown().optional(),
  details: z
    .object({
      payment_hash: z.string(),
      /** Millisats; less than nothing when the wallet paid it out. */
      amount: z.int(),
      /** Millisats; what a payment has cost may be written as less than nothing. */
      fee: z.int().nullish(),
      status: z.string().nullish(),
      pending: z.boolean().nullish(),
      updated_at: z.unknown().optional(),
    })
    .nullish(),
});

const refusal = z.object({ detail: z.string() });

/** Only an admin key is told the id. */
const walletAnswer = z.object({
  id: z.string().nullish(),
  /** Millisats. */
  balance: z.number(),
});

const pushed = z.object({ payment: z.object({ payment_hash: z.string().regex(/^[0-9a-f]{64}$/i) }) });

/**
 * Reads the answer to a request for an invoice of an amount, and believes none of it that its BOLT11 does not say.
 * @throws LightningUnavailableError when it is anything else.
 */
export function readCreated(text: string, amountSats: Sats): CreatedInvoice {
  const answer = read(text, createdAnswer);
  const bolt11 = answer.bolt11 ?? answer.payment_request ?? '';
  const invoice = readBolt11(bolt11);
  if (!invoice) throw new LightningUnavailableError('LNbits made an invoice that cannot be read.');
  const { paymentHash, amountMsats, expiresAt } = invoice;
  if (paymentHash !== answer.payment_hash)
    throw new LightningUnavailableError('LNbits made an invoice with another payment hash than it says.');
  if (amountMsats !== amountSats * 1_000n)
    throw new LightningUnavailableError('LNbits made an invoice for another amount.');
  return { paymentHash, bolt11, expiresAt };
}

/**
 * Reads the answer to a look-up. It says paid only with the details that none but the wallet's own keys are given.
 * @throws LightningUnavailableError when it is anything else than an answer about this payment hash.
 */
export function readLookUp(text: string, paymentHash: string, now: number): LookUp {
  const { paid, status, details } = read(text, lookUpAnswer);
  if (details && details.payment_hash !== paymentHash)
    throw new LightningUnavailableError('LNbits answered about another payment.');
  if (!paid) {
    // Before 1.4, of a payment that its node has and that LNbits itself finds only minutes later.
    if (status === 'success')
      throw new LightningUnavailableError('LNbits has not booked a payment that its node has.');
    return { paid: false, isKnown: true };
  }
  if (!details)
    throw new LightningUnavailableError(
      'LNbits gives no details of a payment: the key is of another wallet.',
    );
  if (!isSettled(details) || (status ?? 'success') !== 'success' || details.amount < 1_000)
    throw new LightningUnavailableError('LNbits contradicts itself about a payment.');
  const receivedSats = BigInt(details.amount) / 1_000n;
  return { paid: true, receivedSats, paidAt: readPaidAt(details.updated_at, now) };
}

/**
 * Reads the answer to a look-up of a payment that was to be made.
 * @throws LightningUnavailableError when it is anything else than an answer about such a payment of this hash.
 */
export function readPaymentLookUp(text: string, paymentHash: string, now: number): PaymentLookUp {
  const { paid, status, details } = read(text, lookUpAnswer);
  if (!details)
    throw new LightningUnavailableError(
      'LNbits gives no details of a payment: the key is of another wallet.',
    );
  if (details.payment_hash !== paymentHash)
    throw new LightningUnavailableError('LNbits answered about another payment.');
  if (details.amount >= 0)
    throw new LightningUnavailableError('LNbits answered about a payment that came in.');
  if (!paid) return { state: status === 'failed' && details.status === 'failed' ? 'FAILED' : 'PENDING' };
  if (!isSettled(details) || (status ?? 'success') !== 'success')
    throw new LightningUnavailableError('LNbits contradicts itself about a payment.');
  const feeMsats = BigInt(Math.abs(details.fee ?? 0));
  return { state: 'PAID', feeMsats, paidAt: readPaidAt(details.updated_at, now) };
}

/** Reads what is told of a wallet. @throws LightningUnavailableError when it is anything else. */
export function readWallet(text: string): { readonly isAdmin: boolean; readonly balanceMsats: bigint } {
  const { id, balance } = read(text, walletAnswer);
  return { isAdmin: id != null, balanceMsats: BigInt(Math.trunc(balance)) };
}

/** Whether a look-up tells the details, as it does to keys of the payment's wallet alone. */
export function hasDetails(text: string): boolean {
  return read(text, lookUpAnswer).details != null;
}

/** Whether a refusal, status 404, says that there is no such payment; else something else was not found. */
export function saysUnknownPayment(text: string): boolean {
  return read(text, refusal).detail === 'Payment does not exist.';
}

/** The payment hash that a pushed message names; undefined when there is none in it. */
export function readPushed(message: string): string | undefined {
  try {
    return pushed.parse(JSON.parse(message)).payment.payment_hash.toLowerCase();
  } catch {
    return undefined;
  }
}

function read<Answer>(text: string, shape: z.ZodType<Answer>): Answer {
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    // What was wrong with it is not said: it could quote the answer, which can hold a preimage.
    throw new LightningUnavailableError('LNbits gave an answer that makes no sense.');
  }
}

interface Settlement {
  readonly pending?: boolean | null | undefined;
  readonly status?: string | null | undefined;
}

// Old versions say whether a payment is pending, new ones what its status is, and some say both.
function isSettled({ pending, status }: Settlement): boolean {
  return status == null ? pending === false : status === 'success' && pending !== true;
}

/** When the payment was booked, as far as LNbits says so: a moment with its time zone that is over. */
function readPaidAt(updatedAt: unknown, now: number): Date {
  const text = typeof updatedAt === 'string' ? updatedAt : '';
  const zoned = /^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  return new Date(zoned <= now ? zoned : now);
}
