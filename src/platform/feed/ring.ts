import type { LogRow } from '../log/event.ts';

/**
 * The newest rows of a topic, contiguous, bounded by the size of their facts and of what is kept beside them.
 * `onDropped` hears each sequence that no longer fits.
 */
export function createRing(maximumBytes: number, onDropped: (seq: number) => void = () => {}) {
  let rows: LogRow[] = [];
  let sizes: number[] = [];
  let bytes = 0;
  let bytesBeside = 0;

  const sizeOf = (row: LogRow) => Buffer.byteLength(JSON.stringify(row.event.facts));

  function dropOldest(): void {
    let dropped = 0;
    while (bytes + bytesBeside > maximumBytes && dropped < rows.length - 1) {
      bytes -= sizes[dropped] as number;
      // At once: with the row goes what is kept beside it.
      onDropped((rows[dropped] as LogRow).seq);
      dropped += 1;
    }
    if (dropped === 0) return;
    rows = rows.slice(dropped);
    sizes = sizes.slice(dropped);
  }

  return {
    /** Adds the row that follows the last one. */
    push(row: LogRow): void {
      const size = sizeOf(row);
      rows.push(row);
      sizes.push(size);
      bytes += size;
      dropOldest();
    },

    /** Adds rows that go right before the first one, as far as they fit. */
    prepend(older: readonly LogRow[]): void {
      let added = 0;
      const addedSizes: number[] = [];
      while (added < older.length) {
        const size = sizeOf(older[older.length - 1 - added] as LogRow);
        if (rows.length + added > 0 && bytes + bytesBeside + size > maximumBytes) break;
        bytes += size;
        addedSizes.unshift(size);
        added += 1;
      }
      rows = [...older.slice(older.length - added), ...rows];
      sizes = [...addedSizes, ...sizes];
    },

    /** Counts bytes that are kept beside the rows, or, when negative, no longer are. */
    charge(change: number): void {
      bytesBeside += change;
      if (change > 0) dropOldest();
    },

    clear(): void {
      rows = [];
      sizes = [];
      bytes = 0;
    },

    /** The oldest row's sequence; undefined when there is none. */
    get first(): number | undefined {
      return rows[0]?.seq;
    },

    /** At most `limit` rows behind a sequence, or undefined when the ring no longer reaches that far back. */
    after(seq: number, limit: number): readonly LogRow[] | undefined {
      const first = rows[0];
      if (!first || seq + 1 < first.seq) return undefined;
      const start = seq + 1 - first.seq;
      return rows.slice(start, start + limit);
    },
  };
}
