import type { ChainEvent } from '../inbox/chainhook.ts';
import type { ChainValue } from '../inbox/value.ts';
import { maximumSats, type Sats } from '../money/sats.ts';
import type { Vesting } from './machine.ts';

/** A stream as its events on the chain make it; parties are principals, positions heights of blocks. */
export interface ChainStream extends Vesting {
  readonly sender: string;
  readonly recipient: string;
  readonly refundedSats: Sats;
  readonly feeSats: Sats;
}

/** What an event of the chain has done: the stream behind it, and the one before, where there was one. */
export interface ChainStep<Event extends ChainEvent> {
  readonly event: Event;
  readonly before: ChainStream | undefined;
  readonly stream: ChainStream;
}

/** The events of a stream that are mirrored. */
const names = ['stream-created', 'stream-withdrawal', 'stream-cancelled', 'stream-sender-updated'];

const highestBlock = 2n ** 31n - 1n;

const textIn = ({ value }: ChainEvent, name: string): string | undefined => {
  const text: ChainValue | undefined = value[name];
  return typeof text === 'string' ? text : undefined;
};

const numberIn = ({ value }: ChainEvent, name: string): bigint | undefined => {
  const number: ChainValue | undefined = value[name];
  return typeof number === 'bigint' && number >= 0n ? number : undefined;
};

const satsIn = (event: ChainEvent, name: string): Sats | undefined => {
  const sats = numberIn(event, name);
  return sats !== undefined && sats <= maximumSats ? sats : undefined;
};

/** Which stream an event is about: its number within its contract; undefined when it is about none. */
export function entityOfStream(event: ChainEvent): string | undefined {
  const number = numberIn(event, 'stream-id');
  return names.includes(event.name) && number !== undefined ? `${event.contract}/${number}` : undefined;
}

/** The name by which other contracts of the same deployer know a stream of this number. */
export function chainStreamOf({ contract }: Pick<ChainEvent, 'contract'>, number: bigint): string {
  return `${contract.split('.', 1)[0]}/${number}`;
}

/** As `chainStreamOf`, of an event that has the number. */
export const chainStreamIn = (event: ChainEvent) =>
  chainStreamOf(event, numberIn(event, 'stream-id') as bigint);

function created(event: ChainEvent): ChainStream | undefined {
  const sender = textIn(event, 'sender');
  const recipient = textIn(event, 'recipient');
  const amountSats = satsIn(event, 'amount');
  const starts = numberIn(event, 'start-block');
  const ends = numberIn(event, 'end-block');
  if (!sender || !recipient || !amountSats || starts === undefined || ends === undefined) return undefined;
  if (ends <= starts || ends > highestBlock) return undefined;
  return {
    sender,
    recipient,
    amountSats,
    starts: Number(starts),
    ends: Number(ends),
    pausedAt: null,
    pausedTotal: 0,
    withdrawnSats: 0n,
    refundedSats: 0n,
    feeSats: 0n,
    cancelledVestedSats: null,
  };
}

const least = (a: Sats, b: Sats) => (a < b ? a : b);

/** `vested-paid` is what was still owed at the cancel, and goes to the recipient with it. */
function cancelled(stream: ChainStream, event: ChainEvent): ChainStream | undefined {
  const owed = satsIn(event, 'vested-paid');
  const fee = satsIn(event, 'cancellation-fee');
  if (owed === undefined || fee === undefined) return undefined;
  const vested = least(stream.withdrawnSats + owed, stream.amountSats);
  const unvested = stream.amountSats - vested;
  const feeSats = least(fee, unvested);
  return {
    ...stream,
    cancelledVestedSats: vested,
    withdrawnSats: vested,
    feeSats,
    refundedSats: unvested - feeSats,
  };
}

function after(stream: ChainStream | undefined, event: ChainEvent): ChainStream | undefined {
  if (!stream) return event.name === 'stream-created' ? created(event) : undefined;
  if (stream.cancelledVestedSats !== null) return undefined;
  if (event.name === 'stream-withdrawal') {
    const amount = satsIn(event, 'amount');
    if (!amount || stream.withdrawnSats + amount > stream.amountSats) return undefined;
    return { ...stream, withdrawnSats: stream.withdrawnSats + amount };
  }
  if (event.name === 'stream-cancelled') return cancelled(stream, event);
  const sender = event.name === 'stream-sender-updated' ? textIn(event, 'new-sender') : undefined;
  return sender === undefined ? undefined : { ...stream, sender };
}

/** What events of one stream, in the order of the chain, make of it. What makes no sense does nothing. */
export function replay<Event extends ChainEvent>(history: readonly Event[]): ChainStep<Event>[] {
  const steps: ChainStep<Event>[] = [];
  let before: ChainStream | undefined;
  for (const event of history) {
    const stream = after(before, event);
    if (!stream) continue;
    steps.push({ event, before, stream });
    before = stream;
  }
  return steps;
}
