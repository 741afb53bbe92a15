import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';

/**
 * The address that a request is counted against. Each of the trusted proxies has added the one that it heard
 * from to X-Forwarded-For; what stands before those anybody may have written. An IPv6 address counts as its
 * /64, which is what one subscriber has; undefined when it is none.
 */
export function clientAddress(
  { socket, headers }: IncomingMessage,
  trustedProxies: number,
): string | undefined {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
  const path = [...forwarded, socket.remoteAddress ?? ''].map((address) => address.trim());
  return countedAddress(path[Math.max(path.length - 1 - trustedProxies, 0)] as string);
}

/** An address as it is counted: IPv4 as it is, IPv6 without its interface. */
export function countedAddress(address: string): string | undefined {
  if (isIPv4(address)) return address;
  if (!isIPv6(address) || address.includes('%')) return undefined;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1];
  // In the form that the URL standard gives it: hexadecimal groups, the longest run of zeros left out.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = Array(8 - before.length - after.length).fill('0');
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
