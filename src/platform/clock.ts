/** Where the time comes from, so that tests can move it. Milliseconds since the Unix epoch. */
export interface Clock {
  now(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = { now: () => Date.now() };
