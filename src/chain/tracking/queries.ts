import type { Queryable, Transaction } from '../../platform/database/database.ts';
import type { BlockHeader } from '../source.ts';
import type { TrackedTx } from './events.ts';

/** How far transactions were looked for. */
export interface TrackingState {
  /** Whether anything is tracked. */
  readonly isAny: boolean;
  /** The block up to which they were looked for. */
  readonly block: string | null;
  /** Until when they were looked for in what came to wait. */
  readonly at: Date | null;
  /** The tip of the chain as it is known here; null before anything is. */
  readonly tip: string | null;
}

export async function readTracking(db: Queryable): Promise<TrackingState> {
  const [row] = await db.query<TrackingState>(
    `SELECT EXISTS (SELECT FROM bitcoin_tracks) AS "isAny", tracked_block AS block, tracked_at AS at,
       (SELECT hash FROM bitcoin_blocks WHERE canonical ORDER BY height DESC LIMIT 1) AS tip
     FROM bitcoin_chain`,
  );
  return row as TrackingState;
}

/** Remembers until when transactions were looked for in what came to wait. */
export async function saveTrackedAt(db: Queryable, at: Date): Promise<void> {
  await db.query('UPDATE bitcoin_chain SET tracked_at = $1', [at]);
}

/** Moves the block up to which transactions were looked for; answers whether it was still that of before. */
export async function moveTrackedBlock(
  db: Queryable,
  from: string | null,
  to: string | null,
): Promise<boolean> {
  const moved = await db.query(
    'UPDATE bitcoin_chain SET tracked_block = $2 WHERE tracked_block IS NOT DISTINCT FROM $1 RETURNING 1',
    [from, to],
  );
  return moved.length > 0;
}

/** The block of the chain that comes next above a height, of those that were seen here. */
export async function blockAbove(
  db: Queryable,
  height: number,
): Promise<(Pick<BlockHeader, 'hash' | 'height'> & { readonly txCount: number }) | undefined> {
  const [row] = await db.query<{ hash: string; height: bigint; txCount: bigint }>(
    `SELECT hash, height, tx_count AS "txCount" FROM bitcoin_blocks
     WHERE canonical AND height > $1 ORDER BY height LIMIT 1`,
    [height],
  );
  return row && { ...row, height: Number(row.height), txCount: Number(row.txCount) };
}

/** Something that somebody has begun to watch. */
export interface NewTrack {
  readonly id: string;
  readonly txids: readonly string[];
}

/** What has been tracked since, and was told nothing yet: some of it. */
export async function newTracks(db: Queryable, limit: number): Promise<NewTrack[]> {
  return db.query('SELECT id, txids FROM bitcoin_tracks WHERE NOT is_begun LIMIT $1', [limit]);
}

/** Has tracks told of their transactions from now on. Answers those of which that was not so before. */
export async function beginTracks(tx: Transaction, ids: readonly string[]): Promise<NewTrack[]> {
  const begun = await tx.query<NewTrack>(
    `UPDATE bitcoin_tracks SET is_begun = true WHERE id = ANY($1::text[]) AND NOT is_begun RETURNING id, txids`,
    [ids],
  );
  await tx.query(
    `INSERT INTO bitcoin_track_keys (key, track)
     SELECT unnest(txids), id FROM bitcoin_tracks WHERE id = ANY($1::text[]) ON CONFLICT DO NOTHING`,
    [begun.map(({ id }) => id)],
  );
  return begun;
}

/** By key, the tracks that are to be told of what touches it. Those that were told nothing yet are left out. */
export async function tracksOf(
  db: Queryable,
  keys: Iterable<string>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await db.query<{ key: string; tracks: string[] }>(
    `SELECT k.key, array_agg(k.track) AS tracks FROM bitcoin_track_keys k JOIN bitcoin_tracks t ON t.id = k.track
     WHERE t.is_begun AND k.key = ANY($1::text[]) GROUP BY k.key`,
    [[...new Set(keys)]],
  );
  return new Map(rows.map(({ key, tracks }) => [key, tracks]));
}

/** A transaction to be tracked, and how it was found. */
export interface FoundTx extends Omit<TrackedTx, 'replacedBy'> {
  readonly spends: readonly string[];
}

type Raw = Omit<TrackedTx, 'height' | 'virtualSize'> & {
  readonly height: bigint | null;
  readonly virtualSize: bigint;
};

const columns = `t.txid, t.keys, t.virtual_size AS "virtualSize", t.fee_rate AS "feeRate", t.block, t.height,
  t.confirmations, t.replaced_by AS "replacedBy"`;

const toTx = ({ height, virtualSize, ...raw }: Raw): TrackedTx => ({
  ...raw,
  height: height === null ? null : Number(height),
  virtualSize: Number(virtualSize),
});

