import type { Queryable, Transaction } from '../platform/database/database.ts';
import type { Tip } from './events.ts';
import type { MempoolSummary } from './mempool-index.ts';
import type { BlockHeader, ChainBlock, Fees } from './source.ts';
import type { KnownRange } from './walk.ts';

/** A block that was seen here. */
export interface StoredBlock extends ChainBlock {
  /** Whether it is on the chain: no reorganisation has taken it off. */
  readonly isCanonical: boolean;
}

type Numbers = 'height' | 'txCount' | 'sizeBytes' | 'weight';
type Raw = Omit<StoredBlock, Numbers> & Readonly<Record<Numbers, bigint>>;

const columns = `hash, height, parent, mined_at AS "minedAt", tx_count AS "txCount", size_bytes AS "sizeBytes", weight,
  canonical AS "isCanonical"`;

const toBlock = ({ height, txCount, sizeBytes, weight, ...raw }: Raw): StoredBlock => ({
  ...raw,
  height: Number(height),
  txCount: Number(txCount),
  sizeBytes: Number(sizeBytes),
  weight: Number(weight),
});

/** Blocks by hash; those that were never seen here are left out. */
export async function blocksByHashes(db: Queryable, hashes: readonly string[]): Promise<StoredBlock[]> {
  const rows = await db.query<Raw>(`SELECT ${columns} FROM bitcoin_blocks WHERE hash = ANY($1::text[])`, [
    hashes,
  ]);
  return rows.map(toBlock);
}

/** The block of the chain at a height, if it was seen here. */
export async function blockAt(db: Queryable, height: number): Promise<StoredBlock | undefined> {
  const [row] = await db.query<Raw>(`SELECT ${columns} FROM bitcoin_blocks WHERE height = $1 AND canonical`, [
    height,
  ]);
  return row && toBlock(row);
}

/** Where the chain ends, as far as it was seen here. */
export async function readTip(db: Queryable): Promise<Tip | undefined> {
  const [row] = await db.query<Omit<Tip, 'height'> & { readonly height: bigint }>(
    `SELECT c.name AS chain, b.hash, b.height, b.mined_at AS "minedAt", c.fees
     FROM bitcoin_chain c, bitcoin_blocks b WHERE b.canonical ORDER BY b.height DESC LIMIT 1`,
  );
  return row && { ...row, height: Number(row.height) };
}

/** The heights of the blocks of the chain that were seen here; undefined when none was. */
export async function knownRange(db: Queryable): Promise<KnownRange | undefined> {
  const [row] = await db.query<{ lowest: bigint | null; highest: bigint | null }>(
    'SELECT min(height) AS lowest, max(height) AS highest FROM bitcoin_blocks WHERE canonical',
  );
  if (row?.lowest == null) return undefined;
  return { lowest: Number(row.lowest), highest: Number(row.highest) };
}

/** Takes the lock of whoever moves the tip; answers the hash of the tip. */
export async function lockTip(tx: Transaction): Promise<string | undefined> {
  await tx.query('SELECT 1 FROM bitcoin_chain FOR UPDATE');
  const [row] = await tx.query<{ hash: string }>(
    'SELECT hash FROM bitcoin_blocks WHERE canonical ORDER BY height DESC LIMIT 1',
  );
  return row?.hash;
}

/** Takes blocks above a height off the chain; answers them, the highest first. */
export async function disconnectAbove(
  tx: Transaction,
  height: number,
): Promise<ReadonlyArray<Omit<BlockHeader, 'parent'>>> {
  const rows = await tx.query<{ hash: string; height: bigint }>(
    'UPDATE bitcoin_blocks SET canonical = false WHERE canonical AND height > $1 RETURNING hash, height',
    [height],
  );
  return rows
    .map((row) => ({ hash: row.hash, height: Number(row.height) }))
    .sort((a, b) => b.height - a.height);
}

/** Puts blocks on the chain, also those that a reorganisation had taken off it. */
export async function connectBlocks(tx: Transaction, blocks: readonly ChainBlock[]): Promise<void> {
  await tx.query(
    `INSERT INTO bitcoin_blocks (hash, height, parent, mined_at, tx_count, size_bytes, weight, canonical)
     SELECT b.hash, b.height, b.parent, b.mined_at, b.tx_count, b.size_bytes, b.weight, true
     FROM jsonb_to_recordset($1::jsonb) AS b(hash text, height bigint, parent text, mined_at timestamptz,
       tx_count bigint, size_bytes bigint, weight bigint)
     ON CONFLICT (hash) DO UPDATE SET canonical = true`,
    [
      JSON.stringify(
        blocks.map(({ hash, height, parent, minedAt, txCount, sizeBytes, weight }) => ({
          ...{ hash, height, parent, weight },
          ...{ mined_at: minedAt, tx_count: txCount, size_bytes: sizeBytes },
        })),
      ),
    ],
  );
}

/** Remembers what is known of the chain beside its blocks. */
export async function saveChain(tx: Transaction, name: string, fees: Fees): Promise<void> {
  await tx.query('UPDATE bitcoin_chain SET name = $1, fees = $2', [name, JSON.stringify(fees)]);
}

/** What waits to be confirmed, in short. */
export interface Mempool extends MempoolSummary {
  readonly updatedAt: Date;
}

/** What waits to be confirmed, as it was summed up last. */
export async function readMempool(db: Queryable): Promise<Mempool | undefined> {
  const [row] = await db.query<{ mempool: MempoolSummary | null; updatedAt: Date }>(
    'SELECT mempool, mempool_at AS "updatedAt" FROM bitcoin_chain',
  );
  if (!row?.mempool) return undefined;
  const recent = row.mempool.recent.map((tx) => ({ ...tx, enteredAt: new Date(tx.enteredAt) }));
  return { ...row.mempool, recent, updatedAt: row.updatedAt };
}

/** Stores a summary, as JSON. */
export async function saveMempool(db: Queryable, summary: string, at: Date): Promise<void> {
  await db.query('UPDATE bitcoin_chain SET mempool = $1, mempool_at = $2', [summary, at]);
}
