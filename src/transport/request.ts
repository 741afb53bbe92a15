import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Credentials } from '../platform/auth/authenticate.ts';

/**
 * What a request asks for; undefined when that or its Host cannot be read, or when its path is written in a way
 * that a proxy in front may have read as another one: with dots, backslashes, or doubled slashes.
 */
export function targetOf({ url, headers }: IncomingMessage): URL | undefined {
  const base = `http://${headers.host ?? 'localhost'}`;
  if (!URL.canParse(url as string, base)) return undefined;
  const target = new URL(url as string, base);
  const [path] = (url as string).replace(/^https?:\/\/[^/?]*/i, '').split('?', 1);
  return target.pathname === path ? target : undefined;
}

/** What a request presents in its headers. */
export function credentialsOf(headers: Headers): Credentials {
  return {
    authorization: headers.get('authorization') ?? undefined,
    accessTokens: splitList(headers.get('x-access-tokens') ?? ''),
  };
}

/** Whether a request presents this bearer token. */
export const hasBearer = ({ headers }: IncomingMessage, token: string): boolean =>
  isSame(headers.authorization ?? '', `Bearer ${token}`);

/** Compared as hashes, so that the time it takes tells neither the length nor the beginning. */
export function isSame(presented: string, secret: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(presented), hash(secret));
}

/** The parts of a comma-separated header. */
export function splitList(header: string): string[] {
  return header
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/**
 * Whether a browser's page may post or open a socket here: its origin is an allowed one or this server's own, whose
 * pages are on `pagePort`. Who sends no origin is no browser.
 */
export function isOriginAllowed(
  request: IncomingMessage,
  allowed: readonly string[],
  pagePort: number,
): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined || allowed.includes(origin)) return true;
  if (!URL.canParse(origin) || !URL.canParse(`http://${host}`)) return false;
  const page = new URL(origin);
  return (
    page.host === host ||
    (page.hostname === new URL(`http://${host}`).hostname && page.port === String(pagePort))
  );
}
