import type { Redis } from 'ioredis';
import { maximumMessageBytes } from './messages.ts';
import { isRefusal } from './redis-client.ts';

interface Dependencies {
  readonly redis: Redis;
  readonly onMalformed: () => void;
}

/** A channel that somebody wants. */
interface Wanted extends Progress {
  readonly channel: string;
  /** Called once it is subscribed to, or once there is no use in waiting for that. */
  waiting: (() => void) | undefined;
}

interface Progress {
  acknowledged: boolean;
  /** A SUBSCRIBE for it has been sent and not been answered. */
  underWay: boolean;
  refusals: number;
  /** The tick since which it is to be subscribed to, and the one at which to ask again. */
  since: number;
  dueAt: number;
}

/** How many channels one SUBSCRIBE names. */
const batch = 500;
/** How many channels that have been refused are asked for again at one tick, each by itself. */
const retriesPerTick = 100;
/** A channel that is not subscribed to after so many ticks makes the whole incomplete. */
const ticksAllowed = 5;
/** The longest wait before a refused channel is asked for again; ticks. */
const maximumRetryTicks = 20;

/**
 * The subscribing side of a RedisPubSub, in the place of the client itself: RedisPubSub neither takes a refused
 * SUBSCRIBE nor one whose connection ends. Here none ever fails; what is wanted is asked for until it is had.
 */
export function createRedisSubscriber({ redis, onMalformed }: Dependencies) {
  const wanted = new Map<string, Wanted>();
  const missing = new Set<Wanted>();
  let now = 0;
  let ready = false;
  let complete = false;
  let refusal: Error | undefined;

  function ask(entries: readonly Wanted[]): void {
    for (const entry of entries) entry.underWay = true;
    redis.subscribe(...entries.map(({ channel }) => channel)).then(
      () => entries.forEach(acknowledge),
      (error: unknown) => {
        if (isRefusal(error)) refusal = error;
        for (const entry of entries) postpone(entry, entries.length === 1);
      },
    );
  }

  function askInBatches(): void {
    const entries = [...missing];
    for (let start = 0; start < entries.length; start += batch) ask(entries.slice(start, start + batch));
  }

  function acknowledge(entry: Wanted): void {
    entry.acknowledged = true;
    missing.delete(entry);
    release(entry);
    completeIfSo();
  }

  function completeIfSo(): void {
    if (!ready || missing.size > 0) return;
    complete = true;
    refusal = undefined;
  }

  /** One refused channel has its whole batch refused: each of them is asked for by itself, soon. */
  function postpone(entry: Wanted, alone: boolean): void {
    entry.underWay = false;
    if (alone) entry.refusals += 1;
    const wait = Math.min(maximumRetryTicks, 2 ** entry.refusals);
    entry.dueAt = now + Math.ceil(wait * (0.5 + Math.random() / 2));
    // To the end: everything has its turn, however much is refused.
    if (missing.delete(entry)) missing.add(entry);
  }

  function release(entry: Wanted): void {
    entry.waiting?.();
    entry.waiting = undefined;
  }

  const begin = (): Progress => ({
    acknowledged: false,
    underWay: false,
    refusals: 0,
    since: now,
    dueAt: now,
  });

  return {
    /** What RedisPubSub uses of a client. */
    client: {
      on(event: string, hear: (channel: string, text: string) => void): void {
        if (event !== 'message') return;
        redis.on('message', (channel, text) => {
          if (Buffer.byteLength(text) > maximumMessageBytes) onMalformed();
          else hear(channel, text);
        });
      },
      subscribe(channel: string, done: () => void): void {
        const entry: Wanted = { channel, waiting: done, ...begin() };
        wanted.set(channel, entry);
        missing.add(entry);
        if (ready) ask([entry]);
        else release(entry);
      },
      unsubscribe(channel: string): void {
        const entry = wanted.get(channel) as Wanted;
        wanted.delete(channel);
        missing.delete(entry);
        completeIfSo();
        // What still arrives has no listener, and the next connection does not ask for it.
        if (entry.acknowledged || entry.underWay) redis.unsubscribe(channel).catch(() => {});
      },
      punsubscribe(): void {
        // It unsubscribes from the pattern of each channel's name as well; there are no patterns.
      },
    },

    /** Whether every wanted channel is subscribed to on this connection, but for those asked for just now. */
    get complete(): boolean {
      return complete;
    },
    /** Why Redis has last refused a channel, as long as some channel is missing. */
    get refusal(): Error | undefined {
      return refusal;
    },

    /** There is a connection: everything is asked for. */
    onReady(): void {
      ready = true;
      askInBatches();
      completeIfSo();
    },

    /** The connection has ended, and with it every subscription. */
    onLost(): void {
      ready = false;
      complete = false;
      for (const entry of wanted.values()) {
        missing.add(Object.assign(entry, begin()));
        release(entry);
      }
    },

    /** Asks again where that is due, and no longer has anybody wait for what is overdue. */
    tick(): void {
      now += 1;
      let retries = 0;
      for (const entry of missing) {
        if (now - entry.since >= ticksAllowed) {
          complete = false;
          release(entry);
        }
        if (!ready || entry.underWay || entry.dueAt > now || retries === retriesPerTick) continue;
        retries += 1;
        ask([entry]);
      }
    },
  };
}
