import { type Ledger, ownerAccount } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import type { Log } from '../platform/log/log.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import { sessionErrors } from './errors.ts';
import { nextState, type SessionAction, type SessionState } from './machine.ts';
import { lockSession, type Session } from './queries.ts';

export type SessionSteps = ReturnType<typeof createSessionSteps>;

interface Dependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly queue: WorkQueue;
  /** Without a payment or a debit for this long a session expires; seconds. */
  readonly idleSeconds: number;
}

/** The end of idle sessions; the key is the session's id. */
export const expiryWork = 'session.expiry';

/** What commands and payments do to a session, within their transactions. */
export function createSessionSteps({ clock, log, ledger, queue, idleSeconds }: Dependencies) {
  const steps = {
    /** When a session that is used now expires. */
    idleEnd: () => new Date(clock.now() + idleSeconds * 1000),

    /** @throws PublicError FORBIDDEN when there is no such session. */
    async locked(tx: Transaction, id: string): Promise<Session> {
      const session = await lockSession(tx, id);
      if (!session) throw forbidden();
      return session;
    },

    /** @throws PublicError CONFLICT (INVALID_STATE) when its state does not allow that. */
    next(session: Session, action: SessionAction): SessionState {
      const state = nextState(session.state, action);
      if (!state) throw sessionErrors.wrongState(session.state);
      return state;
    },

    /** Stores what has become of a session, with the events that say so: once in a transaction. */
    save(tx: Transaction, session: Session, state: SessionState, expiresAt: Date | null): void {
      log.change(
        tx,
        session.id,
        'UPDATE sessions SET state = $2, expires_at = $3, updated_at = $4 WHERE id = $1',
        [session.id, state, expiresAt, new Date(clock.now())],
      );
    },

    /**
     * Ends a session; what is left goes to its owner, and is answered.
     * @throws PublicError CONFLICT (INVALID_STATE) when it has ended already.
     */
    async end(tx: Transaction, session: Session, action: 'CLOSE' | 'EXPIRE'): Promise<Sats> {
      const state = steps.next(session, action);
      const account = `session:${session.id}` as const;
      const amount = await ledger.balance(tx, account);
      if (amount > 0n)
        await ledger.transfer(tx, {
          key: `ended:${session.id}`,
          from: account,
          to: ownerAccount({ userId: session.ownerUser, objectId: session.id }),
          amount,
          reason: 'SESSION_ENDED',
        });
      steps.save(tx, session, state, null);
      await queue.cancel(tx, expiryWork, session.id);
      return amount;
    },
  };
  return steps;
}
