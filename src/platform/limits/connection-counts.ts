import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { createExchange, maximumNumbers, type Told, tellEveryMs } from './exchange.ts';
import { shortKey } from './keys.ts';

/** Gives back what was acquired; a second time does nothing. */
export type Release = () => void;

export type ConnectionCounts = Awaited<ReturnType<typeof createConnectionCounts>>;

/** Where nodes tell each other how many connections they have. */
const topic = 'connection-counts';

/** Time is counted in ticks of our own timer: while this process stands still, no time passes. */
const heartbeatTicks = 4;
/** A node that was not heard of for so many ticks (5 s) is gone, and its connections with it. */
const silentTicksAllowed = 20;
/** How much is kept of what others tell, and of what is to be told; beyond that the counts are too low. */
const maximumNodes = 64;
const maximumForeignKeys = 200_000;
const maximumChanged = 20_000;

interface OtherNode {
  heardAt: number;
  round: number;
  readonly counts: Map<string, { readonly count: number; readonly round: number }>;
}

interface Dependencies {
  readonly bus: Bus;
  readonly clock: Clock;
}

/**
 * How many connections each key has, such as a user or an address: this node's own exactly, those of the others by
 * what they have told last. A change is told within 250 ms, and everything is told anew, a part each second, so that
 * what got lost on the way is mended. While the bus is away, each node counts for itself.
 */
export async function createConnectionCounts({ bus, clock }: Dependencies) {
  const own = new Map<string, number>();
  const changed = new Set<string>();
  const others = new Map<string, OtherNode>();
  let now = 0;
  let round = 0;
  let restOfRound: string[] = [];

  const exchange = await createExchange({ bus, clock, topic, hear });
  bus.onChange(() => {
    if (bus.connected) tellAll();
  });
  const timer = setInterval(tick, tellEveryMs).unref();

  function hear({ node, round: itsRound, numbers }: Told): void {
    const known = others.get(node);
    if (!known && others.size >= maximumNodes) return;
    const other = known ?? { heardAt: now, round: itsRound, counts: new Map() };
    if (itsRound < other.round) return;
    if (!known) {
      others.set(node, other);
      // It has heard nothing of what was told before it came.
      tellAll();
    }
    other.heardAt = now;
    if (itsRound > other.round) forgetUntold(other, itsRound);
    other.round = itsRound;
    let room = maximumForeignKeys - foreignKeys();
    for (const [key, count] of numbers) {
      if (count === 0) room += Number(other.counts.delete(key));
      else if (other.counts.has(key)) other.counts.set(key, { count, round: itsRound });
      else if (room > 0) {
        room -= 1;
        other.counts.set(key, { count, round: itsRound });
      }
    }
  }

  /** In the round that has ended all was told that is there. */
  function forgetUntold({ counts }: OtherNode, newRound: number): void {
    for (const [key, { round: toldIn }] of counts) if (toldIn < newRound - 1) counts.delete(key);
  }

  function foreignKeys(): number {
    let keys = 0;
    for (const { counts } of others.values()) keys += counts.size;
    return keys;
  }

  function tellAll(): void {
    for (const key of own.keys()) noteChange(key);
  }

  function noteChange(key: string): void {
    if (changed.size < maximumChanged) changed.add(key);
  }

  function tick(): void {
    now += 1;
    for (const [node, { heardAt }] of others) if (now - heardAt > silentTicksAllowed) others.delete(node);
    const isHeartbeat = now % heartbeatTicks === 0;
    if (isHeartbeat || changed.size > 0) tell(changed);
    if (!isHeartbeat) return;
    if (restOfRound.length === 0) {
      round += 1;
      restOfRound = [...own.keys()];
    }
    if (restOfRound.length > 0) tell(new Set(restOfRound.splice(-maximumNumbers)));
  }

  /** Tells what of these fits into a message, and takes it out. */
  function tell(keys: Set<string>): void {
    const numbers = new Map<string, number>();
    for (const key of keys) {
      if (numbers.size === maximumNumbers) break;
      keys.delete(key);
      numbers.set(key, own.get(key) ?? 0);
    }
    exchange.tell(numbers, round);
  }

  function countOf(key: string): number {
    let count = own.get(key) ?? 0;
    for (const { counts } of others.values()) count += counts.get(key)?.count ?? 0;
    return count;
  }

  function add(key: string, difference: 1 | -1): void {
    const count = (own.get(key) ?? 0) + difference;
    if (count === 0) own.delete(key);
    else own.set(key, count);
    noteChange(key);
  }

  return {
    /**
     * Counts one more connection of a key, unless there are as many as `maximum` already; 0 is any number. Nodes
     * that count at the same moment may together go beyond it by what they have not told each other yet.
     */
    acquire(name: string, maximum: number): Release | undefined {
      if (maximum === 0) return () => {};
      const key = shortKey(name);
      if (countOf(key) >= maximum) return undefined;
      add(key, 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        add(key, -1);
      };
    },

    /** Tells and hears nothing more. */
    close(): void {
      clearInterval(timer);
      exchange.stop();
    },
  };
}
