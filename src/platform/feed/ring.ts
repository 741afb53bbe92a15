import type { LogRow } from '../log/event.ts';

/** The newest rows of a topic, contiguous, bounded by the size of their facts. */
export function createRing(maximumBytes: number) {
  let rows: LogRow[] = [];
  let sizes: number[] = [];
  let bytes = 0;

  return {
    /** Adds the row that follows the last one. */
    push(row: LogRow): void {
      const size = Buffer.byteLength(JSON.stringify(row.event.facts));
      rows.push(row);
      sizes.push(size);
      bytes += size;
      let dropped = 0;
      while (bytes > maximumBytes && dropped < rows.length - 1) {
        bytes -= sizes[dropped] as number;
        dropped += 1;
      }
      if (dropped > 0) {
        rows = rows.slice(dropped);
        sizes = sizes.slice(dropped);
      }
    },

    clear(): void {
      rows = [];
      sizes = [];
      bytes = 0;
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
