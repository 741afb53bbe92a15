/** A Clarity value, and the bytes of its consensus serialization. */
export type Clarity =
  | { readonly int: bigint }
  | { readonly uint: bigint }
  | { readonly buffer: string }
  | { readonly bool: boolean }
  | { readonly principal: { readonly version: number; readonly hash: string; readonly contract?: string } }
  | { readonly ok: Clarity }
  | { readonly err: Clarity }
  | { readonly some: Clarity }
  | { readonly none: true }
  | { readonly list: readonly Clarity[] }
  | { readonly tuple: Readonly<Record<string, Clarity>> }
  | { readonly ascii: string }
  | { readonly utf8: string };

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const named = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
const wide = (kind: number, value: bigint) =>
  Buffer.from(`0${kind}${BigInt.asUintN(128, value).toString(16).padStart(32, '0')}`, 'hex');
const sized = (kind: number, bytes: Buffer) => Buffer.concat([Buffer.from([kind]), u32(bytes.length), bytes]);
const around = (kind: number, inner: Clarity) => Buffer.concat([Buffer.from([kind]), encode(inner)]);

function encode(value: Clarity): Buffer {
  if ('int' in value) return wide(0, value.int);
  if ('uint' in value) return wide(1, value.uint);
  if ('buffer' in value) return sized(2, Buffer.from(value.buffer, 'hex'));
  if ('bool' in value) return Buffer.from([value.bool ? 3 : 4]);
  if ('principal' in value) {
    const { version, hash, contract } = value.principal;
    const standard = Buffer.concat([Buffer.from([version]), Buffer.from(hash, 'hex')]);
    return contract === undefined
      ? Buffer.concat([Buffer.from([5]), standard])
      : Buffer.concat([Buffer.from([6]), standard, named(contract)]);
  }
  if ('ok' in value) return around(7, value.ok);
  if ('err' in value) return around(8, value.err);
  if ('none' in value) return Buffer.from([9]);
  if ('some' in value) return around(10, value.some);
  if ('list' in value)
    return Buffer.concat([Buffer.from([11]), u32(value.list.length), ...value.list.map(encode)]);
  if ('tuple' in value) {
    const entries = Object.entries(value.tuple).sort(([a], [b]) => (a < b ? -1 : 1));
    const encoded = entries.flatMap(([name, item]) => [named(name), encode(item)]);
    return Buffer.concat([Buffer.from([12]), u32(entries.length), ...encoded]);
  }
  if ('ascii' in value) return sized(13, Buffer.from(value.ascii, 'latin1'));
  return sized(14, Buffer.from(value.utf8));
}

/** The hex of a value, with 0x before it. */
export const clarityHex = (value: Clarity) => `0x${encode(value).toString('hex')}`;

/** What becomes of it when it is decoded. Principals are not known here. */
export function plain(value: Clarity): unknown {
  if ('int' in value) return value.int;
  if ('uint' in value) return value.uint;
  if ('buffer' in value) return `0x${value.buffer}`;
  if ('bool' in value) return value.bool;
  if ('ok' in value) return plain(value.ok);
  if ('err' in value) return plain(value.err);
  if ('none' in value) return null;
  if ('some' in value) return plain(value.some);
  if ('list' in value) return value.list.map(plain);
  if ('tuple' in value)
    return Object.fromEntries(Object.entries(value.tuple).map(([name, item]) => [name, plain(item)]));
  if ('ascii' in value) return value.ascii;
  if ('utf8' in value) return value.utf8;
  throw new Error('A principal is not known here.');
}
