import type { Ledger } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import { requireUser, type Viewer } from '../platform/auth/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import type { Idempotency } from '../platform/idempotency.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log/log.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import { createStreamClaims } from './claims.ts';
import { streamErrors } from './errors.ts';
import { streamEvents } from './events.ts';
import { resumedAt, type StreamAction, splitAt, vestedAt, withdrawableAt } from './machine.ts';
import { lockStream, type PayableStream, type Stream } from './queries.ts';
import { createStreamRules } from './rules.ts';
import { type NewSchedule, scheduleOf } from './schedule.ts';
import { createStreamSteps, streamAccount } from './steps.ts';

export type Streams = ReturnType<typeof createStreams>;

interface Dependencies {
  readonly db: Database;
  readonly log: Log;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly queue: WorkQueue;
  readonly idempotency: Idempotency;
  /** What a cancel costs of the unvested part; hundredths of a percent. */
  readonly cancelFeeBasisPoints: number;
}

/** Which stream, and the key of the request. */
interface Request {
  readonly streamId: string;
  readonly idempotencyKey: string;
}

/** A settlement that another system reports. `by` and `key` name it for good. */
export interface ReportedSettlement {
  readonly streamId: string;
  readonly transaction: string | null;
  readonly by: string;
  readonly key: string;
}

