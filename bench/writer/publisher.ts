import type { Commit } from '../lib/messages.ts';

/** Hears of each event that has been published: of which id, its place there, and when; ms. */
export type OnPublished = (index: number, place: number, at: number) => void;

/** Publishes events. */
export interface Publisher {
  /** One event to each of these ids, as one commit or in one tick. */
  publish(commit: Commit): Promise<void>;
  /** Messages that did not get out, or may not have. */
  readonly failures: number;
}

/** The balance that the first event tells; each event's is one more, so all have as many digits. */
export const firstBalance = 1_000_000_000;
