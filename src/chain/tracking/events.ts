import type { NewEvent } from '../../platform/log/insertion.ts';

/** The names of what happens to watched transactions, which are those of their GraphQL types. */
export type TransactionEventType = 'TxSeen' | 'TxConfirmed' | 'TxReplaced' | 'TxDisconnected';

/** The feed of what somebody watches. */
export const trackTopic = (trackId: string) => `transactions:${trackId}`;

/** A watched transaction, as far as it is known. */
export interface TrackedTx {
  readonly txid: string;
  /** Its id, and the addresses that it touches. */
  readonly keys: readonly string[];
  readonly virtualSize: number;
  /** sat/vB; null where the node did not say. */
  readonly feeRate: number | null;
  /** The block that has it; null while it waits. */
  readonly block: string | null;
  readonly height: number | null;
  /** How many were told. */
  readonly confirmations: number;
  /** The transaction that has taken its place. */
  readonly replacedBy: string | null;
}

/** What happened to a transaction, for the feeds of all who watch it. */
export type TxEvent = Omit<NewEvent, 'topics'> & { readonly tx: TrackedTx };

const txEvent = (type: TransactionEventType, tx: TrackedTx, facts: NewEvent['facts']): TxEvent => ({
  ...{ type, tx },
  facts: { txid: tx.txid, ...facts },
});

export const txEvents = {
  seen: (tx: TrackedTx) => txEvent('TxSeen', tx, { feeRate: tx.feeRate, virtualSize: tx.virtualSize }),
  confirmed: (tx: TrackedTx) =>
    txEvent('TxConfirmed', tx, { confirmations: tx.confirmations, block: tx.block, height: tx.height }),
  replaced: (tx: TrackedTx) => txEvent('TxReplaced', tx, { by: tx.replacedBy }),
  disconnected: (tx: TrackedTx, block: string) => txEvent('TxDisconnected', tx, { block }),
};

/** What tells how a transaction stands at a height of the chain; undefined of one that was not found. */
export function presentEvent(tx: TrackedTx | undefined, height: number): TxEvent | undefined {
  if (!tx) return undefined;
  if (tx.height !== null) return txEvents.confirmed({ ...tx, confirmations: height - tx.height + 1 });
  return tx.replacedBy === null ? txEvents.seen(tx) : txEvents.replaced(tx);
}

/** An event with the feeds of those who are told of it. */
export const topicsOf = ({ tx: _, ...event }: TxEvent, tracks: Iterable<string>): NewEvent => ({
  ...event,
  topics: [...tracks].map(trackTopic),
});
