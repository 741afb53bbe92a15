import type { Sats } from '../money/sats.ts';
import type { Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import type { Log } from '../platform/log/log.ts';
import { streamErrors } from './errors.ts';
import { streamEvents } from './events.ts';
import { stateAt } from './machine.ts';
import { lockStream, type Stream } from './queries.ts';
import type { StreamSteps } from './steps.ts';

interface Dependencies {
  readonly log: Log;
  readonly steps: StreamSteps;
}

/** What who trades the rest of streams may do to them, within their transactions. */
export function createStreamClaims({ log, steps }: Dependencies) {
  return {
    /**
     * Locks a stream.
     * @throws PublicError FORBIDDEN when there is none of this id.
     */
    async lock(tx: Transaction, streamId: string): Promise<Stream> {
      const stream = await lockStream(tx, streamId);
      if (!stream) throw forbidden();
      return stream;
    },

    /**
     * Has nothing paid out of a locked stream until it is passed on, released, or at its end.
     * @throws PublicError CONFLICT (LISTED) when it is held already.
     */
    hold(tx: Transaction, stream: Stream): void {
      if (stream.isHeld) throw streamErrors.listed();
      steps.save(tx, { ...stream, isHeld: true }, steps.positionOf(stream));
    },

    /** Has it paid out again. */
    release(tx: Transaction, stream: Stream): void {
      steps.save(tx, { ...stream, isHeld: false }, steps.positionOf(stream));
    },

    /**
     * What is still to be paid out of a locked stream, vested or not, if it can be passed on; sats.
     * @throws PublicError FORBIDDEN when it is mirrored; CONFLICT (INVALID_STATE) when it has vested to its end or was
     * cancelled.
     */
    remainingOf(stream: Stream): Sats {
      if (stream.origin !== 'SATWIRE') throw streamErrors.mirrored();
      steps.require(stream, steps.positionOf(stream), 'TRANSFER');
      return stream.amountSats - stream.withdrawnSats;
    },

    /**
     * Makes another user the recipient. It is the last that the former one is told of the stream.
     * @throws PublicError CONFLICT when they are the sender.
     */
    transfer(tx: Transaction, stream: Stream, to: string): void {
      const at = steps.positionOf(stream);
      if (stream.sender === to) throw streamErrors.wrongState(stateAt(stream, at));
      const passed = { ...stream, recipient: to, isHeld: false };
      steps.save(tx, passed, at);
      log.append(tx, streamEvents.transferred(passed, stream.recipient, to));
    },
  };
}
