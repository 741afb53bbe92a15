import type { Ephemeral } from '../bus/bus.ts';
import type { LogRow } from '../log/event.ts';
import { createRing } from './ring.ts';

export type Feed = ReturnType<typeof createFeed>;

/** A watched topic on this node: its head, a ring of its newest rows, and who waits for more. */
export function createFeed(topic: string, ringBytes: number) {
  const ring = createRing(ringBytes);
  const waiting = new Set<() => void>();
  let started = false;
  let head = 0;
  let early: LogRow[] = [];
  let ephemeral: Ephemeral | undefined;

  function wakeAll(): void {
    const woken = [...waiting];
    waiting.clear();
    for (const wake of woken) wake();
  }

  const feed = {
    topic,
    members: 0,

    /** The last sequence that this node knows; what lies behind it is in the ring or in the log. */
    get head(): number {
      return head;
    },

    /** Whether the head is known yet. */
    get started(): boolean {
      return started;
    },

    /** The newest event that is not kept; it is for members who stand exactly at its sequence. */
    get ephemeral(): Ephemeral | undefined {
      return ephemeral;
    },

    /** Where the topic stood in the database when this node began to watch it. */
    start(seq: number): void {
      started = true;
      head = seq;
      feed.accept(early);
      early = [];
    },

    /**
     * Takes rows of this topic, in order. Known ones are dropped.
     * @returns false when rows are missing before one of them: read the log.
     */
    accept(rows: readonly LogRow[]): boolean {
      if (!started) {
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

    /** Gives up on the ring: members read up to this sequence from the log. */
    jump(seq: number): void {
      if (seq <= head) return;
      ring.clear();
      head = seq;
      wakeAll();
    },

    /** Takes an event that is not kept: the latest wins, also when the bus brings an older one behind it. */
    offer(message: Ephemeral): void {
      if (ephemeral && message.seq < ephemeral.seq) return;
      ephemeral = message;
      wakeAll();
    },

    after: ring.after,

    /** Calls once, at the next change; answers how to forget it. */
    wait(wake: () => void): () => void {
      waiting.add(wake);
      return () => waiting.delete(wake);
    },
  };
  return feed;
}
