import type { IncomingMessage } from 'node:http';
import type { Credentials } from '../platform/auth/authenticate.ts';

/** What a request asks for; undefined when that or its Host cannot be read. */
export function targetOf({ url, headers }: IncomingMessage): URL | undefined {
  const base = `http://${headers.host ?? 'localhost'}`;
  return URL.canParse(url as string, base) ? new URL(url as string, base) : undefined;
}

/** What a request presents in its headers. */
export function credentialsOf(headers: Headers): Credentials {
  return {
    authorization: headers.get('authorization') ?? undefined,
    accessTokens: splitList(headers.get('x-access-tokens') ?? ''),
  };
}

/** The parts of a comma-separated header. */
export function splitList(header: string): string[] {
  return header
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/**
 * Whether a browser's page may open a socket here: its origin is this server's own or an allowed one. Who sends
 * no origin is no browser.
 */
export function isOriginAllowed(request: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined || allowed.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
