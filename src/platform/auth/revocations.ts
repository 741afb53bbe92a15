import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Database } from '../database/database.ts';
import { follow } from '../feed/follow.ts';
import type { Feeds } from '../feed/subscribe.ts';
import type { Facts } from '../log/event.ts';
import type { Log } from '../log/log.ts';
import type { Connections } from './connections.ts';
import type { ViewerUser } from './viewer.ts';

/** The feed of ended rights, which every node follows. */
const topic = 'revocations';

export type Revocations = ReturnType<typeof createRevocations>;

interface Dependencies {
  readonly db: Database;
  readonly log: Log;
  readonly clock: Clock;
}

/** Ends rights before their time. */
export function createRevocations({ db, log, clock }: Dependencies) {
  return {
    /** Revokes one token; it is remembered until it would have expired. */
    async revokeToken(tokenId: string, expiresAt: Date): Promise<void> {
      await db.transaction(async (tx) => {
        await tx.query(
          'INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING',
          [tokenId, expiresAt],
        );
        log.append(tx, { type: 'TokenRevoked', facts: { tokenId }, topics: [topic] });
      });
    },

    /** Revokes every token that a user has been issued until now. */
    async revokeUser(userId: string): Promise<void> {
      const now = new Date(clock.now());
      await db.transaction(async (tx) => {
        await tx.query('UPDATE users SET tokens_valid_from = $2 WHERE id = $1', [userId, now]);
        log.append(tx, { type: 'UserRevoked', facts: { userId, before: now.getTime() }, topics: [topic] });
      });
    },
  };
}

/** How long it waits after a failure; ms. */
const retryMs = 1_000;

/** Where the feed of ended rights stands: what is followed from here misses nothing that is revoked later. */
export const presentRevocation = ({ log }: Feeds): Promise<string> => log.cursor(topic);

/**
 * Ends this node's connections as rights are revoked behind a cursor, until the signal is aborted. After a failure
 * it goes on where it was.
 */
export async function followRevocations(
  feeds: Feeds,
  begin: string,
  connections: Connections,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  let after = begin;
  while (!signal.aborted) {
    try {
      const revocations = await follow(feeds, { topic, after, signal });
      for await (const { event, cursor } of revocations) {
        endRevoked(event.facts, connections);
        after = cursor;
      }
    } catch (error) {
      onError(error);
      await pause(retryMs, undefined, { signal }).catch(() => {});
    }
  }
}

function endRevoked({ tokenId, userId, before }: Facts, connections: Connections): void {
  const isRevoked = ({ id, issuedAt, tokenId: own }: ViewerUser) =>
    own === tokenId || (id === userId && issuedAt.getTime() < Number(before));
  connections.revoke(({ user }) => user !== undefined && isRevoked(user));
}
