/** The median of some values, and between which they lie. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(half)] ?? Number.NaN;
  const high = sorted[Math.ceil(half)] ?? Number.NaN;
  return { median: (low + high) / 2, least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN };
}

/** Values that share a reference: each divided by the one of the same repetition. */
export const ratios = (values: readonly number[], references: readonly number[]): readonly number[] =>
  values.flatMap((value, index) => {
    const reference = references[index];
    return reference === undefined ? [] : [value / reference];
  });