/** Payment streams: an amount that vests over time or blocks, from a sender to a recipient. */
export function createStreams(deps: Dependencies) {
  const { db, log, clock, ledger, idempotency, cancelFeeBasisPoints } = deps;
  const rules = createStreamRules();
  const steps = createStreamSteps({ ...deps, rules });

  /** Does something to a stream for one of its parties, in one transaction; a repeated request does nothing. */
  function asParty(
    viewer: Viewer,
    mutation: string,
    action: StreamAction,
    { streamId, idempotencyKey, ...rest }: Request & { readonly amountSats?: Sats },
    may: (stream: Stream, userId: string) => boolean,
    work: (tx: Transaction, stream: PayableStream, at: number) => Promise<void>,
  ): Promise<void> {
    const { id: caller } = requireUser(viewer);
    const request = { caller, mutation, key: idempotencyKey, input: { streamId, ...rest } };
    return db.transaction(async (tx) => {
      const { locked: stream, earlier } = await idempotency.claimLocking(
        tx,
        request,
        { streamId },
        (claiming) => steps.locked(claiming, streamId, action),
        'FOR_GOOD',
      );
      // Who was a party when it was done is answered the same again.
      if (earlier) return;
      if (!may(stream, caller)) throw forbidden();
      const at = steps.positionOf(stream);
      steps.require(stream, at, action);
      await work(tx, stream, at);
    });
  }

  const isSender = ({ sender }: Stream, userId: string) => sender === userId;
  const isRecipient = ({ recipient }: Stream, userId: string) => recipient === userId;

  return {
    /** Registers what another domain has to say about streams. */
    addRule: rules.add,

    /** What who trades the rest of streams may do to them. */
    claims: createStreamClaims({ log, steps }),

    /**
     * Locks an amount of the sender's wallet, which vests to somebody else.
     * @throws PublicError BAD_USER_INPUT, FORBIDDEN (no such recipient), INSUFFICIENT_FUNDS, UNAVAILABLE (no block
     * was seen yet), CONFLICT.
     */
    async create(
      viewer: Viewer,
      input: NewSchedule & {
        readonly recipientId: string;
        readonly amountSats: Sats;
        readonly idempotencyKey: string;
      },
    ): Promise<{ streamId: string }> {
      const { recipientId, amountSats, idempotencyKey, ...schedule } = input;
      const { id: sender } = requireUser(viewer);
      if (recipientId === sender) throw streamErrors.ownRecipient();
      const streamId = newId('str');
      const request = {
        caller: sender,
        mutation: 'createStream',
        key: idempotencyKey,
        input: { recipientId, amountSats, ...schedule },
      };
      return db.transaction(async (tx) => {
        const earlier = await idempotency.claim(tx, request, { streamId }, 'FOR_GOOD');
        if (earlier) return earlier;
        const { starts, ends } = await scheduleOf(tx, schedule, clock.now());
        const made = await tx.query(
          `INSERT INTO streams (id, origin, clock, sender, recipient, state, amount_sats, starts, ends, created_at, updated_at)
           SELECT $1, 'SATWIRE', $2, $3, u.id, 'SCHEDULED', $5, $6, $7, $8, $8 FROM users u
           WHERE u.id = $4 AND u.subject IS NOT NULL RETURNING 1`,
          [streamId, schedule.clock, sender, recipientId, amountSats, starts, ends, new Date(clock.now())],
        );
        // Who is known by an address alone becomes somebody else's once a token names that: nobody could be paid.
        if (made.length === 0) throw forbidden();
        await ledger.transfer(tx, {
          key: `funded:${streamId}`,
          from: `wallet:${sender}`,
          to: streamAccount(streamId),
          amount: amountSats,
          reason: 'STREAM_FUNDED',
        });
        const stream = (await lockStream(tx, streamId)) as Stream;
        const at = steps.positionOf(stream);
        steps.save(tx, stream, at);
        await steps.schedule(tx, stream, at);
        log.append(tx, streamEvents.created(stream, amountSats));
        return { streamId };
      });
    },

    /**
     * The recipient takes a part of what has vested.
     * @throws PublicError FORBIDDEN, INSUFFICIENT_FUNDS when less has vested, CONFLICT (INVALID_STATE, LISTED).
     */
    withdraw(viewer: Viewer, input: Request & { readonly amountSats: Sats }): Promise<void> {
      const { amountSats } = input;
      return asParty(viewer, 'withdrawFromStream', 'WITHDRAW', input, isRecipient, async (tx, stream, at) => {
        if (amountSats > withdrawableAt(stream, at)) throw streamErrors.moreThanVested();
        const paid = await steps.payOut(tx, stream, at, amountSats, 'STREAM_WITHDRAWN');
        const totalWithdrawn = paid.withdrawnSats;
        const remaining = paid.amountSats - totalWithdrawn;
        log.append(tx, streamEvents.withdrawn(paid, { amount: amountSats, totalWithdrawn, remaining }));
      });
    },

    /**
     * Pays out all that has vested: for either party, or for a service.
     * @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE when there is nothing to pay out, LISTED).
     */
    settle(viewer: Viewer, input: Request): Promise<void> {
      const isService = viewer.user?.roles.includes('SERVICE') ?? false;
      const may = (stream: Stream, userId: string) =>
        isService || isSender(stream, userId) || isRecipient(stream, userId);
      return asParty(viewer, 'settleStream', 'SETTLE', input, may, async (tx, stream, at) => {
        await steps.settle(tx, stream, at, null);
      });
    },

    /**
     * Pays out all that has vested because another system reports a settlement, in the transaction that notes the
     * report. What was reported before does nothing.
     * @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE, LISTED).
     */
    async settleReported(
      tx: Transaction,
      { streamId, transaction, by, key }: ReportedSettlement,
    ): Promise<void> {
      const stream = await steps.locked(tx, streamId);
      const request = { caller: by, mutation: 'settleStream', key, input: { streamId, transaction } };
      if (await idempotency.claim(tx, request, { streamId }, 'FOR_GOOD')) return;
      const at = steps.positionOf(stream);
      steps.require(stream, at, 'SETTLE');
      await steps.settle(tx, stream, at, transaction);
    },

    /** The sender has it vest no further for now. @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE). */
    pause(viewer: Viewer, input: Request): Promise<void> {
      return asParty(viewer, 'pauseStream', 'PAUSE', input, isSender, async (tx, stream, at) => {
        const paused = { ...stream, pausedAt: at };
        steps.save(tx, paused, at);
        await steps.schedule(tx, paused, at);
        log.append(tx, streamEvents.paused(paused, vestedAt(paused, at)));
      });
    },

    /** The sender has it vest on; its end moves. @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE). */
    resume(viewer: Viewer, input: Request): Promise<void> {
      return asParty(viewer, 'resumeStream', 'RESUME', input, isSender, async (tx, stream, at) => {
        const resumed = resumedAt(stream as Stream & { pausedAt: number }, at);
        steps.save(tx, resumed, at);
        await steps.schedule(tx, resumed, at);
        const endsAt = resumed.clock === 'TIME' ? new Date(resumed.ends) : null;
        log.append(tx, streamEvents.resumed(resumed, endsAt));
      });
    },

    /**
     * The sender ends it: what has vested goes to the recipient, the rest back less a fee.
     * @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE).
     */
    cancel(viewer: Viewer, input: Request): Promise<void> {
      return asParty(viewer, 'cancelStream', 'CANCEL', input, isSender, async (tx, stream, at) => {
        await rules.ended(tx, stream, 'CANCELLED');
        const split = splitAt(stream, at, cancelFeeBasisPoints);
        const shares = [
          { part: 'owed', to: `wallet:${stream.recipient}`, amount: split.owed, reason: 'STREAM_CANCELLED' },
          { part: 'refund', to: `wallet:${stream.sender}`, amount: split.refund, reason: 'STREAM_REFUND' },
          { part: 'fee', to: 'treasury', amount: split.fee, reason: 'STREAM_CANCEL_FEE' },
        ] as const;
        await ledger.transfer(
          tx,
          ...shares
            .filter(({ amount }) => amount > 0n)
            .map(({ part, ...share }) => ({
              key: `cancelled:${stream.id}:${part}`,
              from: streamAccount(stream.id),
              ...share,
            })),
        );
        const cancelled = {
          ...stream,
          cancelledVestedSats: split.vested,
          withdrawnSats: split.vested,
          refundedSats: split.refund,
          feeSats: split.fee,
          isHeld: false,
        };
        steps.save(tx, cancelled, at);
        await steps.schedule(tx, cancelled, at);
        log.append(tx, streamEvents.cancelled(cancelled, split, stream.sender));
      });
    },

    /**
     * Does what time has brought to a stream.
     * @returns where on its clock to look again.
     */
    move(streamId: string): Promise<number | null> {
      return db.transaction(async (tx) => steps.move(tx, await steps.locked(tx, streamId)));
    },
  };
}
