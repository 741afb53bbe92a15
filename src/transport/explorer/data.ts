/** What the documents of the explorer answer. */
export interface TipData {
  readonly height: number;
  readonly hash: string;
  readonly time: string;
  readonly chain: string;
  readonly feeEstimates: ReadonlyArray<{
    readonly targetBlocks: number;
    readonly satPerVbyte: number | null;
  }>;
}

export interface MempoolData {
  readonly txCount: number;
  readonly virtualSize: number;
  readonly medianFeeRate: number | null;
  readonly updatedAt: string;
  readonly histogram: ReadonlyArray<{
    readonly fromSatPerVbyte: number;
    readonly toSatPerVbyte: number | null;
    readonly count: number;
    readonly virtualSize: number;
  }>;
  readonly recent: ReadonlyArray<{
    readonly txid: string;
    readonly feeRate: number;
    readonly virtualSize: number;
    readonly enteredAt: string;
  }>;
}

export interface BlockData {
  readonly hash: string;
  readonly height: number;
  readonly previousHash: string | null;
  readonly time: string;
  readonly txCount: number;
  readonly sizeBytes: number;
  readonly weight: number;
  readonly isCanonical: boolean;
}

interface PartData {
  readonly address: string | null;
  readonly sats: number | null;
}

export interface TransactionData {
  readonly txid: string;
  readonly virtualSize: number;
  readonly weight: number;
  readonly feeSats: number | null;
  readonly feeRate: number | null;
  readonly isCoinbase: boolean;
  readonly confirmations: number;
  readonly block: { readonly hash: string; readonly height: number } | null;
  readonly inputs: readonly PartData[];
  readonly outputs: readonly PartData[];
}
