import type { Ledger } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log/log.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import { streamErrors } from './errors.ts';
import { streamEvents } from './events.ts';
import { allows, isPayout, nextDue, type StreamAction, stateAt, withdrawableAt } from './machine.ts';
import { lockPayable, lockStream, type PayableStream, type Stream } from './queries.ts';
import type { StreamRules } from './rules.ts';

export type StreamSteps = ReturnType<typeof createStreamSteps>;

interface Dependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly queue: WorkQueue;
  readonly rules: StreamRules;
}

/** What time does to a stream; the key is the stream's id. */
export const streamTimerWork = 'stream.timer';

/** The account that holds what a stream has not paid out. */
export const streamAccount = (id: string) => `stream:${id}` as const;

/** What commands and timers do to a stream, within their transactions. */
export function createStreamSteps({ clock, log, ledger, queue, rules }: Dependencies) {
  const steps = {
    /** Where a stream's clock stands: milliseconds since 1970, or the highest height that was seen. */
    positionOf: ({ clock: by, height }: Pick<Stream, 'clock' | 'height'>): number =>
      by === 'TIME' ? clock.now() : (height ?? 0),

    /**
     * A stream whose money is here, locked; for a payout, with the accounts that it moves money between.
     * @throws PublicError FORBIDDEN when there is none of this id, or it is mirrored.
     */
    async locked(tx: Transaction, id: string, action?: StreamAction): Promise<PayableStream> {
      const stream = await (action && isPayout(action) ? lockPayable : lockStream)(tx, id);
      if (!stream) throw forbidden();
      if (stream.origin !== 'SATWIRE') throw streamErrors.mirrored();
      return stream;
    },

    /**
     * @throws PublicError CONFLICT (INVALID_STATE when the state at this position does not allow that, LISTED when it
     * is not to be paid out while it is for sale).
     */
    require(stream: Stream, at: number, action: StreamAction): void {
      const state = stateAt(stream, at);
      if (!allows(state, action)) throw streamErrors.wrongState(state);
      if (stream.isHeld && isPayout(action)) throw streamErrors.listed();
    },

    /**
     * Stores what has changed, with the state that it leads to, and when something happens by itself: once in a
     * transaction.
     */
    save(tx: Transaction, stream: Stream, at: number): void {
      const due = nextDue(stream, at);
      const byBlock = stream.clock === 'BLOCK';
      log.change(
        tx,
        stream.id,
        `UPDATE streams SET state = $2, ends = $3, paused_at = $4, paused_total = $5, withdrawn_sats = $6,
           refunded_sats = $7, fee_sats = $8, cancelled_vested_sats = $9, due_block = $10, recipient = $11,
           is_held = $12, updated_at = $13 WHERE id = $1`,
        [
          stream.id,
          stateAt(stream, at),
          stream.ends,
          stream.pausedAt,
          stream.pausedTotal,
          stream.withdrawnSats,
          stream.refundedSats,
          stream.feeSats,
          stream.cancelledVestedSats,
          byBlock ? due : null,
          stream.recipient,
          stream.isHeld,
          new Date(clock.now()),
        ],
      );
    },

    /** Has a stream on a clock of time looked at when something happens to it by itself. */
    async schedule(tx: Transaction, stream: Stream, at: number): Promise<void> {
      if (stream.clock !== 'TIME') return;
      const due = nextDue(stream, at);
      if (due === null) await queue.cancel(tx, streamTimerWork, stream.id);
      else await queue.schedule(tx, streamTimerWork, stream.id, new Date(due));
    },

    /** Pays what has vested out to the recipient, or a part of it; the last payment leaves the stream DEPLETED. */
    async payOut(
      tx: Transaction,
      { held, ...stream }: PayableStream,
      at: number,
      amount: Sats,
      reason: string,
    ): Promise<Stream> {
      const transfer = {
        key: `withdrawn:${newId('wdr')}`,
        from: streamAccount(stream.id),
        to: `wallet:${stream.recipient}`,
        amount,
        reason,
      } as const;
      if (held) ledger.transferHeld(tx, log, held, transfer);
      else await ledger.transfer(tx, transfer);
      const paid = { ...stream, withdrawnSats: stream.withdrawnSats + amount };
      steps.save(tx, paid, at);
      if (stateAt(paid, at) === 'DEPLETED') await steps.schedule(tx, paid, at);
      return paid;
    },

    /**
     * Pays out all that has vested.
     * @throws PublicError CONFLICT (INVALID_STATE) when that is nothing.
     */
    async settle(
      tx: Transaction,
      stream: PayableStream,
      at: number,
      transaction: string | null,
    ): Promise<void> {
      const amount = withdrawableAt(stream, at);
      if (amount === 0n) throw streamErrors.nothingVested();
      const paid = await steps.payOut(tx, stream, at, amount, 'STREAM_SETTLED');
      log.append(tx, streamEvents.settled(paid, amount, transaction));
    },

    /**
     * What time does to a stream: at its start it becomes ACTIVE, at its end all that is left is settled.
     * @returns where on its clock to look again.
     */
    async move(tx: Transaction, stream: Stream): Promise<number | null> {
      const at = steps.positionOf(stream);
      if (stateAt(stream, at) === 'VESTED') {
        await rules.ended(tx, stream, 'VESTED');
        await steps.settle(tx, { ...stream, isHeld: false }, at, null);
        return null;
      }
      if (stateAt(stream, at) !== stream.state) steps.save(tx, stream, at);
      return nextDue(stream, at);
    },
  };
  return steps;
}
