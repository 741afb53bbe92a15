import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LightningUnavailableError, type LookUp } from '../../../src/money/lightning/backend.ts';
import { signBolt11 } from '../../../src/money/lightning/bolt11.ts';
import { readCreated, readLookUp, readPushed } from '../../../src/money/lightning/lnbits-payment.ts';
import { encodeInvoice } from '../../support/lnbits/wallet.ts';

const paymentHash = 'a1'.repeat(32);
const otherHash = 'b2'.repeat(32);
const now = Date.parse('2030-01-01T00:00:00Z');

const details = { payment_hash: paymentHash, amount: 21_999, status: 'success' };
const read = (answer: unknown): LookUp => readLookUp(JSON.stringify(answer), paymentHash, now);
const paidAt = (updated_at: unknown) => {
  const answer = read({ paid: true, details: { ...details, updated_at } });
  return answer.paid && answer.paidAt.toISOString();
};

describe('a look-up', () => {
  it('is paid with as many whole sats as came', () => {
    expect(read({ paid: true, details })).toEqual({ paid: true, receivedSats: 21n, paidAt: new Date(now) });
  });

  it.each([
    ['pending', { pending: false }],
    ['status', { status: 'success' }],
    ['both', { pending: false, status: 'success' }],
  ])('is paid where %s says so', (_, said) => {
    expect(read({ paid: true, details: { payment_hash: paymentHash, amount: 1_000, ...said } }).paid).toBe(
      true,
    );
  });

  it.each([
    ['nothing of whether it is settled', { details: { ...details, status: null } }],
    ['pending', { details: { ...details, status: null, pending: true } }],
    ['pending, and success', { details: { ...details, pending: true } }],
    ['status pending', { details: { ...details, status: 'pending' } }],
    ['status failed', { details: { ...details, status: 'failed', pending: false } }],
    ['failed outside of the details', { status: 'failed', details }],
    ['that it was paid out', { details: { ...details, amount: -21_000 } }],
    ['that nothing came', { details: { ...details, amount: 0 } }],
    ['that less than a sat came', { details: { ...details, amount: 999 } }],
    ['no whole millisats', { details: { ...details, amount: 21_000.5 } }],
    ['more than can be counted', { details: { ...details, amount: 2 ** 53 } }],
    ['an amount in a text', { details: { ...details, amount: '21000' } }],
    ['another payment hash', { details: { ...details, payment_hash: otherHash } }],
    ['no payment hash', { details: { ...details, payment_hash: undefined } }],
    ['no details', { details: null }],
  ])('is neither paid nor unpaid when the details of a paid one say %s', (_, answer) => {
    expect(() => read({ paid: true, ...answer })).toThrow(LightningUnavailableError);
  });

  it('is unpaid when it is pending, has failed, or nothing more is said', () => {
    const pending = { ...details, status: 'pending' };
    expect(read({ paid: false })).toEqual({ paid: false, isKnown: true });
    expect(read({ paid: false, details: pending })).toEqual({ paid: false, isKnown: true });
    expect(read({ paid: false, status: 'pending', preimage: null, details: pending })).toEqual({
      paid: false,
      isKnown: true,
    });
    expect(read({ paid: false, status: 'failed', details: pending })).toEqual({ paid: false, isKnown: true });
  });

  it('is not unpaid because another payment is', () => {
    const other = { ...details, payment_hash: otherHash };
    expect(() => read({ paid: false, details: other })).toThrow(LightningUnavailableError);
  });

  it.each([
    ['2029-12-31T23:00:00+00:00', '2029-12-31T23:00:00.000Z'],
    ['2029-12-31T23:00:00.123456+00:00', '2029-12-31T23:00:00.123Z'],
    ['2030-01-01T01:30:00+02:00', '2029-12-31T23:30:00.000Z'],
    ['2029-12-31T23:00:00Z', '2029-12-31T23:00:00.000Z'],
    ['2030-01-01T00:00:01+00:00', '2030-01-01T00:00:00.000Z'],
    ['2029-12-31T23:00:00', '2030-01-01T00:00:00.000Z'],
    ['2029-12-31', '2030-01-01T00:00:00.000Z'],
    ['2029-99-31T23:00:00Z', '2030-01-01T00:00:00.000Z'],
    ['yesterday', '2030-01-01T00:00:00.000Z'],
    [1_893_450_000, '2030-01-01T00:00:00.000Z'],
    [null, '2030-01-01T00:00:00.000Z'],
    [undefined, '2030-01-01T00:00:00.000Z'],
  ])('has the time of %o, when that is one that is over', (updatedAt, expected) => {
    expect(paidAt(updatedAt)).toBe(expected);
  });

  it('never says anything of the answer when it makes no sense', () => {
    const secret = 'c3'.repeat(32);
    for (const text of [`{"paid":true,"preimage":"${secret}`, `{"paid":"${secret}"}`, secret]) {
      try {
        readLookUp(text, paymentHash, now);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(LightningUnavailableError);
        expect((error as Error).cause).toBeUndefined();
        expect((error as Error).stack).not.toContain('c3');
      }
    }
  });

  it('is well-formed or refused, and never paid without details of that payment, whatever is answered', () => {
    // Mostly near to what LNbits says, and each part of it sometimes anything.
    const or = (...usual: unknown[]) =>
      fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: fc.jsonValue() });
    const answers = fc.record(
      {
        paid: or(true, true, false),
        status: or('success', 'pending', 'failed', undefined),
        preimage: or(null, otherHash),
        details: fc.oneof(
          {
            weight: 6,
            arbitrary: fc.record(
              {
                payment_hash: or(paymentHash, paymentHash, paymentHash, otherHash),
                amount: fc.oneof(or(21_000, 21_999, -21_000, 0), fc.double(), fc.integer()),
                status: or('success', 'success', 'pending', 'failed', null),
                pending: or(false, false, true, null),
                updated_at: fc.oneof(
                  or('2029-12-31T23:00:00+00:00', null),
                  fc.date().map(String),
                  fc.string(),
                ),
              },
              { requiredKeys: [] },
            ),
          },
          { weight: 1, arbitrary: fc.jsonValue() },
        ),
      },
      { requiredKeys: [] },
    );
    const texts = fc.oneof(
      answers.map((answer) => JSON.stringify(answer)),
      fc.json(),
      fc.string(),
    );
    let paid = 0;
    fc.assert(
      fc.property(texts, (text) => {
        let answer: LookUp;
        try {
          answer = readLookUp(text, paymentHash, now);
        } catch (error) {
          expect(error).toBeInstanceOf(LightningUnavailableError);
          return;
        }
        if (!answer.paid) {
          expect(answer).toEqual({ paid: false, isKnown: true });
          expect(JSON.parse(text).paid).toBe(false);
          return;
        }
        paid += 1;
        const said = JSON.parse(text);
        expect(said.paid).toBe(true);
        expect(said.details.payment_hash).toBe(paymentHash);
        expect(said.details.status ?? 'success').toBe('success');
        expect(said.details.pending ?? false).toBe(false);
        expect(answer.receivedSats).toBe(BigInt(Math.floor(said.details.amount / 1000)));
        expect(answer.receivedSats).toBeGreaterThan(0n);
        expect(answer.paidAt.getTime()).toBeLessThanOrEqual(now);
      }),
      { numRuns: 5_000 },
    );
    expect(paid).toBeGreaterThan(0);
  });
});

