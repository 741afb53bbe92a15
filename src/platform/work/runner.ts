import { backoffMs } from '../backoff.ts';
import type { Clock } from '../clock.ts';
import type { LeasedWork, WorkQueue } from './queue.ts';

/** Does one kind of work. It may be begun again after a crash, so its effects must be idempotent. */
export interface WorkHandler {
  /**
   * @param signal aborted when the runner stops or the lease is lost: another may have begun it again.
   * @returns when to do it again; nothing when it is done.
   * @throws to have it done again after a pause that grows with the attempts.
   */
  run(work: LeasedWork, signal: AbortSignal): Promise<Date | undefined>;
  /** How many of this kind at once. */
  readonly concurrency: number;
}

export type WorkRunner = ReturnType<typeof createWorkRunner>;

interface Dependencies {
  readonly queue: WorkQueue;
  readonly clock: Clock;
  readonly handlers: Readonly<Record<string, WorkHandler>>;
  readonly onError: (error: unknown, work?: LeasedWork) => void;
}

/** What every process' holders are called; those of a dead one can be freed by it. */
export const nodeHolderPrefix = 'node:';

/** A dead node's work is taken up by another after this; ms. */
const leaseMs = 10_000;
const longestSleepMs = 1_000;

/** Does the due work of its kinds: sleeps until the next is due, wakes when some is scheduled. */
export function createWorkRunner({ queue, clock, handlers, onError }: Dependencies) {
  const kinds = Object.keys(handlers);
  const running = new Map<string, Set<Promise<void>>>(kinds.map((kind) => [kind, new Set()]));
  const endings = new Set<AbortController>();
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let lookAgain = false;

  async function perform(handler: WorkHandler, work: LeasedWork): Promise<void> {
    // Leased while the runner was being stopped: whoever comes next begins it.
    if (stopping) return queue.postpone(work, new Date(clock.now()));
    const ending = new AbortController();
    endings.add(ending);
    const renewal = setInterval(() => {
      queue.renew(work, leaseMs).then(
        (isHeld) => isHeld || ending.abort(),
        (error) => onError(error, work),
      );
    }, leaseMs / 3);
    try {
      const again = await handler.run(work, ending.signal);
      await (again ? queue.postpone(work, again) : queue.finish(work));
    } catch (error) {
      if (!stopping) onError(error, work);
      const pause = stopping ? 0 : backoffMs(work.attempts);
      await queue.postpone(work, new Date(clock.now() + pause));
    } finally {
      clearInterval(renewal);
      endings.delete(ending);
    }
  }

  const room = (kind: string) =>
    (handlers[kind] as WorkHandler).concurrency - (running.get(kind) as Set<Promise<void>>).size;

  async function look(): Promise<void> {
    for (const [kind, handler] of Object.entries(handlers)) {
      const busy = running.get(kind) as Set<Promise<void>>;
      for (const work of await queue.lease(kind, room(kind), nodeHolderPrefix, leaseMs)) {
        const task: Promise<void> = perform(handler, work)
          .catch((error) => onError(error, work))
          .finally(() => {
            busy.delete(task);
            poke();
          });
        busy.add(task);
      }
    }
    const next = await queue.nextDue(kinds.filter((kind) => room(kind) > 0));
    const sleepMs = next ? next.getTime() - clock.now() : longestSleepMs;
    sleep(Math.min(Math.max(sleepMs, 20), longestSleepMs));
  }

  function sleep(ms: number): void {
    clearTimeout(timer);
    if (!stopping) timer = setTimeout(poke, ms);
  }

  function poke(): void {
    lookAgain = true;
    looking ??= lookWhileAsked();
  }

  async function lookWhileAsked(): Promise<void> {
    while (lookAgain && !stopping) {
      lookAgain = false;
      await look().catch((error) => {
        onError(error);
        sleep(longestSleepMs);
      });
    }
    // In the same turn as the question whether to look again: whoever pokes from here on begins anew.
    looking = undefined;
  }

  let forget = () => {};

  return {
    /** Looks for due work now, and from then on by itself; what is scheduled before that waits for it. */
    start(): void {
      forget = queue.onScheduled(poke);
      poke();
    },

    /** Begins nothing more, tells what runs to stop, and waits for it. */
    async stop(): Promise<void> {
      forget();
      stopping = true;
      for (const ending of endings) ending.abort();
      clearTimeout(timer);
      await looking;
      await Promise.all([...running.values()].flatMap((tasks) => [...tasks]));
    },
  };
}
