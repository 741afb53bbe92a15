import type { Snapshot } from '../platform/feed/subscription.ts';
import type { LogEvent } from '../platform/log/event.ts';
import type { TopicView } from './access.ts';
import type { Context } from './context.ts';

/** What a subscription field watches, once whoever asks is found to be allowed to. */
export interface Watch {
  readonly topic: string;
  /** Everything behind this cursor first. Absent: the snapshot, or live from now. */
  readonly after: string | null | undefined;
  /** For feeds that can show the present state. */
  readonly snapshot?: Snapshot;
  /** Only events of these types; others keep their place in the sequence. Absent: all. */
  readonly types?: readonly string[];
  /**
   * Whether an event is the last that those of this view may be told. It must tell by the event's facts and by the
   * view alone, as it is asked once for all who share that.
   */
  readonly isLast?: (event: LogEvent) => boolean;
  /**
   * Looks again, once the subscription has its place in the topic, whether whoever asks may watch: what has ended
   * their right since then is told behind that place.
   * @returns the topic's head at that moment. What ended an earlier right of theirs lies up to there, and ends nothing.
   * @throws PublicError FORBIDDEN
   */
  readonly confirm?: () => Promise<number>;
  /** What the rules of fields decide by. */
  readonly view: TopicView;
}

/** The context in which a subscription field is resolved. */
export interface WatchingContext extends Context {
  /** Begins a subscription. */
  readonly begin: (watch: Watch) => Promise<AsyncIterable<unknown>>;
}
