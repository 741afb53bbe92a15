/** A block as far as the order of the chain is concerned. */
export interface Block {
  readonly hash: string;
  readonly height: number;
  readonly parent: string;
}

export interface KnownBlock extends Block {
  readonly canonical: boolean;
}

/** Heights, both included, of which nothing was delivered. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** What a delivery changes. */
export interface Decision {
  /** Hashes of blocks that were a part of the chain before, in the order of their undoing. */
  readonly undone: readonly string[];
  /** Hashes of blocks that become a part of it, in order; one may have been undone just before. */
  readonly applied: readonly string[];
  readonly gaps: readonly Gap[];
}

/**
 * Decides what a delivery does to the chain, and what of it is a repeat. Rollbacks come first, the highest first:
 * one undoes a block that is canonical. Then the lowest first: a block that is not canonical is applied if its
 * parent is canonical or unknown to us, and nothing else stands at its height. Everything else does nothing.
 * @param known every block that the delivery names, as itself or as a parent, as far as we have it; the canonical
 * ones at its heights; and more of the highest canonical ones than the delivery rolls back.
 */
export function decide(
  known: readonly KnownBlock[],
  { rollback, apply }: { readonly rollback: readonly Block[]; readonly apply: readonly Block[] },
): Decision {
  const canonical = new Map(known.map((block) => [block.hash, block.canonical]));
  const heights = new Map(known.map(({ hash, height }) => [hash, height]));
  const standing = new Set(known.flatMap((block) => (block.canonical ? [block.height] : [])));
  const undone: string[] = [];
  const applied: string[] = [];
  const gaps: Gap[] = [];

  for (const { hash } of rollback.toSorted((a, b) => b.height - a.height)) {
    if (!canonical.get(hash)) continue;
    canonical.set(hash, false);
    // At the height that we know of it: that is where it stands.
    standing.delete(heights.get(hash) as number);
    undone.push(hash);
  }
  let highest = [...standing].reduce((a, b) => Math.max(a, b), -1);
  for (const { hash, height, parent } of apply.toSorted((a, b) => a.height - b.height)) {
    const isParentCanonical = canonical.get(parent);
    if (canonical.get(hash) || isParentCanonical === false || standing.has(height)) continue;
    if (isParentCanonical === undefined && highest >= 0 && height > highest + 1)
      gaps.push({ from: highest + 1, to: height - 1 });
    canonical.set(hash, true);
    standing.add(height);
    highest = Math.max(highest, height);
    applied.push(hash);
  }
  return { undone, applied, gaps };
}
