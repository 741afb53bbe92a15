import { createHash } from 'node:crypto';
import { anonymousCaller, callerOf, type Viewer } from '../auth/viewer.ts';

/** The short text that stands for any longer one, such as an address: 16 characters, which tell nothing of it. */
export function shortKey(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 16);
}

/** Whom something is counted against who presents credentials: a user, or an access token; else undefined. */
export function viewerKey(viewer: Viewer): string | undefined {
  const caller = callerOf(viewer);
  return caller === anonymousCaller ? undefined : `viewer:${caller}`;
}

/** Whom something is counted against that came from an address; undefined where addresses are not counted. */
export function addressKey(address: string | undefined): string | undefined {
  return address === undefined ? undefined : `address:${address}`;
}
