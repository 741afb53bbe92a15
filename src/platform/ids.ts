import { randomBytes } from 'node:crypto';

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

/** A new opaque id: the prefix and 128 random bits, in base64url. */
export function newId<P extends IdPrefix>(prefix: P): `${P}_${string}` {
  return `${prefix}_${randomBytes(16).toString('base64url')}`;
}

/** Whether a text from outside has the form of an id with this prefix. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && /^[a-z]{3}_[A-Za-z0-9_-]{22}$/.test(text);
}
