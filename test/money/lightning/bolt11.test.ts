import { createHash } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { decode } from 'light-bolt11-decoder';
import { describe, expect, it } from 'vitest';
import { type Bolt11, encodeBolt11, signBolt11 } from '../../../src/money/lightning/bolt11.ts';

// The key that signs all examples of BOLT 11, and what they are made of.
const privateKey = Buffer.from('e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734', 'hex');
const paymentHash = Buffer.from('0001020304050607080900010203040506070809000102030405060708090102', 'hex');
const PAYMENT_HASH_FIELD = 'pp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypq';
const PAYMENT_SECRET_FIELD = 'sp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs';
const COFFEE_FIELD = 'dq5xysxxatsyp3k7enxv4js';

const coffee: Bolt11 = {
  network: 'bitcoin',
  amountSats: 250_000n,
  paymentHash,
  paymentSecret: Buffer.alloc(32, 0x11),
  description: '1 cup coffee',
  timestamp: 1_496_314_658,
  expirySeconds: 60,
  minFinalCltvExpiry: 10,
};

function encode(changes: Partial<Bolt11> = {}): string {
  return encodeBolt11({ ...coffee, ...changes }, privateKey);
}

function fieldsOf(invoice: string): Record<string, unknown> {
  const values = decode(invoice).sections.map((section) => [
    section.name,
    'value' in section ? section.value : section.letters,
  ]);
  return Object.fromEntries(values);
}

