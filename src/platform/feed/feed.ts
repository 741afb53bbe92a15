import type { Ephemeral } from '../bus/bus.ts';
import type { LogRow, TopicHead } from '../log/event.ts';
import { Group } from './group.ts';
import { pageSize } from './page-size.ts';
import type { Rendering } from './rendering.ts';
import { createRing } from './ring.ts';

export type Feed = ReturnType<typeof createFeed>;

interface PageRead {
  readonly rows: Promise<readonly LogRow[]>;
  /** Where the topic was known to stand when the read began. */
  readonly head: number;
}

/** A watched topic on this node: its head, a ring of its newest rows, and the groups of those who watch it. */
export function createFeed(
  topic: string,
  ringBytes: number,
  readPage: (after: number, limit: number) => Promise<readonly LogRow[]>,
) {
  const groups = new Map<string, Group<unknown>>();
  const ring = createRing(ringBytes, (seq) => {
    for (const group of groups.values()) group.drop(seq);
  });
  const reads = new Map<number, PageRead>();
  let epoch: string | undefined;
  let head = 0;
  let early: LogRow[] = [];
  let ephemeral: Ephemeral | undefined;

  function wakeAll(): void {
    for (const group of groups.values()) group.poke();
  }

  async function readAligned(page: number): Promise<readonly LogRow[]> {
    const rows = await readPage(page * pageSize, pageSize);
    const within = rows.filter(({ seq }) => seq <= (page + 1) * pageSize);
    feed.accept(within);
    extend(within);
    return within;
  }

  /** Takes rows that go right before those in the ring. */
  function extend(rows: readonly LogRow[]): void {
    const older = rows.filter(({ seq }) => seq < (ring.first ?? head + 1));
    if (older.at(-1)?.seq === (ring.first ?? head + 1) - 1) ring.prepend(older);
  }

  const feed = {
    topic,
    members: 0,

    /** The last sequence that this node knows; what lies behind it is in the ring or in the log. */
    get head(): number {
      return head;
    },

    /** The epoch of the topic, once its head is known. */
    get epoch(): string {
      return epoch ?? '';
    },

    /** Whether the head is known yet. */
    get started(): boolean {
      return epoch !== undefined;
    },

    /** The oldest sequence in the ring; undefined when that is empty. */
    get first(): number | undefined {
      return ring.first;
    },

    /** The newest event that is not kept; it is for members who stand exactly at its sequence. */
    get ephemeral(): Ephemeral | undefined {
      return ephemeral;
    },

    /** Where the topic stood in the database when this node began to watch it. */
    start(from: TopicHead): void {
      epoch = from.epoch;
      head = from.head;
      feed.accept(early);
      early = [];
    },

    /**
     * Takes rows of this topic, in order. Known ones are dropped.
     * @returns false when rows are missing before one of them: read the log.
     */
    accept(rows: readonly LogRow[]): boolean {
      if (epoch === undefined) {
        early.push(...rows);
        return true;
      }
      let contiguous = true;
      const before = head;
      for (const row of rows) {
        if (row.seq === head + 1) {
          ring.push(row);
          head = row.seq;
        } else if (row.seq > head) {
          contiguous = false;
        }
      }
      if (head > before) wakeAll();
      return contiguous;
    },

    /** Gives up on the ring: groups read up to this sequence from the log. */
    jump(seq: number): void {
      if (seq <= head) return;
      const last = head;
      ring.clear();
      head = seq;
      for (const group of groups.values()) group.drop(last);
      wakeAll();
    },

    /** Takes an event that is not kept: the latest wins, also when the bus brings an older one behind it. */
    offer(message: Ephemeral): void {
      if (ephemeral && message.seq < ephemeral.seq) return;
      ephemeral = message;
      wakeAll();
    },

    /** Whether what lies behind this position is at hand, so that nothing has to be asked to go on there. */
    holds(position: { readonly epoch: string; readonly seq: number }): boolean {
      const { seq } = position;
      return position.epoch === epoch && seq <= head && (seq === head || ring.after(seq, 0) !== undefined);
    },

    after: ring.after,

    /**
     * The rows behind a sequence, from the ring or from the log: at most a page of them. However many ask for a
     * page of the log, it is read once at a time.
     */
    async rowsAfter(seq: number): Promise<readonly LogRow[]> {
      const held = ring.after(seq, pageSize);
      if (held) return held;
      const page = Math.floor(seq / pageSize);
      const known = reads.get(page);
      const isFresh = known !== undefined && known.head >= Math.min(head, (page + 1) * pageSize);
      const read = isFresh ? known : { rows: readAligned(page), head };
      if (!isFresh) reads.set(page, read);
      try {
        return (await read.rows).filter((row) => row.seq > seq);
      } finally {
        if (reads.get(page) === read) reads.delete(page);
      }
    },

    /** Counts bytes that a group keeps beside the ring. */
    charge: ring.charge,

    /** The group of those who watch with this rendering. */
    group<Result>(rendering: Rendering<Result>): Group<Result> {
      const known = groups.get(rendering.key) as Group<Result> | undefined;
      if (known) return known;
      const group: Group<Result> = new Group(feed, rendering, () => {
        if (groups.get(rendering.key) === group) groups.delete(rendering.key);
      });
      groups.set(rendering.key, group);
      return group;
    },
  };
  return feed;
}