/** Tracked transactions by their ids. */
export async function trackedTxs(db: Queryable, txids: readonly string[]): Promise<TrackedTx[]> {
  const rows = await db.query<Raw>(
    `SELECT ${columns} FROM bitcoin_tracked_txs t WHERE t.txid = ANY($1::text[])`,
    [txids],
  );
  return rows.map(toTx);
}

/** Which of those that were not replaced spend any of these outputs, with what each spends. */
export async function rivalsOf(
  db: Queryable,
  spends: readonly string[],
): Promise<ReadonlyArray<Pick<FoundTx, 'txid' | 'spends' | 'block'>>> {
  return db.query(
    'SELECT txid, spends, block FROM bitcoin_tracked_txs WHERE replaced_by IS NULL AND spends && $1::text[]',
    [spends],
  );
}

/** Stores transactions; of those that are stored, `change` says what becomes of them. Answers those that have changed. */
async function store(
  tx: Transaction,
  found: readonly FoundTx[],
  at: Date,
  change: string,
): Promise<TrackedTx[]> {
  const rows = await tx.query<Raw>(
    `INSERT INTO bitcoin_tracked_txs AS t
       (txid, keys, spends, virtual_size, fee_rate, block, height, confirmations, changed_at)
     SELECT f.txid, ARRAY(SELECT jsonb_array_elements_text(f.keys)), ARRAY(SELECT jsonb_array_elements_text(f.spends)),
       f."virtualSize", f."feeRate", f.block, f.height, f.confirmations, $2
     FROM jsonb_to_recordset($1::jsonb) AS f(txid text, keys jsonb, spends jsonb, "virtualSize" bigint,
       "feeRate" double precision, block text, height bigint, confirmations int)
     ON CONFLICT (txid) DO ${change}
     RETURNING ${columns}`,
    [JSON.stringify(found), at],
  );
  const order = new Map(found.map(({ txid }, index) => [txid, index]));
  return rows.map(toTx).sort((a, b) => (order.get(a.txid) ?? 0) - (order.get(b.txid) ?? 0));
}

/** Stores transactions as they were found. Answers those that are new. */
export const storeFound = (tx: Transaction, found: readonly FoundTx[], at: Date) =>
  store(tx, found, at, 'NOTHING');

/** Stores transactions that wait. Answers those of which that was not known. */
export const storeWaiting = (tx: Transaction, found: readonly FoundTx[], at: Date) =>
  store(
    tx,
    found,
    at,
    'UPDATE SET replaced_by = NULL, changed_at = excluded.changed_at WHERE t.replaced_by IS NOT NULL',
  );

/** Stores transactions that a block has. Answers those of which that was not known. */
export const storeConfirmed = (tx: Transaction, found: readonly FoundTx[], at: Date) =>
  store(
    tx,
    found,
    at,
    `UPDATE SET block = excluded.block, height = excluded.height, confirmations = excluded.confirmations,
       replaced_by = NULL, changed_at = excluded.changed_at WHERE t.block IS DISTINCT FROM excluded.block`,
  );

/** Counts a block above those that have transactions, up to a number of confirmations. Answers those that have more. */
export async function countConfirmations(
  tx: Transaction,
  height: number,
  most: number,
  at: Date,
): Promise<TrackedTx[]> {
  const rows = await tx.query<Raw>(
    `UPDATE bitcoin_tracked_txs t SET confirmations = $1::bigint - height + 1, changed_at = $3
     WHERE height > $1::bigint - $2::bigint AND height < $1::bigint AND confirmations < $1::bigint - height + 1
     RETURNING ${columns}`,
    [height, most, at],
  );
  return rows.map(toTx);
}

/** Others have taken the places of transactions: by the id of each, that of the other. Answers those that have changed. */
export async function storeReplaced(
  tx: Transaction,
  replaced: ReadonlyMap<string, string>,
  at: Date,
): Promise<TrackedTx[]> {
  const rows = await tx.query<Raw>(
    `UPDATE bitcoin_tracked_txs t SET replaced_by = r.other, changed_at = $3
     FROM unnest($1::text[], $2::text[]) AS r(txid, other)
     WHERE t.txid = r.txid AND t.block IS NULL AND t.replaced_by IS NULL
     RETURNING ${columns}`,
    [[...replaced.keys()], [...replaced.values()], at],
  );
  return rows.map(toTx);
}

/** A block is off the chain: what it had waits again. Answers that. */
export async function disconnectTracked(tx: Transaction, block: string, at: Date): Promise<TrackedTx[]> {
  const rows = await tx.query<Raw>(
    `UPDATE bitcoin_tracked_txs t SET block = NULL, height = NULL, confirmations = 0, changed_at = $2
     WHERE block = $1 RETURNING ${columns}`,
    [block, at],
  );
  return rows.map(toTx);
}

/** Forgets all that was tracked: nobody watches any of it. */
export async function forgetTracked(tx: Transaction): Promise<void> {
  await tx.query('DELETE FROM bitcoin_tracked_txs');
}
