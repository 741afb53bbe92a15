import type { MirroredEvent } from '../inbox/chain-events.ts';
import type { Mirror } from '../inbox/mirror.ts';
import { usersAtAddresses } from '../platform/auth/users.ts';
import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { newId } from '../platform/ids.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import type { Log } from '../platform/log/log.ts';
import { type EventStream, streamEvents } from './events.ts';
import { stateAt } from './machine.ts';
import { type ChainStep, type ChainStream, chainStreamIn, entityOfStream, replay } from './mirrored.ts';
import { highestOf } from './queries.ts';

interface Dependencies {
  readonly log: Log;
  readonly clock: Clock;
}

/** A mirrored stream is one of a number and of a creation: another fork may have created another one. */
const keyOf = ({ entity, txHash }: MirroredEvent) => `${entity}@${txHash}`;

const isSame = (one: MirroredEvent, other: MirroredEvent | undefined) =>
  other !== undefined && keyOf(one) === keyOf(other);

/** What a principal is called here. */
type UserOf = (address: string) => string;

/** What an event of the chain is called here; undefined for one that is not told. */
function eventOf(
  stream: EventStream,
  { event, before, stream: now }: ChainStep<MirroredEvent>,
  userOf: UserOf,
): NewEvent {
  if (!before) return streamEvents.created(stream, now.amountSats);
  if (now.sender !== before.sender || event.name === 'stream-sender-updated')
    return streamEvents.transferred(stream, userOf(before.sender), userOf(now.sender));
  if (now.cancelledVestedSats === null) {
    const amount = now.withdrawnSats - before.withdrawnSats;
    const remaining = now.amountSats - now.withdrawnSats;
    return streamEvents.withdrawn(stream, { amount, totalWithdrawn: now.withdrawnSats, remaining });
  }
  const vested = now.cancelledVestedSats;
  return streamEvents.cancelled(
    stream,
    {
      vested,
      unvested: now.amountSats - vested,
      owed: vested - before.withdrawnSats,
      refund: now.refundedSats,
      fee: now.feeSats,
    },
    userOf(now.sender),
  );
}

/** Mirrors the streams of a contract: each is what its canonical events make it. No sat moves here. */
export function createStreamMirror({ log, clock }: Dependencies): Mirror {
  /** Writes a stream as it is now; answers its id. */
  async function write(tx: Transaction, creation: MirroredEvent, stream: ChainStream): Promise<string> {
    const height = (await highestOf(tx, 'STACKS')) ?? 0;
    const [row] = await tx.query<{ id: string }>(
      `INSERT INTO streams AS s (id, origin, clock, sender, recipient, state, amount_sats, starts, ends, withdrawn_sats,
         refunded_sats, fee_sats, cancelled_vested_sats, chain_key, chain_stream, created_at, updated_at)
       VALUES ($1, 'STACKS', 'BLOCK', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
       ON CONFLICT (chain_key) DO UPDATE SET sender = excluded.sender, state = excluded.state,
         withdrawn_sats = excluded.withdrawn_sats, refunded_sats = excluded.refunded_sats, fee_sats = excluded.fee_sats,
         cancelled_vested_sats = excluded.cancelled_vested_sats, undone = false, updated_at = excluded.updated_at
       RETURNING id`,
      [
        newId('str'),
        stream.sender,
        stream.recipient,
        stateAt(stream, height),
        stream.amountSats,
        stream.starts,
        stream.ends,
        stream.withdrawnSats,
        stream.refundedSats,
        stream.feeSats,
        stream.cancelledVestedSats,
        keyOf(creation),
        chainStreamIn(creation),
        new Date(creation.timestamp * 1_000),
        new Date(clock.now()),
      ],
    );
    return row?.id as string;
  }

  /** A stream that was never created after all: nothing of it has vested, and nothing will. */
  async function undo(tx: Transaction, creation: MirroredEvent): Promise<string | undefined> {
    const [row] = await tx.query<{ id: string }>(
      `UPDATE streams SET state = 'CANCELLED', cancelled_vested_sats = 0, withdrawn_sats = 0, refunded_sats = 0,
         fee_sats = 0, undone = true, updated_at = $2 WHERE chain_key = $1 RETURNING id`,
      [keyOf(creation), new Date(clock.now())],
    );
    return row?.id;
  }

  return {
    entityOf: entityOfStream,

    async changed(tx, _entity, history, removed, added) {
      const now = replay(history);
      // As it stood: what was removed came last, the newest first.
      const was = replay([...history.filter((event) => !added.includes(event)), ...removed.toReversed()]);
      const principals = [...now, ...was].flatMap(({ stream }) => [stream.sender, stream.recipient]);
      const users = await usersAtAddresses(tx, principals, new Date(clock.now()));
      const userOf: UserOf = (address) => users.get(address) as string;
      const shown = (id: string, { sender, recipient }: ChainStream): EventStream => ({
        id,
        sender: userOf(sender),
        recipient: userOf(recipient),
      });

      const [first] = now;
      const last = now.at(-1)?.stream;
      // The one that counted, of the creations of a number: a contract that makes it again is not heard.
      const creation = was[0]?.event;
      const undoneId = creation && !isSame(creation, first?.event) ? await undo(tx, creation) : undefined;
      const id = first && last && (await write(tx, first.event, last));

      for (const event of removed) {
        if (event.logEventId === null) continue;
        const step = was.find((each) => each.event === event);
        const own = undoneId ?? id;
        if (!step || own === undefined) continue;
        const present = undoneId === undefined && last ? last : step.stream;
        const isNewParty = step.before !== undefined && step.before.sender !== step.stream.sender;
        log.append(
          tx,
          streamEvents.reorganised(
            shown(own, present),
            event.logEventId,
            isNewParty ? userOf(step.stream.sender) : null,
          ),
        );
      }

      const told = new Map<MirroredEvent, string>();
      if (id === undefined) return told;
      for (const step of now) {
        if (!added.includes(step.event)) continue;
        const [logEventId] = log.append(tx, eventOf(shown(id, step.stream), step, userOf));
        told.set(step.event, logEventId as string);
      }
      return told;
    },
  };
}
