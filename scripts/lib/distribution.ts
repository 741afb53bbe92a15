/** The value below which a part of the values lies: 0.5 for the median. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] ?? Number.NaN;
}

/** One line of a table: how times are distributed, in ms, and how their median compares to a base of the same run. */
export function distribution(what: string, values: readonly number[], baseMs: number) {
  return {
    what,
    count: values.length,
    'p50 ms': quantile(values, 0.5).toFixed(1),
    'p99 ms': quantile(values, 0.99).toFixed(1),
    'max ms': Math.max(...values).toFixed(1),
    'p50 times the smallest query': (quantile(values, 0.5) / baseMs).toFixed(2),
  };
}
