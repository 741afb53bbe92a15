import type { Transaction } from '../platform/database/database.ts';
import type { Block, Decision, KnownBlock } from './blocks.ts';
import type { ChainDelivery, Hook } from './chainhook.ts';

/** What `decide` needs to know of the blocks of a hook. */
export async function knownBlocks(
  tx: Transaction,
  hook: Hook,
  { rollback, apply }: ChainDelivery,
): Promise<KnownBlock[]> {
  const named = [...rollback, ...apply];
  const rows = await tx.query<Omit<KnownBlock, 'height'> & { height: bigint }>(
    `SELECT hash, height, parent, canonical FROM chain_blocks WHERE hook = $1 AND hash = ANY($2::text[])
     UNION
     SELECT hash, height, parent, canonical FROM chain_blocks
     WHERE hook = $1 AND canonical AND height = ANY($3::bigint[])
     UNION
     (SELECT hash, height, parent, canonical FROM chain_blocks
      WHERE hook = $1 AND canonical ORDER BY height DESC LIMIT $4)`,
    [
      hook,
      named.flatMap(({ hash, parent }) => [hash, parent]),
      named.map(({ height }) => height),
      rollback.length + 1,
    ],
  );
  return rows.map((row) => ({ ...row, height: Number(row.height) }));
}

/** Writes what was decided; `blocks` are those of the delivery. */
export async function saveBlocks(
  tx: Transaction,
  hook: Hook,
  { undone, applied }: Decision,
  blocks: readonly Block[],
): Promise<void> {
  if (undone.length > 0)
    await tx.query('UPDATE chain_blocks SET canonical = false WHERE hook = $1 AND hash = ANY($2::text[])', [
      hook,
      undone,
    ]);
  const byHash = new Map(blocks.map((block) => [block.hash, block]));
  const rows = applied.map((hash) => byHash.get(hash) as Block);
  if (rows.length > 0)
    await tx.query(
      `INSERT INTO chain_blocks (hook, hash, height, parent, canonical)
       SELECT $1, b.hash, b.height, b.parent, true
       FROM unnest($2::text[], $3::bigint[], $4::text[]) AS b(hash, height, parent)
       ON CONFLICT (hook, hash) DO UPDATE
       SET height = excluded.height, parent = excluded.parent, canonical = true`,
      [
        hook,
        rows.map(({ hash }) => hash),
        rows.map(({ height }) => height),
        rows.map(({ parent }) => parent),
      ],
    );
}