/** The public key that the signature names, by the definition of the signed bytes as a string of bits. */
function signer(invoice: string): string {
  const { prefix, words } = bech32.decode(invoice, false);
  const bits = words
    .slice(0, -104)
    .map((word) => word.toString(2).padStart(5, '0'))
    .join('');
  const bytes = bits.match(/.{1,8}/g)!.map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
  const digest = createHash('sha256').update(prefix).update(Uint8Array.from(bytes)).digest();
  const signature = bech32.fromWords(words.slice(-104));
  const key = secp256k1.Signature.fromBytes(signature.subarray(0, 64), 'compact')
    .addRecoveryBit(signature[64]!)
    .recoverPublicKey(digest);
  return key.toHex(true);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('encodeBolt11', () => {
  it('writes each field as the published examples do', () => {
    // x and c are from the examples with these values; 9 has the bits 8, 14 and 17: 00100 10000 01000 00000.
    const text = `lnbc2500u1pvjluez${PAYMENT_HASH_FIELD}${PAYMENT_SECRET_FIELD}${COFFEE_FIELD}xqzpucqp29qyysgq`;
    const invoice = encode();
    expect(invoice.slice(0, text.length)).toBe(text);
    expect(invoice).toHaveLength(text.length + 104 + 6);
  });

  it('is read by another decoder as what went in', () => {
    const fields = fieldsOf(encode({ description: 'ナンセンス 1杯' }));
    expect(fields).toMatchObject({
      amount: '250000000',
      timestamp: 1_496_314_658,
      payment_hash: hex(paymentHash),
      payment_secret: '11'.repeat(32),
      description: 'ナンセンス 1杯',
      expiry: 60,
      min_final_cltv_expiry: 10,
    });
    expect(fields.feature_bits).toEqual({
      option_data_loss_protect: 'unsupported',
      initial_routing_sync: 'unsupported',
      option_upfront_shutdown_script: 'unsupported',
      gossip_queries: 'unsupported',
      var_onion_optin: 'required',
      gossip_queries_ex: 'unsupported',
      option_static_remotekey: 'unsupported',
      payment_secret: 'required',
      basic_mpp: 'supported',
      option_support_large_channel: 'unsupported',
      extra_bits: { start_bit: 20, bits: [], has_required: false },
    });
  });

  it('is signed by the private key', () => {
    const published = '03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad';
    expect(hex(secp256k1.getPublicKey(privateKey))).toBe(published);
    expect(signer(encode())).toBe(published);
  });

  it.each([
    [1n, '10n'],
    [99n, '990n'],
    [100n, '1u'],
    [250_000n, '2500u'],
    [2_500_000n, '25m'],
    [100_000_000n, '1'],
    [150_000_000n, '1500m'],
    [2_100_000_000_000_000n, '21000000'],
    [2_099_999_999_999_999n, '20999999999999990n'],
  ])('writes %d sats as %s', (amountSats, amount) => {
    const invoice = encode({ amountSats });
    expect(bech32.decode(invoice, false).prefix).toBe(`lnbc${amount}`);
    expect(fieldsOf(invoice).amount).toBe(`${amountSats * 1000n}`);
  });

  it.each([
    ['bitcoin', 'bc'],
    ['testnet', 'tb'],
    ['signet', 'tbs'],
    ['regtest', 'bcrt'],
  ] as const)('names the network %s', (network, currency) => {
    const invoice = encode({ network });
    expect(invoice.startsWith(`ln${currency}2500u1`)).toBe(true);
    expect(fieldsOf(invoice).coin_network).toMatchObject({ bech32: currency });
  });

  it('writes timestamps of 35 bits', () => {
    expect(fieldsOf(encode({ timestamp: 0 })).timestamp).toBe(0);
    expect(fieldsOf(encode({ timestamp: 2 ** 35 - 1 })).timestamp).toBe(2 ** 35 - 1);
  });

  it('takes descriptions of 0 to 639 bytes', () => {
    for (const description of ['', 'x'.repeat(639), 'é'.repeat(319)]) {
      expect(fieldsOf(encode({ description })).description).toBe(description);
    }
  });

  it.each<[string, Partial<Bolt11>]>([
    ['amountSats', { amountSats: 0n }],
    ['amountSats', { amountSats: 2_100_000_000_000_001n }],
    ['paymentHash', { paymentHash: new Uint8Array(31) }],
    ['paymentSecret', { paymentSecret: new Uint8Array(33) }],
    ['description', { description: 'x'.repeat(640) }],
    ['description', { description: 'é'.repeat(320) }],
    ['timestamp', { timestamp: -1 }],
    ['timestamp', { timestamp: 1.5 }],
    ['timestamp', { timestamp: 2 ** 35 }],
    ['expirySeconds', { expirySeconds: 0 }],
    ['expirySeconds', { expirySeconds: 0.5 }],
    ['minFinalCltvExpiry', { minFinalCltvExpiry: 0 }],
  ])('refuses a %s out of range: %o', (name, changes) => {
    expect(() => encode(changes)).toThrow(RangeError);
    expect(() => encode(changes)).toThrow(name);
  });

  it('says what it was given, whatever that is, signed by whoever gave it', () => {
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(
        fc.record({
          network: fc.constantFrom('bitcoin', 'testnet', 'signet', 'regtest'),
          amountSats: fc.bigInt(1n, 2_100_000_000_000_000n),
          paymentHash: bytes32,
          paymentSecret: bytes32,
          description: fc.string({ unit: 'binary', maxLength: 159 }),
          timestamp: fc.integer({ min: 0, max: 2 ** 35 - 1 }),
          expirySeconds: fc.maxSafeInteger().filter((seconds) => seconds > 0),
          minFinalCltvExpiry: fc.integer({ min: 1 }),
        }),
        bytes32.filter((key) => secp256k1.utils.isValidSecretKey(key)),
        (request, key) => {
          const invoice = encodeBolt11(request, key);
          expect(fieldsOf(invoice)).toMatchObject({
            amount: `${request.amountSats * 1000n}`,
            payment_hash: hex(request.paymentHash),
            payment_secret: hex(request.paymentSecret),
            description: request.description,
            timestamp: request.timestamp,
            expiry: request.expirySeconds,
            min_final_cltv_expiry: request.minFinalCltvExpiry,
          });
          expect(signer(invoice)).toBe(hex(secp256k1.getPublicKey(key)));
        },
      ),
    );
  });
});

describe('signBolt11', () => {
  // None of the published examples has exactly our fields, but their signatures are deterministic.
  it.each([
    [
      'with the recovery id 0 and no amount',
      'lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq8rkx3yf5tcsyz3d73gafnh3cax9rn449d9p5uxz9ezhhypd0elx87sjle52x86fux2ypatgddc6k63n7erqz25le42c4u4ecky03ylcqca784w',
    ],
    [
      'with the recovery id 1, an amount and an expiry',
      `lnbc2500u1pvjluez${PAYMENT_HASH_FIELD}${COFFEE_FIELD}xqzpuaztrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp`,
    ],
    [
      'with a payment secret and features',
      `lnbc25m1pvjluez${PAYMENT_HASH_FIELD}dq5vdhkven9v5sxyetpdees${PAYMENT_SECRET_FIELD}9q5sqqqqqqqqqqqqqqqpqsq67gye39hfg3zd8rgc80k32tvy9xk2xunwm5lzexnvpx6fd77en8qaq424dxgt56cag2dpt359k3ssyhetktkpqh24jqnjyw6uqd08sgptq44qu`,
    ],
  ])('makes the signature of the published example %s', (_, published) => {
    const { prefix, words } = bech32.decode(published, false);
    expect(signBolt11(prefix, words.slice(0, -104), privateKey)).toBe(published);
  });
});
