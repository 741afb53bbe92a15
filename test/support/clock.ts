import type { Clock } from '../../src/platform/clock.ts';

/** A clock that a test moves forward. */
export interface MovableClock extends Clock {
  advance(ms: number): void;
}

/** Goes on as the machine's clock does, and jumps when it is told to. */
export function movableClock(): MovableClock {
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    advance: (ms) => {
      ahead += ms;
    },
  };
}

/** Stands still until it is moved. */
export function standingClock(start = Date.parse('2030-01-01T00:00:00Z')): MovableClock {
  let now = start;
  return {
    now: () => now,
    advance: (ms) => {
      now += ms;
    },
  };
}
