import { backoffMs } from '../backoff.ts';
import { isUnavailable, unavailable } from '../errors.ts';
import { newId } from '../ids.ts';
import { cursorExpired, encodeCursor, type Position } from '../log/cursor.ts';
import type { Facts, TopicHead } from '../log/event.ts';
import type { Feed } from './feed.ts';
import type { Group, Member } from './group.ts';
import { type Iteration, iterate } from './iterate.ts';
import { pageSize } from './page-size.ts';
import type { RenderedPage } from './pages.ts';
import { NotShareableError, type Personal, type Rendering, type Renderings } from './rendering.ts';
import type { Feeds } from './subscribe.ts';

/** Why a subscriber is shown the present state: it has just come, or what it missed is no longer kept. */
export type SnapshotReason = 'SUBSCRIBED' | 'GAP';

/** The event that shows the present state. */
export interface Snapshot {
  readonly type: string;
  readonly facts: Facts;
}

/** Who takes what a subscription is told. */
export interface Taker {
  /** There may be something to take, or the subscription is over. Must not throw. */
  changed(): void;
}

/** What a subscription begins with. */
export interface Beginning {
  readonly feeds: Feeds;
  readonly feed: Feed;
  readonly leave: () => void;
  readonly snapshot: Snapshot | undefined;
  readonly at: Position;
  /** Why the present state is shown first, if it is. */
  readonly due: SnapshotReason | undefined;
}

/** What fails is tried again at least this often; ms. */
const longestRetryMs = 5_000;

/**
 * A running subscription: a position in a topic. It holds nothing that is still to be told but, when it is behind,
 * one page; `forget` gives up that too.
 */
export class Subscription<Result> implements Member {
  taker: Taker | undefined;
  seq: number;
  #group: Group<Result>;
  readonly #feeds: Feeds;
  readonly #feed: Feed;
  readonly #leave: () => void;
  readonly #snapshot: Snapshot | undefined;
  #due: SnapshotReason | undefined;
  #present: Result | undefined;
  #page: RenderedPage<Result> | undefined;
  /** The group's turn when it was last shown something that was rendered apart. */
  #shownTurn = 0;
  /** The group's turn when it last took what is kept there. */
  #takenTurn = 0;
  /** In which turn what it was told last had been rendered. */
  #toldTurn = 0;
  #shownEphemeral: string | undefined;
  #isReading = false;
  /** Up to here nothing ends the right of whoever watches: they were found to have it there. */
  #rightfulAt = 0;
  /** It was told the last that it may be told. */
  #wasLast = false;
  #isOver = false;
  #failure: unknown;
  #stopWaiting: (() => void) | undefined;
  #personal: Personal<Result>;

  constructor(beginning: Beginning, { shared, personal }: Renderings<Result>) {
    const { feeds, feed, leave, snapshot, at, due } = beginning;
    this.#feeds = feeds;
    this.#feed = feed;
    this.#leave = leave;
    this.#snapshot = snapshot;
    this.#due = due;
    this.seq = at.seq;
    this.#personal = personal;
    this.#group = feed.group(shared);
    this.#group.join(this);
  }

  /** The cursor to go on from behind what it was told. */
  get position(): string {
    const { topic, epoch } = this.#feed;
    const due = this.#due && { due: this.#due === 'GAP' ? ('g' as const) : ('s' as const) };
    return encodeCursor({ topic, epoch, seq: this.seq, ...due });
  }

  /** How its events are rendered. */
  get rendering(): Rendering<Result> {
    return this.#group.rendering;
  }

  /** Whether it has ended, by itself or from outside. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why it has ended by itself, if it has. */
  get failure(): unknown {
    return this.#failure;
  }

