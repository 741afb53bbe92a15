import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bech32 } from '@scure/base';

const CURRENCY = { bitcoin: 'bc', testnet: 'tb', signet: 'tbs', regtest: 'bcrt' } as const;

/** What a BOLT11 payment request says, all of it covered by the signature. */
export interface Bolt11 {
  readonly network: keyof typeof CURRENCY;
  /** From 1 to 2.1e15. */
  readonly amountSats: bigint;
  /** 32 bytes: the SHA-256 of the preimage that proves the payment. */
  readonly paymentHash: Uint8Array;
  /** 32 bytes that only the payer learns, against probing. */
  readonly paymentSecret: Uint8Array;
  /** At most 639 bytes of UTF-8. */
  readonly description: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Seconds after the timestamp, at least 1. */
  readonly expirySeconds: number;
  /** Blocks, at least 1. */
  readonly minFinalCltvExpiry: number;
}

// Largest first, so that the first one that divides the amount gives the shortest text.
const UNITS = [
  { sats: 100_000_000n, multiplier: '' },
  { sats: 100_000n, multiplier: 'm' },
  { sats: 100n, multiplier: 'u' },
] as const;
const MAX_SATS = 2_100_000_000_000_000n;
const MAX_TIMESTAMP = 2 ** 35 - 1;
const MAX_DESCRIPTION_BYTES = 639;

// Tag letters and feature bits are those of BOLT 11 and BOLT 9.
const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const VAR_ONION_REQUIRED = 8n;
const PAYMENT_SECRET_REQUIRED = 14n;
const BASIC_MPP_OPTIONAL = 17n;
const FEATURES = (1n << VAR_ONION_REQUIRED) | (1n << PAYMENT_SECRET_REQUIRED) | (1n << BASIC_MPP_OPTIONAL);

/** Encodes and signs a payment request as BOLT 11 defines it; a value out of its range is a RangeError. */
export function encodeBolt11(request: Bolt11, privateKey: Uint8Array): string {
  const words = [
    ...timestampWords(request.timestamp),
    ...field('p', hashWords('paymentHash', request.paymentHash)),
    ...field('s', hashWords('paymentSecret', request.paymentSecret)),
    ...field('d', descriptionWords(request.description)),
    ...field('x', positiveWords('expirySeconds', request.expirySeconds)),
    ...field('c', positiveWords('minFinalCltvExpiry', request.minFinalCltvExpiry)),
    ...field('9', integerWords(FEATURES)),
  ];
  return signBolt11(`ln${CURRENCY[request.network]}${amount(request.amountSats)}`, words, privateKey);
}

/** Signs a prefix and the 5-bit words behind it (timestamp and fields) and writes all three as bech32. */
export function signBolt11(prefix: string, words: readonly number[], privateKey: Uint8Array): string {
  const message = Buffer.concat([Buffer.from(prefix), paddedBytes(words)]);
  const [recoveryId, ...rs] = secp256k1.sign(message, privateKey, { format: 'recovered' });
  const signature = Uint8Array.of(...rs, Number(recoveryId));
  return bech32.encode(prefix, [...words, ...bech32.toWords(signature)], false);
}

function amount(sats: bigint): string {
  if (sats < 1n || sats > MAX_SATS) throw new RangeError('amountSats must be from 1 to 2.1e15');
  const unit = UNITS.find((candidate) => sats % candidate.sats === 0n);
  return unit ? `${sats / unit.sats}${unit.multiplier}` : `${sats * 10n}n`;
}

function timestampWords(seconds: number): number[] {
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > MAX_TIMESTAMP) {
    throw new RangeError('timestamp must be whole seconds that fit 35 bits');
  }
  const words = integerWords(seconds);
  return [...Array<number>(7 - words.length).fill(0), ...words];
}

function positiveWords(name: string, value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name} must be a positive integer`);
  return integerWords(value);
}

function hashWords(name: string, bytes: Uint8Array): number[] {
  if (bytes.length !== 32) throw new RangeError(`${name} must be 32 bytes`);
  return bech32.toWords(bytes);
}

function descriptionWords(description: string): number[] {
  const bytes = new TextEncoder().encode(description);
  if (bytes.length > MAX_DESCRIPTION_BYTES) {
    throw new RangeError(`description must be at most ${MAX_DESCRIPTION_BYTES} bytes of UTF-8`);
  }
  return bech32.toWords(bytes);
}

function field(tag: string, words: readonly number[]): number[] {
  return [ALPHABET.indexOf(tag), words.length >> 5, words.length & 31, ...words];
}

// A digit of base 32 is a word of 5 bits; the text has no leading zeros, so the field is as short as it can be.
function integerWords(value: number | bigint): number[] {
  return Array.from(value.toString(32), (digit) => Number.parseInt(digit, 32));
}

// Eight words are five bytes: padded to whole groups, no bit is left over, and the surplus bytes are cut off.
function paddedBytes(words: readonly number[]): Uint8Array {
  const padding = Array<number>((8 - (words.length % 8)) % 8).fill(0);
  return bech32.fromWords([...words, ...padding]).subarray(0, Math.ceil((words.length * 5) / 8));
}
