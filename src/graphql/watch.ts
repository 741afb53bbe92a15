import type { Snapshot } from '../platform/feed/subscription.ts';
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
  /** What the rules of fields decide by. */
  readonly view: TopicView;
}

/** The context in which a subscription field is resolved. */
export interface WatchingContext extends Context {
  /** Begins a subscription. */
  readonly begin: (watch: Watch) => Promise<AsyncIterable<unknown>>;
}
