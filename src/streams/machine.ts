import type { Sats } from '../money/sats.ts';

/** Where a stream stands. */
export const streamStates = ['SCHEDULED', 'ACTIVE', 'PAUSED', 'CANCELLED', 'VESTED', 'DEPLETED'] as const;

export type StreamState = (typeof streamStates)[number];

/** What a stream vests by: milliseconds, or blocks. */
export type StreamClock = 'TIME' | 'BLOCK';

/** What can be done to a stream. */
export type StreamAction = 'WITHDRAW' | 'SETTLE' | 'PAUSE' | 'RESUME' | 'CANCEL' | 'TRANSFER';

const allowed: Readonly<Record<StreamState, readonly StreamAction[]>> = {
  SCHEDULED: ['CANCEL', 'TRANSFER'],
  ACTIVE: ['WITHDRAW', 'SETTLE', 'PAUSE', 'CANCEL', 'TRANSFER'],
  PAUSED: ['WITHDRAW', 'SETTLE', 'RESUME', 'CANCEL', 'TRANSFER'],
  VESTED: ['WITHDRAW', 'SETTLE'],
  CANCELLED: [],
  DEPLETED: [],
};

/** Whether an action fits a state. */
export function allows(state: StreamState, action: StreamAction): boolean {
  return allowed[state].includes(action);
}

/** Whether an action pays out of a stream because somebody wants it. */
export const isPayout = (action: StreamAction): boolean => action === 'WITHDRAW' || action === 'SETTLE';

/**
 * What the arithmetic needs of a stream. Positions are on its clock: milliseconds since 1970, or heights of blocks.
 * `ends` moves with each pause by as much as `pausedTotal` grows, so that the time of vesting stays the same.
 */
export interface Vesting {
  readonly amountSats: Sats;
  readonly starts: number;
  readonly ends: number;
  /** Where it was paused, while it is. */
  readonly pausedAt: number | null;
  /** How long all ended pauses were. */
  readonly pausedTotal: number;
  readonly withdrawnSats: Sats;
  /** What had vested when it was cancelled. */
  readonly cancelledVestedSats: Sats | null;
}

/** How long a stream vests, without its pauses. */
export function durationOf({ starts, ends, pausedTotal }: Vesting): number {
  return ends - starts - pausedTotal;
}

/**
 * How much has vested at a position: floor(amount × elapsed / duration), all of it from the end on; sats. What was
 * paid out stays vested, also for a node whose clock is behind that of the one that paid it.
 */
export function vestedAt(stream: Vesting, at: number): Sats {
  if (stream.cancelledVestedSats !== null) return stream.cancelledVestedSats;
  const duration = durationOf(stream);
  const elapsed = Math.min(
    Math.max((stream.pausedAt ?? at) - stream.starts - stream.pausedTotal, 0),
    duration,
  );
  const vested = (stream.amountSats * BigInt(elapsed)) / BigInt(duration);
  return vested < stream.withdrawnSats ? stream.withdrawnSats : vested;
}

/** What has vested and was not paid out; sats. */
export function withdrawableAt(stream: Vesting, at: number): Sats {
  return vestedAt(stream, at) - stream.withdrawnSats;
}

/** How much has vested, in percent: floor(vested × 10,000 / amount) / 100, so 100 only when all has. */
export function percentComplete(stream: Vesting, at: number): number {
  return Number((vestedAt(stream, at) * 10_000n) / stream.amountSats) / 100;
}

/** The state at a position: time alone moves a stream on from SCHEDULED to ACTIVE to VESTED. */
export function stateAt(stream: Vesting, at: number): StreamState {
  if (stream.cancelledVestedSats !== null) return 'CANCELLED';
  if (stream.withdrawnSats === stream.amountSats) return 'DEPLETED';
  if (stream.pausedAt !== null) return 'PAUSED';
  if (at < stream.starts) return 'SCHEDULED';
  return at < stream.ends ? 'ACTIVE' : 'VESTED';
}

/** How a cancel splits a stream: withdrawn + owed + refund + fee = amount; sats. */
export interface Split {
  readonly vested: Sats;
  readonly unvested: Sats;
  /** To the recipient: what has vested and was not paid out. */
  readonly owed: Sats;
  /** Back to the sender. */
  readonly refund: Sats;
  readonly fee: Sats;
}

/** The split of a cancel at a position: the fee is floor(unvested × basis points / 10,000). */
export function splitAt(stream: Vesting, at: number, feeBasisPoints: number): Split {
  const vested = vestedAt(stream, at);
  const unvested = stream.amountSats - vested;
  const fee = (unvested * BigInt(feeBasisPoints)) / 10_000n;
  return { vested, unvested, owed: vested - stream.withdrawnSats, refund: unvested - fee, fee };
}

/** A paused stream as it goes on from a position: the pause moves its end. */
export function resumedAt<Stream extends Vesting>(stream: Stream & { pausedAt: number }, at: number): Stream {
  const paused = Math.max(at - stream.pausedAt, 0);
  return {
    ...stream,
    pausedAt: null,
    pausedTotal: stream.pausedTotal + paused,
    ends: stream.ends + paused,
  };
}

/** The next position at which something happens to a stream by itself; null when nothing does. */
export function nextDue(stream: Vesting, at: number): number | null {
  const state = stateAt(stream, at);
  if (state === 'SCHEDULED') return stream.starts;
  return state === 'ACTIVE' || state === 'VESTED' ? stream.ends : null;
}
