import type { Clock } from '../clock.ts';
import { cursorExpired, type Position, parseCursor, startCursor } from '../log/cursor.ts';
import type { TopicHead } from '../log/event.ts';
import type { Log } from '../log/log.ts';
import type { Hub } from './hub.ts';
import type { Renderings } from './rendering.ts';
import { type Beginning, type Snapshot, Subscription } from './subscription.ts';

/** What a subscription is made from. */
export interface Feeds {
  readonly hub: Hub;
  readonly log: Log;
  readonly clock: Clock;
}

export interface SubscribeOptions {
  readonly topic: string;
  /** Everything behind this cursor first. Absent: the snapshot, or live from now. */
  readonly after?: string | null | undefined;
  /** For feeds that can show the present state; the reason is added to the facts. */
  readonly snapshot?: Snapshot | undefined;
}

/**
 * Subscribes to a topic: attaches to its feed, then reads where the topic stands, then tells the past, then tails.
 * @throws PublicError BAD_USER_INPUT for a malformed cursor; CURSOR_EXPIRED, with the `cursor` to begin anew
 * from, when what lies behind it can no longer be told and the feed has no snapshot.
 */
export async function subscribe<Result>(
  feeds: Feeds,
  { topic, after, snapshot }: SubscribeOptions,
  renderings: Renderings<Result>,
): Promise<Subscription<Result>> {
  const { hub, log } = feeds;
  const resume = after == null || after === startCursor ? undefined : parseCursor(after, topic);
  const { feed, leave } = await hub.attach(topic);

  async function begin(): Promise<Pick<Beginning, 'at' | 'due'>> {
    const isDue = snapshot !== undefined && resume?.due !== undefined;
    if (resume && !isDue && feed.holds(resume)) return { at: resume, due: undefined };
    const head = await hub.headOf(topic);
    if (head.head > feed.head) hub.catchUp(topic);
    const at = (seq: number): Position => ({ topic, epoch: head.epoch, seq });
    const anew = (): Pick<Beginning, 'at' | 'due'> => {
      if (!snapshot) throw cursorExpired(at(head.head));
      return { at: at(head.head), due: 'GAP' };
    };
    if (isDue && resume.due === 'g') return anew();
    if (resume && !isDue)
      return (await canGoOn(resume, head)) ? { at: at(resume.seq), due: undefined } : anew();
    if (after === startCursor) return { at: at(head.trimmedTo), due: undefined };
    return { at: at(head.head), due: snapshot && 'SUBSCRIBED' };
  }

  async function canGoOn({ epoch, seq }: Position, head: TopicHead): Promise<boolean> {
    if (epoch !== head.epoch || seq > head.head) return false;
    if (seq >= head.trimmedTo) return true;
    const { types } = renderings.shared;
    return types !== undefined && (await log.lastTrimmed(topic, types)) <= seq;
  }

  try {
    return new Subscription({ feeds, feed, leave, snapshot, ...(await begin()) }, renderings);
  } catch (error) {
    leave();
    throw error;
  }
}
