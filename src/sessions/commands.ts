import type { Invoices } from '../money/invoices.ts';
import type { Ledger } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { AccessTokens } from '../platform/auth/access-tokens.ts';
import { requesterOf } from '../platform/auth/requester.ts';
import { callerOf, type Viewer } from '../platform/auth/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database/database.ts';
import type { Idempotency } from '../platform/idempotency.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log/log.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import { sessionErrors } from './errors.ts';
import { sessionEvents } from './events.ts';
import { runsLow } from './machine.ts';
import { handleSessionInvoices } from './payments.ts';
import { createSessionSteps } from './steps.ts';

export type Sessions = ReturnType<typeof createSessions>;

/** The limits of sessions; sats and seconds. */
export interface SessionLimits {
  readonly depositMinSats: Sats;
  readonly depositMaxSats: Sats;
  /** Below this balance a session is paused. */
  readonly minimumSats: Sats;
  /** Without a payment or a debit for this long a session expires. */
  readonly idleSeconds: number;
}

interface Dependencies {
  readonly db: Database;
  readonly log: Log;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
  readonly queue: WorkQueue;
  readonly idempotency: Idempotency;
  readonly accessTokens: AccessTokens;
  readonly limits: SessionLimits;
}

/** Prepaid sessions: a deposit by Lightning, debited as it is used, topped up, closed. */
export function createSessions(deps: Dependencies) {
  const { db, log, clock, ledger, invoices, idempotency, accessTokens, limits } = deps;

  const steps = createSessionSteps({ ...deps, idleSeconds: limits.idleSeconds });
  handleSessionInvoices({ ...deps, minimumSats: limits.minimumSats }, steps);

  function requireAmount(argument: string, amount: Sats, minimum: Sats): void {
    if (amount < minimum || amount > limits.depositMaxSats)
      throw sessionErrors.amountOutOfRange(argument, minimum, limits.depositMaxSats);
  }

  return {
    /**
     * Opens a session, awaiting its deposit. An anonymous caller gets the access token that alone opens it,
     * also when the request is repeated.
     * @throws PublicError BAD_USER_INPUT, UNAVAILABLE, RATE_LIMITED, CONFLICT.
     */
    async open(
      viewer: Viewer,
      input: {
        readonly depositSats: Sats;
        readonly idempotencyKey: string;
        readonly address: string | undefined;
      },
    ): Promise<{ sessionId: string; accessToken: string | null }> {
      const { depositSats, idempotencyKey, address } = input;
      requireAmount('depositSats', depositSats, limits.depositMinSats);
      const ownerUser = viewer.user?.id ?? null;
      const request = {
        caller: callerOf(viewer),
        mutation: 'openSession',
        key: idempotencyKey,
        input: { depositSats },
      };
      const made = (await idempotency.find<{ sessionId: string }>(db, request)) ?? (await insert());
      return {
        sessionId: made.sessionId,
        accessToken: ownerUser === null ? accessTokens.derive(made.sessionId) : null,
      };

      async function insert(): Promise<{ sessionId: string }> {
        const sessionId = newId('ses');
        const requester = requesterOf(viewer, address);
        const draft = await invoices.draft(depositSats, `Deposit of ${sessionId}`, requester);
        return db.transaction(async (tx) => {
          const earlier = await idempotency.claim(tx, request, { sessionId });
          if (earlier) return earlier;
          await tx.query(
            `INSERT INTO sessions (id, owner_user, state, deposit_invoice, created_at, updated_at)
             VALUES ($1, $2, 'AWAITING_PAYMENT', $3, $4, $4)`,
            [sessionId, ownerUser, draft.paymentHash, new Date(clock.now())],
          );
          await invoices.insert(tx, draft, 'session.deposit', { userId: ownerUser, objectId: sessionId });
          if (ownerUser === null) await accessTokens.grant(tx, sessionId);
          return { sessionId };
        });
      }
    },

    /**
     * Makes an invoice that adds to a session's balance once it is paid.
     * @throws PublicError BAD_USER_INPUT, UNAVAILABLE, RATE_LIMITED, CONFLICT (INVALID_STATE).
     */
    async topUp(
      viewer: Viewer,
      input: {
        readonly sessionId: string;
        readonly amountSats: Sats;
        readonly idempotencyKey: string;
        readonly address: string | undefined;
      },
    ): Promise<{ sessionId: string; paymentHash: string }> {
      const { sessionId, amountSats, idempotencyKey, address } = input;
      requireAmount('amountSats', amountSats, 1n);
      const request = {
        caller: callerOf(viewer, sessionId),
        mutation: 'topUpSession',
        key: idempotencyKey,
        input: { sessionId, amountSats },
      };
      const known = await idempotency.find<{ sessionId: string; paymentHash: string }>(db, request);
      if (known) return known;
      const requester = requesterOf(viewer, address, sessionId);
      const draft = await invoices.draft(amountSats, `Top-up of ${sessionId}`, requester);
      return db.transaction(async (tx) => {
        const session = await steps.locked(tx, sessionId);
        const made = { sessionId, paymentHash: draft.paymentHash };
        const earlier = await idempotency.claim(tx, request, made);
        if (earlier) return earlier;
        steps.next(session, 'TOP_UP');
        await invoices.insert(tx, draft, 'session.topUp', { userId: session.ownerUser, objectId: sessionId });
        return made;
      });
    },

    /**
     * Takes sats from a session's balance.
     * @throws PublicError INSUFFICIENT_FUNDS when the balance is lower or the session is paused; CONFLICT
     * (INVALID_STATE) when it was not paid yet or has ended; BAD_USER_INPUT for an amount below one sat.
     */
    async debit(
      viewer: Viewer,
      input: {
        readonly sessionId: string;
        readonly amountSats: Sats;
        readonly memo: string | null;
        readonly idempotencyKey: string;
      },
    ): Promise<void> {
      const { sessionId, amountSats, memo, idempotencyKey } = input;
      const caller = callerOf(viewer, sessionId);
      const request = {
        caller,
        mutation: 'debitSession',
        key: idempotencyKey,
        input: { sessionId, amountSats, memo },
      };
      await db.transaction(async (tx) => {
        // The key of a transfer is kept with it for good.
        const { locked: session, earlier } = await idempotency.claimLocking(
          tx,
          request,
          { sessionId },
          (claiming) => steps.locked(claiming, sessionId),
          'FOR_GOOD',
        );
        if (earlier) return;
        if (session.state === 'PAUSED') throw sessionErrors.paused();
        const low = steps.next(session, 'RUN_LOW');
        const account = `session:${sessionId}` as const;
        const balances = await ledger.transfer(tx, {
          key: `debited:${newId('dbt')}`,
          from: account,
          to: 'revenue',
          amount: amountSats,
          reason: 'SESSION_DEBIT',
        });
        const balanceAfter = balances.get(account) as Sats;
        const paused = runsLow(balanceAfter, limits.minimumSats);
        steps.save(tx, session, paused ? low : session.state, steps.idleEnd());
        log.append(tx, sessionEvents.debited(session, amountSats, balanceAfter, memo));
        if (paused) log.append(tx, sessionEvents.paused(session, balanceAfter));
      });
    },

    /**
     * Closes a session; what is left goes to its owner, and so does what is paid later.
     * @throws PublicError CONFLICT (INVALID_STATE) when it has ended already.
     */
    async close(
      viewer: Viewer,
      { sessionId, idempotencyKey }: { readonly sessionId: string; readonly idempotencyKey: string },
    ): Promise<void> {
      const request = {
        caller: callerOf(viewer, sessionId),
        mutation: 'closeSession',
        key: idempotencyKey,
        input: { sessionId },
      };
      await db.transaction(async (tx) => {
        // Invoices before sessions, as everywhere.
        await invoices.cancelOpen(tx, sessionId);
        const session = await steps.locked(tx, sessionId);
        if (await idempotency.claim(tx, request, { sessionId }, 'FOR_GOOD')) return;
        log.append(tx, sessionEvents.closed(session, await steps.end(tx, session, 'CLOSE')));
      });
    },

    /** Expires a session that has been idle for long enough; else says when to look again. */
    async expireIdle(sessionId: string): Promise<Date | undefined> {
      return db.transaction(async (tx) => {
        const session = await steps.locked(tx, sessionId);
        if (session.expiresAt === null) return undefined;
        if (session.expiresAt.getTime() > clock.now()) return session.expiresAt;
        log.append(tx, sessionEvents.expired(session, await steps.end(tx, session, 'EXPIRE')));
        return undefined;
      });
    },
  };
}