const asked = { amountSats: 21, memo: 'Kaffee', expirySeconds: 900, webhook: null };
const encoded = (expirySeconds: number) =>
  encodeInvoice({ ...asked, expirySeconds }, Buffer.from(paymentHash, 'hex'), now);
const created = (bolt11: string) => readCreated(JSON.stringify({ payment_hash: paymentHash, bolt11 }), 21n);

describe('an invoice', () => {
  it('expires when its BOLT11 says', () => {
    expect(created(encoded(900)).expiresAt).toEqual(new Date(now + 900_000));
  });

  it('expires after an hour when its BOLT11 does not say when', () => {
    const { prefix, words } = bech32.decode(encoded(900), false);
    // The timestamp, the payment hash and the payment secret; what follows them is left out.
    const bolt11 = signBolt11(prefix, words.slice(0, 7 + 55 + 55), Buffer.alloc(32, 1));
    expect(created(bolt11)).toEqual({ paymentHash, bolt11, expiresAt: new Date(now + 3_600_000) });
  });

  it('is refused when it names no amount, no payment hash, or no moment that can be said', () => {
    const { prefix, words } = bech32.decode(encoded(900), false);
    const key = Buffer.alloc(32, 1);
    const ofAnyAmount = signBolt11('lnbcrt', words.slice(0, -104), key);
    expect(() => created(ofAnyAmount)).toThrow('LNbits made an invoice for another amount.');
    const withoutHash = signBolt11(prefix, words.slice(0, 7), key);
    expect(() => created(withoutHash)).toThrow('an invoice that cannot be read');
    expect(() => created(encoded(Number.MAX_SAFE_INTEGER))).toThrow('an invoice that cannot be read');
  });

  it('is refused, whatever else is answered', () => {
    const texts = fc.oneof(
      fc.record({
        payment_hash: fc.oneof(fc.constant(paymentHash), fc.jsonValue()),
        bolt11: fc.oneof(
          fc.string().map((rest) => `lnbc${rest}`),
          fc.jsonValue(),
        ),
        payment_request: fc.jsonValue(),
      }),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(texts, (answer) => {
        expect(() => readCreated(JSON.stringify(answer), 21n)).toThrow(LightningUnavailableError);
      }),
    );
  });
});

describe('a pushed message', () => {
  it('names a payment by its hash, whatever else it says', () => {
    expect(readPushed(JSON.stringify({ wallet_balance: 1, payment: { payment_hash: paymentHash } }))).toBe(
      paymentHash,
    );
    expect(readPushed(JSON.stringify({ payment: { payment_hash: 'A1'.repeat(32), pending: true } }))).toBe(
      paymentHash,
    );
  });

  it.each([
    '',
    '{',
    'null',
    '[]',
    '"text"',
    '{"pending":false,"status":"success"}',
    '{"payment":null}',
    '{"payment":{"payment_hash":5}}',
    `{"payment":{"payment_hash":"${'a1'.repeat(31)}"}}`,
    `{"payment":{"payment_hash":"${'g1'.repeat(32)}"}}`,
    `{"payment":{"payment_hash":"${'a1'.repeat(32)}\\n"}}`,
    `{"payment_hash":"${'a1'.repeat(32)}"}`,
  ])('names none: %s', (message) => {
    expect(readPushed(message)).toBeUndefined();
  });
});
