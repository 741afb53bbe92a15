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

/** A transaction that waits to be confirmed. */
export interface WaitingTx {
  readonly txid: string;
  readonly feeSats: number;
  readonly virtualSize: number;
  readonly enteredAt: Date;
  /** Whether it says that it may be replaced. */
  readonly isReplaceable: boolean;
}

/** What a transaction spends, or makes. */
export interface TxPart {
  /** Null where there is none, or the node does not say. */
  readonly address: string | null;
  readonly sats: bigint | null;
}

/** A transaction as a chain has it. */
export interface ChainTx {
  readonly txid: string;
  readonly virtualSize: number;
  readonly weight: number;
  /** What it pays; null where the node does not say. */
  readonly feeSats: bigint | null;
  readonly isCoinbase: boolean;
  readonly inputs: readonly TxPart[];
  readonly outputs: readonly TxPart[];
  /** The block that has it; null while it waits. */
  readonly blockHash: string | null;
}

/** A transaction by what it touches. */
export interface TxTrace {
  readonly txid: string;
  readonly virtualSize: number;
  /** What it pays; null where the node does not say. */
  readonly feeSats: number | null;
  /** Those that it pays and those whose outputs it spends, as far as the node says. */
  readonly addresses: readonly string[];
  /** The outputs that it spends, as `txid:index`. */
  readonly spends: readonly string[];
  /** The block that has it; null while it waits. */
  readonly blockHash: string | null;
}

/** What a watched chain tells. Each is a reason to ask, and may come twice, or for nothing. */
export interface Signals {
  /** The tip may have moved. */
  tip(): void;
  /** A transaction has begun to wait. */
  entered(txid: string): void;
  /** One waits no more, and is in no block. */
  left(txid: string): void;
  /** Something may have been missed. */
  missed(): void;
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
  /** A transaction; undefined of one that the node does not know, or cannot find without an index. */
  transaction(txid: string): Promise<ChainTx | undefined>;
  /** The ids of all transactions that wait to be confirmed. */
  waiting(): Promise<readonly string[]>;
  /** Of these, what is known; what waits no more is left out. */
  waitingTxs(txids: readonly string[]): Promise<readonly WaitingTx[]>;
  /** Of these, what is known; what the node cannot find, or finds in no index, is left out. */
  traces(txids: readonly string[]): Promise<readonly TxTrace[]>;
  /** Those of a block, one after another; none of one that the node has no longer. */
  tracesIn(hash: string): AsyncIterable<TxTrace>;
  /** Has somebody hear of what happens; answers how to stop. */
  watch(signals: Signals): () => void;
  /** How long nothing may be heard until the tip is looked at, and until what waits is; ms. */
  readonly silenceMs: { readonly tip: number; readonly mempool: number };
}

/** The chain does not answer, or is not ready to. */
export class ChainUnavailableError extends Error {
  override readonly name = 'ChainUnavailableError';
}
