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
    async transfer(tx: Transaction, stream: Stream, to: string): Promise<void> {
      const at = steps.positionOf(stream);
      if (stream.sender === to) throw streamErrors.wrongState(stateAt(stream, at));
      const passed = { ...stream, recipient: to };
      steps.save(tx, passed, at);
      log.append(tx, streamEvents.transferred(passed, stream.recipient, to));
    },
  };
}
