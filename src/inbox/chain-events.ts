import type { Queryable, Transaction } from '../platform/database/database.ts';
import type { ChainEvent, Hook } from './chainhook.ts';
import { printValue, readRecord } from './value.ts';

/** A chain event as it is kept, of the entity that its mirror says. */
export interface MirroredEvent extends ChainEvent {
  readonly entity: string;
  /** The event of the log that it became, if it has become one. */
  readonly logEventId: string | null;
}

interface Row {
  readonly blockHash: string;
  readonly txHash: string;
  readonly eventIndex: number;
  readonly entity: string;
  readonly height: bigint;
  readonly txIndex: number;
  readonly contract: string;
  readonly name: string;
  readonly value: string;
  readonly timestamp: bigint;
  readonly logEventId: string | null;
}

const columns = `block_hash AS "blockHash", tx_hash AS "txHash", event_index AS "eventIndex", entity, height,
  tx_index AS "txIndex", contract, name, value, block_time AS timestamp, log_event_id AS "logEventId"`;

const toEvent =
  (hook: Hook) =>
  (row: Row): MirroredEvent => ({
    ...row,
    hook,
    height: Number(row.height),
    timestamp: Number(row.timestamp),
    value: readRecord(row.value),
  });

/** The order of the chain. */
export const chainOrder = (a: ChainEvent, b: ChainEvent) =>
  a.height - b.height || a.txIndex - b.txIndex || a.eventIndex - b.eventIndex;

/** One event, in one block. */
export const rowKey = ({ blockHash, txHash, eventIndex }: ChainEvent) =>
  `${blockHash}:${txHash}:${eventIndex}`;

/**
 * One event of an entity, in whichever block it is. The same transaction may be of another entity in another branch:
 * a contract counts what it makes.
 */
export const entityEventKey = ({ entity, txHash, eventIndex }: MirroredEvent) =>
  `${entity}@${txHash}:${eventIndex}`;

/** The same for an event that is in two blocks and is unchanged. */
export const contentKey = (event: MirroredEvent) =>
  JSON.stringify([
    event.txHash,
    event.eventIndex,
    event.entity,
    event.contract,
    event.name,
    printValue(event.value),
  ]);

/** The canonical events of blocks, in the order of the chain. */
export async function eventsOfBlocks(
  db: Queryable,
  hook: Hook,
  blocks: readonly string[],
): Promise<MirroredEvent[]> {
  const rows = await db.query<Row>(
    `SELECT ${columns} FROM chain_events WHERE hook = $1 AND block_hash = ANY($2::text[]) AND canonical`,
    [hook, blocks],
  );
  return rows.map(toEvent(hook)).sort(chainOrder);
}

/** All canonical events of entities, in the order of the chain. */
export async function historyOf(
  db: Queryable,
  hook: Hook,
  entities: readonly string[],
): Promise<MirroredEvent[]> {
  const rows = await db.query<Row>(
    `SELECT ${columns} FROM chain_events WHERE hook = $1 AND entity = ANY($2::text[]) AND canonical
     ORDER BY height, tx_index, event_index`,
    [hook, entities],
  );
  return rows.map(toEvent(hook));
}

/** The events of these blocks happened no longer. */
export async function withdrawEvents(tx: Transaction, hook: Hook, blocks: readonly string[]): Promise<void> {
  await tx.query(
    'UPDATE chain_events SET canonical = false WHERE hook = $1 AND block_hash = ANY($2::text[]) AND canonical',
    [hook, blocks],
  );
}

/** Writes events that have happened; one that was withdrawn from the same block before happens again. */
export async function insertEvents(
  tx: Transaction,
  hook: Hook,
  events: readonly MirroredEvent[],
): Promise<void> {
  const rows = events.map((event) => ({
    block_hash: event.blockHash,
    tx_hash: event.txHash,
    event_index: event.eventIndex,
    entity: event.entity,
    height: event.height,
    tx_index: event.txIndex,
    contract: event.contract,
    name: event.name,
    value: printValue(event.value),
    block_time: event.timestamp,
    log_event_id: event.logEventId,
  }));
  await tx.query(
    `INSERT INTO chain_events (hook, block_hash, tx_hash, event_index, entity, height, tx_index, contract, name,
                               value, block_time, canonical, log_event_id)
     SELECT $1, e.block_hash, e.tx_hash, e.event_index, e.entity, e.height, e.tx_index, e.contract, e.name,
            e.value, e.block_time, true, e.log_event_id
     FROM jsonb_to_recordset($2::jsonb) AS e(
       block_hash text, tx_hash text, event_index int, entity text, height bigint, tx_index int, contract text,
       name text, value text, block_time bigint, log_event_id text)
     ON CONFLICT (hook, block_hash, tx_hash, event_index) DO UPDATE
     SET entity = excluded.entity, height = excluded.height, tx_index = excluded.tx_index,
         contract = excluded.contract, name = excluded.name, value = excluded.value,
         block_time = excluded.block_time, canonical = true, log_event_id = excluded.log_event_id`,
    [hook, JSON.stringify(rows)],
  );
}

/** Notes which events of the log these became. */
export async function linkToLog(
  tx: Transaction,
  hook: Hook,
  told: ReadonlyMap<MirroredEvent, string>,
): Promise<void> {
  const events = [...told.keys()];
  await tx.query(
    `UPDATE chain_events e SET log_event_id = t.log_event_id
     FROM unnest($2::text[], $3::text[], $4::int[], $5::text[]) AS t(block_hash, tx_hash, event_index, log_event_id)
     WHERE e.hook = $1 AND e.block_hash = t.block_hash AND e.tx_hash = t.tx_hash
       AND e.event_index = t.event_index`,
    [
      hook,
      events.map(({ blockHash }) => blockHash),
      events.map(({ txHash }) => txHash),
      events.map(({ eventIndex }) => eventIndex),
      [...told.values()],
    ],
  );
}
