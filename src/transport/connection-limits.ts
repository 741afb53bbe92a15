import type { Viewer } from '../platform/auth/viewer.ts';
import { rateLimited } from '../platform/errors.ts';
import type { ConnectionCounts, Release } from '../platform/limits/connection-counts.ts';
import type { KeyedRate } from '../platform/limits/keyed-rate.ts';
import { addressKey, viewerKey } from '../platform/limits/keys.ts';
import type { Rate } from '../platform/limits/rate.ts';

/** With what a socket is closed that is one too many of its viewer; clients come back. */
export const tooManyConnections = [4430, 'Too many connections'] as const;

/** How soon a client may try again that has too many connections open; ms. */
const retryAfterMs = 5_000;

export type ConnectionLimits = ReturnType<typeof createConnectionLimits>;

interface Dependencies {
  readonly counts: ConnectionCounts;
  /** How fast an address may begin connections; see `beginningRate`. */
  readonly beginnings: KeyedRate;
  /** How many connections an address, and a viewer, may have; 0 for any number. */
  readonly perAddress: number;
  readonly perViewer: number;
}

/** An upgrade that is refused: it is answered 429. */
export interface RefusedUpgrade {
  /** For the header `Retry-After`, in seconds. */
  readonly retryAfterSeconds: number;
}

/**
 * How fast connections may begin that come from one address, sockets and streams: each can come back six times a
 * minute, and 20 a second may begin whatever `perAddress` is. Without a limit on connections there is none.
 */
export function beginningRate(perAddress: number): Rate {
  const amount = perAddress === 0 ? 0 : Math.max(1_200, 6 * perAddress);
  return { amount, perMs: 60_000, burst: amount };
}

/** Decides whether one more connection may begin, and counts it until it is released. */
export function createConnectionLimits({ counts, beginnings, perAddress, perViewer }: Dependencies) {
  function acquire(key: string | undefined, maximum: number): Release | undefined {
    return key === undefined ? () => {} : counts.acquire(key, maximum);
  }

  function ofAddress(address: string | undefined): Release | { readonly retryAfterMs: number } {
    const key = addressKey(address);
    const wait = key === undefined ? 0 : beginnings.take(key, 1);
    if (wait > 0) return { retryAfterMs: wait };
    return acquire(key, perAddress) ?? { retryAfterMs };
  }

  return {
    /** Before an upgrade is answered: counts a socket of an address. */
    upgrade(address: string | undefined): Release | RefusedUpgrade {
      const counted = ofAddress(address);
      return typeof counted === 'function'
        ? counted
        : { retryAfterSeconds: Math.ceil(counted.retryAfterMs / 1_000) };
    },

    /** Once it is known whose a socket is: counts it. Undefined when it is to be closed as `tooManyConnections` says. */
    viewer(viewer: Viewer): Release | undefined {
      return acquire(viewerKey(viewer), perViewer);
    },

    /**
     * Before a stream begins over HTTP: counts it for its address and for its viewer.
     * @throws PublicError RATE_LIMITED (with `retryAfterMs`) when it is one too many.
     */
    stream(address: string | undefined, viewer: Viewer): Release {
      const ofIts = ofAddress(address);
      if (typeof ofIts !== 'function')
        throw rateLimited('Too many connections from this address.', ofIts.retryAfterMs);
      const ofViewer = acquire(viewerKey(viewer), perViewer);
      if (ofViewer)
        return () => {
          ofIts();
          ofViewer();
        };
      ofIts();
      throw rateLimited('Too many connections of this caller.', retryAfterMs);
    },
  };
}

/** What is written on the wire for an upgrade that is refused with 429. */
export function refusedUpgradeResponse({ retryAfterSeconds }: RefusedUpgrade): string {
  return [
    'HTTP/1.1 429 Too Many Requests',
    `Retry-After: ${retryAfterSeconds}`,
    'Connection: close',
    'Content-Length: 0',
    '\r\n',
  ].join('\r\n');
}
