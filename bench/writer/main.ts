import { setTimeout as pause } from 'node:timers/promises';
import { now } from '../lib/clock.ts';
import type { Commit, Writer, Writing } from '../lib/messages.ts';
import { answerCalls } from '../lib/remote.ts';
import type { Publisher } from './publisher.ts';

/** The process that makes the events of a run. */

let publisher: Publisher | undefined;
let ids: readonly string[] = [];
let recorded: Array<{ index: number; place: number; at: number }> | undefined;
let failed: unknown;

/** Rounds whose deliveries have all come, as the subscribers tell it. */
let completed = 0;
let proceed = () => {};

const onPublished = (index: number, place: number, at: number) => recorded?.push({ index, place, at });

// Each by itself: the packages of the peers' publishers are not loaded where they are not used.
async function createPublisher(writing: Writing): Promise<Publisher> {
  const { how } = writing;
  if (how === 'satwire') return (await import('./satwire.ts')).createSatwirePublisher(writing, onPublished);
  return (await import('./redis.ts')).createRedisPublisher({ ...writing, how }, onPublished);
}

function publish(commit: Commit): void {
  publisher?.publish(commit).catch((error: unknown) => {
    failed = error;
    proceed();
  });
}

/** A wake-up that was lost would be repaired from the log, much later: that is another measurement. */
function assertWhole(): void {
  if (failed !== undefined) throw failed;
  if (publisher?.failures !== 0) throw new Error(`${publisher?.failures} wake-ups did not get out`);
}

const functions: Writer = {
  async prepare(writing) {
    ids = writing.ids;
    publisher = await createPublisher(writing);
  },

  async flood({ round, inFlight, durationMs, rounds }) {
    completed = 0;
    let begun = 0;
    const end = now() + durationMs;
    while (now() < end && begun < rounds && failed === undefined) {
      if (begun - completed < inFlight) {
        begun += 1;
        for (const commit of round) publish(commit);
        // Commits are told about in between.
        await new Promise((resolve) => setImmediate(resolve));
      } else {
        const ending = setTimeout(() => proceed(), end - now());
        await new Promise<void>((resolve) => {
          proceed = resolve;
        });
        clearTimeout(ending);
      }
    }
    assertWhole();
    return begun;
  },

  async pace({ perSecond, events }) {
    const mine: NonNullable<typeof recorded> = [];
    recorded = mine;
    const begin = now();
    for (let event = 0; event < events; event += 1) {
      await pause(Math.max(begin + (event * 1000) / perSecond - now(), 0));
      publish([event % ids.length]);
    }
    while (mine.length < events && failed === undefined) await pause(5);
    recorded = undefined;
    assertWhole();
    return ids.map((_, index) =>
      mine
        .filter((one) => one.index === index)
        .sort((a, b) => a.place - b.place)
        .map(({ at }) => at),
    );
  },
};

answerCalls(functions, (rounds) => {
  completed = rounds;
  proceed();
});
