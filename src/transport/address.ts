import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';

/**
 * The address that a request is counted against. Each of the trusted proxies has added the one that it heard
 * from to X-Forwarded-For; what stands before those anybody may have written. Undefined when it is none.
 */
export function clientAddress(
  { socket, headers }: IncomingMessage,
  trustedProxies: number,
): string | undefined {
  const forwarded = String(headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((address) => address.trim())
    .filter(Boolean);
  const path = [...forwarded, socket.remoteAddress ?? ''];
  return countedAddress(path[Math.max(path.length - 1 - trustedProxies, 0)] as string);
}

/** Some proxies write down the port as well: `192.0.2.1:4000`, `[2001:db8::1]:4000`. */
function withoutPort(address: string): string {
  const [, v4, v6] = /^(?:(\d+(?:\.\d+){3}):\d+|\[(.+)\](?::\d+)?)$/.exec(address) ?? [];
  return v4 ?? v6 ?? address;
}

/** IPv4 as it is; IPv6 as its /64, which is what one subscriber has. Undefined when the text is neither. */
export function countedAddress(text: string): string | undefined {
  const address = withoutPort(text);
  if (isIPv4(address)) return address;
  if (!isIPv6(address) || address.includes('%')) return undefined;
  const groups = groupsOf(address);
  const [high = 0, low = 0] = groups.slice(6);
  const start = groups.slice(0, 6).join();
  if (start === ipv4Mapped) return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  if (start === zeros && high === 0 && low === 1) return '::1';
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

const zeros = '0,0,0,0,0,0';
const ipv4Mapped = '0,0,0,0,0,65535';

/** The eight groups of an IPv6 address, from the one form that the URL standard gives it. */
function groupsOf(address: string): number[] {
  const parts = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const [before = [], after = []] = parts.map((part) =>
    part
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16)),
  );
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}
