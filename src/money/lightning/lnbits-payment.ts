import { decode } from 'light-bolt11-decoder';
import { z } from 'zod';
import type { Sats } from '../sats.ts';
import { type CreatedInvoice, LightningUnavailableError, type LookUp } from './backend.ts';

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
      status: z.string().nullish(),
      pending: z.boolean().nullish(),
      updated_at: z.unknown().optional(),
    })
    .nullish(),
});

const refusal = z.object({ detail: z.string() });

const pushed = z.object({ payment: z.object({ payment_hash: z.string().regex(/^[0-9a-f]{64}$/i) }) });

/** What BOLT 11 means by an invoice that does not say when it expires; seconds. */
const defaultExpirySeconds = 3_600;

/**
 * Reads the answer to a request for an invoice of an amount, and believes none of it that its BOLT11 does not say.
 * @throws LightningUnavailableError when it is anything else.
 */
export function readCreated(text: string, amountSats: Sats): CreatedInvoice {
  const answer = read(text, createdAnswer);
  const bolt11 = answer.bolt11 ?? answer.payment_request ?? '';
  const { paymentHash, amountMsats, expiresAt } = readBolt11(bolt11);
  if (paymentHash !== answer.payment_hash)
    throw new LightningUnavailableError('LNbits made an invoice with another payment hash than it says.');
  if (amountMsats !== String(amountSats * 1_000n))
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

function readBolt11(bolt11: string) {
  try {
    const { sections } = decode(bolt11);
    const timestamp = Number(sections.find((section) => section.name === 'timestamp')?.value);
    const expiry = sections.find((section) => section.name === 'expiry')?.value ?? defaultExpirySeconds;
    const expiresAt = new Date((timestamp + expiry) * 1000);
    // Of a moment that no date can say, this is a RangeError.
    expiresAt.toISOString();
    return {
      paymentHash: sections.find((section) => section.name === 'payment_hash')?.value,
      amountMsats: sections.find((section) => section.name === 'amount')?.value,
      expiresAt,
    };
  } catch {
    throw new LightningUnavailableError('LNbits made an invoice that cannot be read.');
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
