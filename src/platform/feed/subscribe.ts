import { backoffMs } from '../backoff.ts';
import type { Ephemeral } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { isUnavailable } from '../errors.ts';
import { newId } from '../ids.ts';
import { cursorExpired, encodeCursor, type Position, parseCursor, startCursor } from '../log/cursor.ts';
import type { Facts, LogEvent, LogRow, TopicHead } from '../log/event.ts';
import type { Log } from '../log/log.ts';
import type { Hub } from './hub.ts';

/** An event on its way to one subscriber. Events of one batch were read together. */
export interface Delivery {
  readonly event: LogEvent;
  readonly cursor: string;
  readonly batch: object;
}

/** Why a subscriber is shown the present state: it has just come, or what it missed is no longer kept. */
export type SnapshotReason = 'SUBSCRIBED' | 'GAP';

/** What a subscription is made from. */
export interface Feeds {
  readonly hub: Hub;
  readonly log: Log;
  readonly clock: Clock;
}

/** The event that shows the present state. */
interface Snapshot {
  readonly type: string;
  readonly facts: Facts;
}

export interface SubscribeOptions {
  readonly topic: string;
  /** Everything behind this cursor first. Absent: the snapshot, or live from now. */
  readonly after?: string | null | undefined;
  /** For feeds that can show the present state; the reason is added to the facts. */
  readonly snapshot?: Snapshot;
  /** Events that do not pass are left out; they keep their place in the sequence. */
  readonly filter?: (event: LogEvent) => boolean;
  /** Ends the subscription from outside. */
  readonly signal?: AbortSignal;
}

/** A running subscription: `position` is the cursor at which it began. */
export interface Subscription extends AsyncIterableIterator<Delivery> {
  readonly position: string;
  /**
   * Waits before something that failed is tried again, the longer the more often it has failed.
   * @returns false as soon as the subscription has ended.
   */
  pause(failures: number): Promise<boolean>;
  return(): Promise<IteratorResult<Delivery>>;
}

const pageSize = 100;

/** What fails is tried again at least this often; ms. */
const longestRetryMs = 5_000;

/**
 * Subscribes to a topic: attaches to its feed, then reads where the topic stands, then tells the past, then
 * tails. The subscriber is a position; it holds at most one page of events.
 * @throws PublicError BAD_USER_INPUT for a malformed cursor; CURSOR_EXPIRED, with the `cursor` to begin anew
 * from, when what lies behind it can no longer be told and the feed has no snapshot.
 */
export async function subscribe(
  { hub, log, clock }: Feeds,
  { topic, after, snapshot, filter = () => true, signal }: SubscribeOptions,
): Promise<Subscription> {
  const resume = after == null || after === startCursor ? undefined : parseCursor(after, topic);
  const { feed, leave } = await hub.attach(topic);
  let position: Position;
  let page: Delivery[] = [];
  let ended = false;
  let failures = 0;
  let shownEphemeral: string | undefined;
  let wake: (() => void) | undefined;

  try {
    const head = await whereItStands();
    if (head.head > feed.head) hub.catchUp(topic);
    position = begin(head);
  } catch (error) {
    leave();
    throw error;
  }

  async function whereItStands(): Promise<TopicHead> {
    return (await log.heads([topic])).get(topic) as TopicHead;
  }

  function begin(head: TopicHead): Position {
    const at = (seq: number) => ({ topic, epoch: head.epoch, seq });
    if (snapshot && resume?.due === 'g') return anew(head);
    if (resume && !(snapshot && resume.due)) {
      const { epoch, seq } = resume;
      const isKept = epoch === head.epoch && seq >= head.trimmedTo && seq <= head.head;
      return isKept ? at(seq) : anew(head);
    }
    if (after === startCursor) return at(head.trimmedTo);
    if (snapshot) page = [present('SUBSCRIBED', at(head.head), snapshot)];
    return at(head.head);
  }

  /** Where to go on after a cut before the first event: a snapshot that was not seen is still to be shown. */
  function beginning(): string {
    const reason = page[0]?.event.facts.reason;
    return encodeCursor({ ...position, ...(reason && { due: reason === 'GAP' ? 'g' : 's' }) });
  }

  /** What was missed cannot be told: shows the present state, or refuses and says where to begin anew. */
  function anew({ epoch, head }: TopicHead): Position {
    const now = { topic, epoch, seq: head };
    if (!snapshot) throw cursorExpired(now);
    page = [present('GAP', now, snapshot)];
    return now;
  }

  function present(reason: SnapshotReason, at: Position, { type, facts }: Snapshot): Delivery {
    const event = {
      id: newId('evt'),
      type,
      version: 1,
      facts: { ...facts, reason },
      occurredAt: new Date(clock.now()),
    };
    return { event, cursor: encodeCursor(at), batch: {} };
  }

  function deliver(rows: readonly LogRow[]): void {
    const batch = {};
    page = rows
      .filter((row) => filter(row.event))
      .map((row) => ({ event: row.event, cursor: encodeCursor(row), batch }));
  }

  const unseen = (): Ephemeral | undefined =>
    feed.ephemeral?.seq === position.seq && feed.ephemeral.event.id !== shownEphemeral
      ? feed.ephemeral
      : undefined;

  /** Fills the page with the kept events behind the position. */
  async function readOn(): Promise<void> {
    const rows = feed.after(position.seq, pageSize) ?? (await log.readPage(topic, position.seq, pageSize));
    if (rows[0]?.seq === position.seq + 1) {
      const last = rows[rows.length - 1] as LogRow;
      position = { topic, epoch: last.epoch, seq: last.seq };
      deliver(rows);
    } else {
      position = anew(await whereItStands());
    }
  }

  function show({ event }: Ephemeral): void {
    shownEphemeral = event.id;
    if (filter(event)) page = [{ event, cursor: encodeCursor(position), batch: {} }];
  }

  /** Fills the page, if there is something to be told; else waits until it is worth looking again. */
  async function advance(): Promise<void> {
    if (position.seq < feed.head) return readOn();
    const ephemeral = unseen();
    if (!ephemeral) return change();
    show(ephemeral);
  }

  /** Waits for a change; called in the same tick that found nothing to do. */
  function change(): Promise<void> {
    return new Promise((resolve) => {
      const forget = feed.wait(resolve);
      wake = () => {
        forget();
        resolve();
      };
    });
  }

  async function pause(times: number): Promise<boolean> {
    if (!ended)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(backoffMs(times), longestRetryMs));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    return !ended;
  }

  /** Who has gone does not care for what failed meanwhile, and who stays waits until the log can be read. */
  async function afterFailure(error: unknown): Promise<void> {
    if (ended) return;
    if (!isUnavailable(error)) {
      end();
      throw error;
    }
    failures += 1;
    await pause(failures);
  }

  function end(): void {
    if (ended) return;
    ended = true;
    signal?.removeEventListener('abort', end);
    leave();
    wake?.();
  }

  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);

  const subscription: Subscription = {
    position: beginning(),
    pause,
    async next() {
      while (!ended) {
        const value = page.shift();
        if (value) {
          failures = 0;
          return { done: false, value };
        }
        await advance().catch(afterFailure);
      }
      return { done: true, value: undefined };
    },
    async return() {
      end();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => subscription,
  };
  return subscription;
}
