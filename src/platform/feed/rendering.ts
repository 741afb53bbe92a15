import type { LogEvent } from '../log/event.ts';

/** An event on its way to those who watch a topic, with its place there. */
export interface Delivery {
  readonly event: LogEvent;
  readonly cursor: string;
}

/** What becomes of events for those who watch alike: done once, and shared by all of them. */
export interface Rendering<Result> {
  /** Those with the same key on one topic share what is rendered. */
  readonly key: string;
  /** Only events of these types; others keep their place in the sequence. Absent: all. */
  readonly types?: readonly string[] | undefined;
  /** Whether an event is the last that those who watch like this may be told: it has ended their right to more. */
  readonly isLast?: ((event: LogEvent) => boolean) | undefined;
  /**
   * Renders events that were read together, one after another: a result for each, or, where one of them fails, for
   * those before it. What is left is asked for again.
   * @throws NotShareableError to have it done for each subscriber alone; what is unavailable is tried again; anything
   * else ends the subscriptions.
   */
  render(deliveries: readonly Delivery[]): Promise<readonly Result[]>;
  /** How much memory a result takes, roughly; bytes. */
  sizeOf(result: Result): number;
}

/** How the events of a subscription are rendered. */
export interface Renderings<Result> {
  readonly shared: Rendering<Result>;
  readonly personal: Personal<Result>;
}

/** Whoever watches, where that matters to what is rendered. */
export interface Personal<Result> {
  /** What others share, rendered for this subscriber alone. */
  alone(shared: Rendering<Result>): Rendering<Result>;
}

/** What was to be rendered for many depends on who watches. */
export class NotShareableError extends Error {
  override readonly name = 'NotShareableError';
}
