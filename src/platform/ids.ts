import { randomFillSync } from 'node:crypto';

/** The prefixes of the ids that leave the server; each names a kind of object. */
export type IdPrefix =
  | 'job'
  | 'esc'
  | 'ses'
  | 'inv'
  | 'pay'
  | 'str'
  | 'lst'
  | 'prp'
  | 'usr'
  | 'evt'
  | 'dbt'
  | 'wdr';

const bytes = 16;
/** Random bytes are drawn for many ids at once, and none is used twice. */
const drawn = Buffer.allocUnsafe(256 * bytes);
let used = drawn.length;

/** A new opaque id: the prefix and 128 random bits, in base64url. */
export function newId<P extends IdPrefix>(prefix: P): `${P}_${string}` {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  used += bytes;
  return `${prefix}_${drawn.toString('base64url', used - bytes, used)}`;
}

/** Whether a text from outside has the form of an id with this prefix. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && /^[a-z]{3}_[A-Za-z0-9_-]{22}$/.test(text);
}
