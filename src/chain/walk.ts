import type { BlockHeader, ChainSource } from './source.ts';

/** How a tip is reached from the chain as it is known. */
export interface Path {
  /** The height of the newest block that both have; where they have none, that below the first that is taken. */
  readonly forkHeight: number;
  /** The blocks above it, the lowest first. */
  readonly connected: readonly BlockHeader[];
}

/** A block that was asked for is no longer known: the chain moves on, and is asked again. */
export class ChainMovedError extends Error {
  override readonly name = 'ChainMovedError';
}

/** The heights of the blocks that are known. */
export interface KnownRange {
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Walks from a tip down to the first block that is on the known chain, and no lower than the lowest that is known: what
 * lies below it has long happened. Of a chain of which nothing is known, the tip alone is taken.
 * @throws ChainMovedError, ChainUnavailableError.
 */
export async function walkDown(
  source: Pick<ChainSource, 'header'>,
  tip: string,
  known: KnownRange | undefined,
  isKnown: (hash: string) => Promise<boolean>,
): Promise<Path> {
  const connected: BlockHeader[] = [];
  for (let hash: string | null = tip; hash !== null; ) {
    const block: BlockHeader | undefined = await source.header(hash);
    if (!block) throw new ChainMovedError(`The chain no longer has the block ${hash}.`);
    if (known && block.height <= known.highest && (await isKnown(hash)))
      return { forkHeight: block.height, connected: connected.reverse() };
    connected.push(block);
    if (!known || block.height <= known.lowest) break;
    hash = block.parent;
  }
  const [lowest] = connected.reverse();
  return { forkHeight: (lowest?.height ?? 0) - 1, connected };
}
