import { createHash } from 'node:crypto';
import { malformed } from './errors.ts';
import type { ChainValue } from './value.ts';

/** The first byte of each kind of value in the consensus serialization (SIP-005). */
const kinds = {
  int: 0,
  uint: 1,
  buffer: 2,
  true: 3,
  false: 4,
  standardPrincipal: 5,
  contractPrincipal: 6,
  ok: 7,
  err: 8,
  none: 9,
  some: 10,
  list: 11,
  tuple: 12,
  ascii: 13,
  utf8: 14,
} as const;

const deepest = 64;
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * Decodes a Clarity value from the hex of its consensus serialization, into what Chainhook makes of one: an
 * optional or a response is what is in it, none is null, a buffer is its hex with 0x before it.
 * @throws MalformedDelivery
 */
export function decodeClarity(hex: string): ChainValue {
  const digits = hex.replace(/^0x/i, '');
  if (digits.length % 2 !== 0 || !/^[\da-f]*$/i.test(digits)) throw malformed('a Clarity value is not hex');
  const bytes = Buffer.from(digits, 'hex');
  let at = 0;

  function take(length: number): Buffer {
    if (length > bytes.length - at) throw malformed('a Clarity value is cut off');
    at += length;
    return bytes.subarray(at - length, at);
  }
  const count = () => take(4).readUInt32BE();
  const name = () => take(take(1).readUInt8()).toString('latin1');
  const address = () => c32Address(take(1).readUInt8(), take(20));

  function read(depth: number): ChainValue {
    if (depth > deepest) throw malformed('a Clarity value is nested too deeply');
    switch (take(1).readUInt8()) {
      case kinds.int:
        return BigInt.asIntN(128, BigInt(`0x${take(16).toString('hex')}`));
      case kinds.uint:
        return BigInt(`0x${take(16).toString('hex')}`);
      case kinds.buffer:
        return `0x${take(count()).toString('hex')}`;
      case kinds.true:
        return true;
      case kinds.false:
        return false;
      case kinds.standardPrincipal:
        return address();
      case kinds.contractPrincipal:
        return `${address()}.${name()}`;
      case kinds.ok:
      case kinds.err:
      case kinds.some:
        return read(depth + 1);
      case kinds.none:
        return null;
      case kinds.list:
        return readMany(() => read(depth + 1));
      case kinds.tuple:
        return Object.fromEntries(readMany(() => [name(), read(depth + 1)] as const));
      case kinds.ascii:
        return take(count()).toString('latin1');
      case kinds.utf8:
        return take(count()).toString('utf8');
      default:
        throw malformed('a Clarity value is of an unknown kind');
    }
  }

  function readMany<Item>(one: () => Item): Item[] {
    const items: Item[] = [];
    // Each takes a byte at least: a count that lies ends with the bytes.
    for (let left = count(); left > 0; left -= 1) items.push(one());
    return items;
  }

  const value = read(0);
  if (at !== bytes.length) throw malformed('something follows a Clarity value');
  return value;
}

/** The address of a principal: its version and the hash of its key, with a checksum, in Crockford's base 32. */
function c32Address(version: number, hash: Buffer): string {
  if (version >= alphabet.length) throw malformed('a principal has an unknown version');
  const sha256 = (data: Buffer) => createHash('sha256').update(data).digest();
  const checksum = sha256(sha256(Buffer.concat([Buffer.from([version]), hash]))).subarray(0, 4);
  return `S${alphabet[version]}${c32(Buffer.concat([hash, checksum]))}`;
}

/** As a number in base 32, with a zero before it for each byte of zero that it begins with. */
function c32(data: Buffer): string {
  let number = BigInt(`0x${data.toString('hex')}`);
  let digits = '';
  for (; number > 0n; number >>= 5n) digits = alphabet[Number(number & 31n)] + digits;
  const firstOther = data.findIndex((byte) => byte !== 0);
  return '0'.repeat(firstOther === -1 ? data.length : firstOther) + digits;
}
