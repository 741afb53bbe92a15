import type { BlockHeader, ChainSource } from './source.ts';

/** How a tip is reached from the chain as it is known. */
export interface Path {
  /** The height of the newest block that both have; -1 when they have none. */
  readonly forkHeight: number;
  /** The blocks above it, the lowest first. */
  readonly connected: readonly BlockHeader[];
}

/** A block that was asked for is no longer known: the chain moves on, and is asked again. */
export class ChainMovedError extends Error {
  override readonly name = 'ChainMovedError';
}

/**
 * Walks from a tip down to the first block that is on the known chain. Of a chain of which nothing is known, the tip
 * alone is taken: what lies below it has long happened.
 * @param known the height of the known tip; undefined when nothing is known.
 * @throws ChainMovedError, ChainUnavailableError.
 */
export async function walkDown(
  source: Pick<ChainSource, 'header'>,
  tip: string,
  known: number | undefined,
  isKnown: (hash: string) => Promise<boolean>,
): Promise<Path> {
  const connected: BlockHeader[] = [];
  for (let hash: string | null = tip; hash !== null; ) {
    const block: BlockHeader | undefined = await source.header(hash);
    if (!block) throw new ChainMovedError(`The chain no longer has the block ${hash}.`);
    if (known !== undefined && block.height <= known && (await isKnown(hash)))
      return { forkHeight: block.height, connected: connected.reverse() };
    connected.push(block);
    if (known === undefined) break;
    hash = block.parent;
  }
  return { forkHeight: -1, connected: connected.reverse() };
}
