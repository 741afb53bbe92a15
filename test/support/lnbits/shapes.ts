import type { FakeOutgoing, FakePayment } from './wallet.ts';

/** The published versions that differ in what they say. */
export type LnbitsVersion = '0.12' | '1.0' | '1.1' | '1.4' | '1.5';

export const lnbitsVersions: readonly LnbitsVersion[] = ['0.12', '1.0', '1.1', '1.4', '1.5'];

const walletId = 'b1946ac92492d2347c6235b4d2611184';

/** Whether a look-up books what it finds at the node; older versions leave that to a task of every 30 minutes. */
export function booksWhenAsked(version: LnbitsVersion): boolean {
  return version === '1.4' || version === '1.5';
}

/** The payment as JSON has it. */
export function paymentShape(version: LnbitsVersion, payment: FakePayment): object {
  const { paymentHash, preimage, bolt11, memo, webhook, createdAt, bookedAt, webhookStatus } = payment;
  const isBooked = bookedAt !== undefined;
  const expiresAt = createdAt + payment.expirySeconds * 1000;
  const common = {
    checking_id: paymentHash,
    payment_hash: paymentHash,
    wallet_id: walletId,
    amount: (isBooked ? (payment.receivedSats ?? 0) : payment.amountSats) * 1000,
    fee: 0,
    bolt11,
    memo,
    webhook,
    status: isBooked ? 'success' : 'pending',
    extra: {},
  };
  if (version === '0.12') {
    return {
      ...common,
      pending: !isBooked,
      preimage: isBooked ? preimage : '0'.repeat(64),
      time: Math.floor(createdAt / 1000),
      expiry: expiresAt / 1000,
      webhook_status: webhookStatus ?? null,
    };
  }
  return {
    ...common,
    preimage: isBooked ? preimage : null,
    tag: null,
    extension: null,
    time: isoTime(createdAt),
    created_at: isoTime(createdAt),
    updated_at: isoTime(bookedAt ?? createdAt),
    expiry: isoTime(expiresAt),
    webhook_status:
      webhookStatus === undefined ? null : version === '1.0' ? webhookStatus : String(webhookStatus),
    ...(booksWhenAsked(version) && { payment_request: bolt11, labels: [], fiat_provider: null }),
  };
}

/** A payment that the wallet makes, as JSON has it. */
export function outgoingShape(version: LnbitsVersion, payment: FakeOutgoing): object {
  const { paymentHash, bolt11, amountMsats, feeMsats, state, createdAt } = payment;
  const common = {
    checking_id: paymentHash,
    payment_hash: paymentHash,
    wallet_id: walletId,
    amount: -amountMsats,
    fee: state === 'success' ? -feeMsats : 0,
    bolt11,
    memo: '',
  };
  if (version === '0.12')
    return { ...common, pending: state !== 'success', time: Math.floor(createdAt / 1000) };
  return { ...common, status: state, created_at: isoTime(createdAt), updated_at: isoTime(createdAt) };
}

/** The answer to a request for an invoice. */
export function createdShape(version: LnbitsVersion, payment: FakePayment): object {
  if (version !== '0.12') return paymentShape(version, payment);
  const { paymentHash, bolt11 } = payment;
  return {
    payment_hash: paymentHash,
    payment_request: bolt11,
    lnurl_response: null,
    checking_id: paymentHash,
  };
}

/** What the wallet's WebSocket says of a payment. */
export function walletMessage(version: LnbitsVersion, payment: FakePayment, balanceSats: number): string {
  return JSON.stringify({ wallet_balance: balanceSats, payment: paymentShape(version, payment) });
}

/** What the WebSocket of a payment hash says. */
export function paymentMessage(version: LnbitsVersion): string {
  return JSON.stringify(version === '0.12' ? { pending: false } : { pending: false, status: 'success' });
}

/** The body of a webhook; undefined where the version sends none. */
export function webhookBody(version: LnbitsVersion, payment: FakePayment): string | undefined {
  if (version === '1.0') return undefined;
  const body = JSON.stringify(paymentShape(version, payment));
  return version === '0.12' ? body : JSON.stringify(body);
}

// As Python writes a moment of UTC.
function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000+00:00');
}
