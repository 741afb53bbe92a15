import type { HeldBalances } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { Queryable, Transaction } from '../platform/database/database.ts';
import type { Page } from '../platform/database/page.ts';
import { type FeedColumns, feedColumns } from '../platform/log/columns.ts';
import type { StreamClock, StreamState, Vesting } from './machine.ts';

/** SATWIRE: its money is here; STACKS: mirrored from the chain. */
export type StreamOrigin = 'SATWIRE' | 'STACKS';

export interface Stream extends Vesting {
  readonly id: string;
  readonly origin: StreamOrigin;
  readonly clock: StreamClock;
  /** Users, also of a mirrored stream. */
  readonly sender: string;
  readonly recipient: string;
  /** Whether it is for sale: until it is not, nothing is paid out of it but at its end. */
  readonly isHeld: boolean;
  /** As it was stored: time may have moved it on since, see `stateAt`. */
  readonly state: StreamState;
  readonly refundedSats: Sats;
  readonly feeSats: Sats;
  /** The highest height of the chain that a block clock counts by; null on a clock of time, or before the first block. */
  readonly height: number | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A stream as it is shown: beside the row its feed's position. */
export interface StreamView extends Stream, FeedColumns {}

type Numbers = 'starts' | 'ends' | 'pausedAt' | 'pausedTotal' | 'height';
type Raw<Row extends Stream> = Omit<Row, Numbers> & Record<Numbers, bigint | null>;

const userOf = (column: string) =>
  `CASE WHEN origin = 'STACKS' THEN (SELECT user_id FROM user_addresses WHERE address = ${column}) ELSE ${column} END`;

const stored = `id, origin, clock, state, amount_sats AS "amountSats", starts, ends, paused_at AS "pausedAt",
  paused_total AS "pausedTotal", withdrawn_sats AS "withdrawnSats", refunded_sats AS "refundedSats",
  fee_sats AS "feeSats", cancelled_vested_sats AS "cancelledVestedSats", is_held AS "isHeld",
  created_at AS "createdAt", updated_at AS "updatedAt"`;

const columns = `${stored}, ${userOf('sender')} AS sender, ${userOf('recipient')} AS recipient,
  CASE WHEN clock = 'BLOCK' THEN (
    SELECT highest FROM chain_heights WHERE chain = CASE origin WHEN 'STACKS' THEN 'STACKS' ELSE 'BITCOIN' END
  ) END AS height`;

const viewColumns = `${columns}, ${feedColumns("'stream:' || streams.id")}`;

const numberOrNull = (value: bigint | null) => (value === null ? null : Number(value));

function toStream<Row extends Stream>(raw: Raw<Row>): Row {
  const { starts, ends, pausedAt, pausedTotal, height } = raw;
  return {
    ...raw,
    starts: Number(starts),
    ends: Number(ends),
    pausedAt: numberOrNull(pausedAt),
    pausedTotal: Number(pausedTotal),
    height: numberOrNull(height),
  } as unknown as Row;
}

/** Streams by id; unknown ones are left out. */
export async function streamsByIds(db: Queryable, ids: readonly string[]): Promise<StreamView[]> {
  const rows = await db.query<Raw<StreamView>>(
    `SELECT ${viewColumns} FROM streams WHERE id = ANY($1::text[])`,
    [ids],
  );
  return rows.map(toStream);
}

/** Mirrored streams by the names that other contracts know them by; unknown ones are left out. */
export async function streamsOfChain(
  db: Queryable,
  names: readonly string[],
): Promise<Array<StreamView & { readonly chainStream: string }>> {
  const rows = await db.query<Raw<StreamView & { readonly chainStream: string }>>(
    `SELECT ${viewColumns}, chain_stream AS "chainStream" FROM streams
     WHERE chain_stream = ANY($1::text[]) AND NOT undone`,
    [names],
  );
  return rows.map(toStream);
}

/** A stream, locked until the transaction ends. */
export async function lockStream(tx: Transaction, id: string): Promise<Stream | undefined> {
  const [row] = await tx.query<Raw<Stream>>(`SELECT ${columns} FROM streams WHERE id = $1 FOR UPDATE`, [id]);
  return row && present(tx, toStream(row));
}

/** A stream with the height of now: who has waited for the lock has one from before that, which may be behind what was done. */
async function present(tx: Transaction, stream: Stream): Promise<Stream> {
  return stream.clock === 'TIME' ? stream : { ...stream, height: await heightOf(tx, stream) };
}

/** A stream of ours whose money is at hand: what is on its account and on the recipient's wallet, both locked. */
export interface PayableStream extends Stream {
  /** Absent where the recipient never had any money here. */
  readonly held?: HeldBalances | undefined;
}

/** A stream that is to be paid out, locked with its account and the recipient's wallet until the transaction ends. */
export async function lockPayable(tx: Transaction, id: string): Promise<PayableStream | undefined> {
  const [row] = await tx.query<Raw<Stream> & { heldSats: Sats | null; walletSats: Sats | null }>(
    `WITH stream AS MATERIALIZED (
       SELECT ${stored}, sender, recipient, NULL::bigint AS height FROM streams WHERE id = $1 FOR UPDATE
     ), accounts AS MATERIALIZED (
       SELECT b.account, b.balance_sats FROM stream s
       JOIN balances b ON b.account IN ('stream:' || s.id, 'wallet:' || s.recipient) ORDER BY b.account FOR UPDATE OF b
     )
     SELECT s.*, (SELECT balance_sats FROM accounts WHERE account = 'stream:' || s.id) AS "heldSats",
       (SELECT balance_sats FROM accounts WHERE account = 'wallet:' || s.recipient) AS "walletSats"
     FROM stream s`,
    [id],
  );
  if (!row) return undefined;
  const { heldSats, walletSats, ...raw } = row;
  const held = heldSats === null || walletSats === null ? undefined : { from: heldSats, to: walletSats };
  return { ...(await present(tx, toStream<Stream>(raw))), held };
}

/** Which chain a block clock counts by. */
const chainOf = (origin: StreamOrigin) => (origin === 'STACKS' ? 'STACKS' : 'BITCOIN');

const heightOf = async (db: Queryable, { origin }: Stream) => (await highestOf(db, chainOf(origin))) ?? null;

/** In which of its two parts a user is in a stream. */
export type StreamRole = 'SENDER' | 'RECIPIENT';

/**
 * A user's streams, newest first, in one role or in either. Each role, and each principal of the user, is read in
 * the order of its index; what one of them has is merged with the rest.
 */
export async function listStreams(
  db: Queryable,
  { userId, role, state }: { userId: string; role?: StreamRole | undefined; state?: StreamState | undefined },
  { after, before, limit, inverted }: Page,
): Promise<StreamView[]> {
  const order = inverted ? 'ASC' : 'DESC';
  const values: unknown[] = [userId, limit];
  const conditions: string[] = [];
  const parameter = (value: string) => `$${values.push(value)}`;
  if (state !== undefined) conditions.push(`AND s.state = ${parameter(state)}`);
  for (const [comparison, id] of [
    ['<', after],
    ['>', before],
  ] as const)
    if (id !== undefined)
      conditions.push(
        `AND (s.created_at, s.id) ${comparison} (SELECT created_at, id FROM streams WHERE id = ${parameter(id)})`,
      );
  const ofRole = (column: 'sender' | 'recipient') => `
    SELECT found.* FROM mine CROSS JOIN LATERAL (
      SELECT s.id, s.created_at FROM streams s WHERE s.${column} = mine.party ${conditions.join(' ')}
      ORDER BY s.created_at ${order}, s.id ${order} LIMIT $2
    ) found`;
  const roles = [
    ...(role === 'RECIPIENT' ? [] : [ofRole('sender')]),
    ...(role === 'SENDER' ? [] : [ofRole('recipient')]),
  ];
  const rows = await db.query<Raw<StreamView>>(
    `WITH mine AS (SELECT $1::text AS party UNION ALL SELECT address FROM user_addresses WHERE user_id = $1),
     page AS (${roles.join(' UNION ')} ORDER BY created_at ${order}, id ${order} LIMIT $2)
     SELECT ${viewColumns} FROM streams WHERE id IN (SELECT id FROM page)
     ORDER BY created_at ${order}, id ${order}`,
    values,
  );
  return rows.map(toStream);
}

/** The highest height that was seen of a chain. */
export async function highestOf(db: Queryable, chain: 'BITCOIN' | 'STACKS'): Promise<number | undefined> {
  const [row] = await db.query<{ highest: bigint }>('SELECT highest FROM chain_heights WHERE chain = $1', [
    chain,
  ]);
  return row && Number(row.highest);
}

/** Whether a stream goes on: something of it is still to be paid out. */
export async function isStreamOpen(db: Queryable, id: string): Promise<boolean> {
  const rows = await db.query<{ state: StreamState }>('SELECT state FROM streams WHERE id = $1', [id]);
  return rows.some(({ state }) => state !== 'CANCELLED' && state !== 'DEPLETED');
}
