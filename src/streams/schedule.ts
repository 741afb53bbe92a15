import type { Queryable } from '../platform/database/database.ts';
import { streamErrors } from './errors.ts';
import type { StreamClock } from './machine.ts';
import { highestOf } from './queries.ts';

/** From when to when a new stream vests, by time or by blocks. Without a start it is now. */
export interface NewSchedule {
  readonly clock: StreamClock;
  readonly startsAt: Date | null;
  readonly endsAt: Date | null;
  readonly startBlock: number | null;
  readonly endBlock: number | null;
}

/** By how much a beginning may be over already: what the clocks of clients and the way here take. */
const lateness = { ms: 60_000, blocks: 1 };

/** The longest way from now to the end of a stream: a hundred years, or as many blocks. */
const longest = { ms: 100 * 365 * 86_400_000, blocks: 100 * 52_560 };

/**
 * Where a new stream begins and ends on its clock.
 * @throws PublicError BAD_USER_INPUT when that makes no sense; UNAVAILABLE when no block was seen yet.
 */
export async function scheduleOf(
  db: Queryable,
  { clock, startsAt, endsAt, startBlock, endBlock }: NewSchedule,
  now: number,
): Promise<{ starts: number; ends: number }> {
  if (clock === 'TIME') {
    refuse([startBlock, 'startBlock'], [endBlock, 'endBlock']);
    return between(['startsAt', startsAt?.getTime() ?? now], ['endsAt', endsAt?.getTime() ?? null], now, {
      late: lateness.ms,
      most: longest.ms,
    });
  }
  refuse([startsAt, 'startsAt'], [endsAt, 'endsAt']);
  const height = await highestOf(db, 'BITCOIN');
  if (height === undefined) throw streamErrors.noChain();
  return between(['startBlock', startBlock ?? height], ['endBlock', endBlock], height, {
    late: lateness.blocks,
    most: longest.blocks,
  });
}

function refuse(...given: readonly (readonly [value: unknown, argument: string])[]): void {
  for (const [value, argument] of given)
    if (value !== null) throw streamErrors.schedule(argument, `${argument} belongs to the other clock.`);
}

function between(
  [startName, starts]: readonly [string, number],
  [endName, ends]: readonly [string, number | null],
  now: number,
  { late, most }: { readonly late: number; readonly most: number },
): { starts: number; ends: number } {
  if (starts < now - late) throw streamErrors.schedule(startName, `${startName} must not be over.`);
  if (ends === null) throw streamErrors.schedule(endName, `${endName} is needed.`);
  if (ends <= starts) throw streamErrors.schedule(endName, `${endName} must lie behind ${startName}.`);
  if (ends - now > most) throw streamErrors.schedule(endName, `${endName} is too far away.`);
  return { starts, ends };
}
