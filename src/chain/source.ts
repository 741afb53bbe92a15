/** A block as a chain has it. */
export interface ChainBlock {
  readonly hash: string;
  readonly height: number;
  /** The block below it; null of the first. */
  readonly parent: string | null;
  readonly minedAt: Date;
  readonly txCount: number;
  /** With witnesses; bytes. */
  readonly sizeBytes: number;
  readonly weight: number;
}

/** Where a block stands. */
export type BlockHeader = Pick<ChainBlock, 'hash' | 'height' | 'parent'>;

/** Which feerates are asked for: those that confirm within so many blocks. */
export const feeTargets = [1, 3, 6] as const;

export type FeeTarget = (typeof feeTargets)[number];

/** sat/vB; null where nothing is known. */
export type Fees = Readonly<Record<FeeTarget, number | null>>;

/** Where a chain ends at the moment. */
export interface SourceTip {
  /** The name of the chain. */
  readonly chain: string;
  readonly hash: string;
}

/**
 * A chain that is followed.
 * All that ask it throw ChainUnavailableError while it does not answer.
 */
export interface ChainSource {
  tip(): Promise<SourceTip>;
  /** Where a block stands; undefined of one that it does not know. */
  header(hash: string): Promise<BlockHeader | undefined>;
  /** A block; undefined of one that it does not know. */
  block(hash: string): Promise<ChainBlock | undefined>;
  /** The block of the chain at a height; undefined above its tip. */
  hashAt(height: number): Promise<string | undefined>;
  fees(): Promise<Fees>;
  /** Has somebody hear each time that the tip may have moved; answers how to stop. */
  watch(onSignal: () => void): () => void;
  /** How long nothing may be heard until the tip is looked at; ms. */
  readonly silenceMs: number;
}

/** The chain does not answer, or is not ready to. */
export class ChainUnavailableError extends Error {
  override readonly name = 'ChainUnavailableError';
}