  /**
   * The next result, if it is at hand. If not, the taker hears when there may be one.
   */
  take(): Result | undefined {
    while (!this.#isOver) {
      if (this.#wasLast) {
        this.end();
        return undefined;
      }
      if (this.#present !== undefined) return this.#takePresent();
      if (this.#due) return this.#readOn();
      const apart = this.#page?.rendered[this.seq - this.#page.from];
      const next = apart ?? this.#group.next(this.seq, this.#shownTurn);
      if (next) {
        this.seq += 1;
        if (!apart) this.#takenTurn = this.#group.turn;
        this.#toldTurn = next.turn;
        this.#wasLast = next.isLast === true && this.seq > this.#rightfulAt;
        if (next.result !== undefined) return next.result;
        continue;
      }
      if (this.#page) {
        this.#page = undefined;
        continue;
      }
      if (this.seq < this.#group.at) return this.#readOn();
      // Not one from before what was told last: that may have been rendered anew.
      const told = Math.max(this.#shownTurn, this.#toldTurn);
      const passing = this.#group.passing(this.seq, told, this.#shownEphemeral);
      if (!passing) {
        this.#group.skip(this.seq);
        this.#group.want();
        return undefined;
      }
      this.#shownEphemeral = passing.id;
      this.#takenTurn = this.#group.turn;
      if (passing.result !== undefined) return passing.result;
    }
    return undefined;
  }

  /** Whoever watches may do so with the topic at this sequence: what ended an earlier right before ends nothing. */
  rightfulAt(seq: number): void {
    this.#rightfulAt = seq;
  }

  /** Gives up what it holds in memory; it is read again when somebody takes it. */
  forget(): void {
    this.#page = undefined;
  }

  /** Goes on with other renderings of the same topic. */
  rerender({ shared, personal }: Renderings<Result>): void {
    this.#personal = personal;
    this.#moveTo(shared);
  }

  #moveTo(rendering: Rendering<Result>): void {
    if (this.#isOver) return;
    const group = this.#feed.group(rendering);
    if (group === this.#group) return;
    this.#group.leave(this);
    this.#group = group;
    this.#page = undefined;
    group.join(this);
    this.#shownTurn = group.turn;
    this.#takenTurn = 0;
    this.#toldTurn = 0;
    this.wake();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#page = undefined;
    this.#present = undefined;
    this.#group.leave(this);
    this.#leave();
    this.#stopWaiting?.();
    this.wake();
  }

  wake(): void {
    this.taker?.changed();
  }

  separate(): void {
    this.#moveTo(this.#personal.alone(this.rendering));
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#failure = error;
    this.end();
  }

  [Symbol.asyncIterator](): Iteration<Result> {
    return iterate(this);
  }

  #takePresent(): Result | undefined {
    const present = this.#present;
    this.#present = undefined;
    return present;
  }

  /** Finds what follows, when it is not what the group has at hand. */
  #readOn(): undefined {
    const isNear = this.#group.at - this.seq <= pageSize && this.#feed.after(this.seq, 0) !== undefined;
    if (!this.#due && isNear) this.#group.renew(this);
    else if (!this.#isReading) this.#read();
    return undefined;
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    for (let failures = 0, done = false; !done && !this.#isOver; )
      try {
        await (this.#due ? this.#showPresent(this.#due) : this.#readBehind());
        done = true;
      } catch (error) {
        failures += 1;
        if (isUnavailable(error)) await this.#pause(failures);
        else if (error instanceof NotShareableError) this.separate();
        else this.fail(error);
      }
    this.#isReading = false;
    if (!this.#isOver) this.wake();
  }

  async #readBehind(): Promise<void> {
    const group = this.#group;
    const asked = this.seq;
    const page = await group.behind(asked, Math.max(this.#shownTurn, this.#takenTurn));
    // What the group had at hand may have been taken meanwhile: who still wants to read asks again.
    if (group !== this.#group || this.seq !== asked || this.#isOver) return;
    if (this.seq >= page.from && this.seq - page.from < page.rendered.length) {
      this.#page = page;
      this.#shownTurn = page.turn;
    } else {
      await this.#passOverGap();
    }
  }

  /** What follows is no longer kept: goes on behind it if that concerns nobody here, else begins anew. */
  async #passOverGap(): Promise<void> {
    const { log } = this.#feeds;
    const { topic } = this.#feed;
    const { types, isLast } = this.rendering;
    const behind = this.seq;
    const head = (await log.heads([topic])).get(topic) as TopicHead;
    const isNothingMissed =
      behind < head.trimmedTo &&
      types !== undefined &&
      !isLast &&
      (await log.lastTrimmed(topic, types)) <= behind;
    if (this.seq !== behind) return;
    // It must be there: whoever watches is not told that it has gone.
    if (behind >= head.trimmedTo && behind <= head.head) throw unavailable('The log lacks rows.', 250);
    if (isNothingMissed) {
      this.seq = head.trimmedTo;
      return;
    }
    // What ends the right to more may lie in the gap: whoever comes back is looked at anew.
    if (!this.#snapshot || isLast) throw cursorExpired({ topic, epoch: head.epoch, seq: head.head });
    this.seq = head.head;
    this.#due = 'GAP';
    await this.#showPresent('GAP');
  }

  async #showPresent(reason: SnapshotReason): Promise<void> {
    const { type, facts } = this.#snapshot as Snapshot;
    const group = this.#group;
    const event = {
      id: newId('evt'),
      type,
      version: 1,
      facts: { ...facts, reason },
      occurredAt: new Date(this.#feeds.clock.now()),
    };
    const { topic, epoch } = this.#feed;
    const cursor = encodeCursor({ topic, epoch, seq: this.seq });
    const [present] = await group.rendering.render([{ event, cursor }]);
    if (group !== this.#group || this.#isOver) return;
    this.#present = present;
    this.#shownTurn = group.turn;
    this.#due = undefined;
  }

  #pause(failures: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(backoffMs(failures), longestRetryMs));
      this.#stopWaiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
