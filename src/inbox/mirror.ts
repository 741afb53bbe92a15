import type { Transaction } from '../platform/database/database.ts';
import { decide, type Gap } from './blocks.ts';
import { knownBlocks, saveBlocks } from './chain-blocks.ts';
import {
  chainOrder,
  contentKey,
  eventsOfBlocks,
  historyOf,
  insertEvents,
  linkToLog,
  type MirroredEvent,
  rowKey,
  withdrawEvents,
} from './chain-events.ts';
import type { ChainDelivery, ChainEvent, Hook } from './chainhook.ts';

/** What a domain does with the events of its hook. */
export interface Mirror {
  /** Which of its entities an event is about; undefined when it is about none, and is not kept. */
  entityOf(event: ChainEvent): string | undefined;
  /**
   * The history of an entity has changed: the domain folds it into the entity's state, and appends to the log what
   * is to be told. Called once for each entity and delivery, in the transaction of the delivery, in the order of the
   * entities' names.
   * @param history all canonical events of the entity, in the order of the chain.
   * @param removed those that a rollback of this delivery has taken away, the newest first.
   * @param added those that are new, in order; the same objects as in `history`. Both are empty when transactions
   * have moved to other blocks and are else unchanged: then the state may have to be written (heights, times), and
   * nobody is told anything.
   * @returns which event of the log each of `added` became, so that a later rollback can name it.
   */
  changed(
    tx: Transaction,
    entity: string,
    history: readonly MirroredEvent[],
    removed: readonly MirroredEvent[],
    added: readonly MirroredEvent[],
  ): Promise<ReadonlyMap<MirroredEvent, string>>;
}

/** Heights that a delivery has reached. */
export interface Heights {
  readonly stacks?: number;
  readonly bitcoin?: number;
}

/** What a delivery came to. */
interface Mirrored {
  /** The highest of the blocks that were applied; empty when none was. */
  readonly heights: Heights;
  readonly gaps: readonly Gap[];
}

/** Takes a delivery into the tables, and has the mirror follow. */
export async function mirrorDelivery(
  tx: Transaction,
  hook: Hook,
  mirror: Mirror | undefined,
  delivery: ChainDelivery,
): Promise<Mirrored> {
  const decision = decide(await knownBlocks(tx, hook, delivery), delivery);
  const { undone, applied, gaps } = decision;
  await saveBlocks(tx, hook, decision, delivery.apply);
  const byHash = new Map(delivery.apply.map((block) => [block.hash, block]));
  const appliedBlocks = applied.flatMap((hash) => byHash.get(hash) ?? []);
  if (mirror && undone.length + applied.length > 0)
    await follow(
      tx,
      hook,
      mirror,
      undone,
      appliedBlocks.flatMap(({ events }) => events),
    );
  const stacks = highest(appliedBlocks.map(({ height }) => height));
  const bitcoin = highest(appliedBlocks.flatMap(({ bitcoinHeight }) => bitcoinHeight ?? []));
  return {
    heights: { ...(stacks !== undefined && { stacks }), ...(bitcoin !== undefined && { bitcoin }) },
    gaps,
  };
}

async function follow(
  tx: Transaction,
  hook: Hook,
  mirror: Mirror,
  undone: readonly string[],
  events: readonly ChainEvent[],
): Promise<void> {
  const gone = undone.length > 0 ? await eventsOfBlocks(tx, hook, undone) : [];
  const goneByContent = new Map(gone.map((event) => [contentKey(event), event]));
  const moved = new Set<MirroredEvent>();
  const fresh = new Set<string>();
  // By its place, as a delivery may name one twice.
  const come = new Map<string, MirroredEvent>();
  for (const event of events) {
    const entity = mirror.entityOf(event);
    if (entity === undefined || come.has(rowKey(event))) continue;
    const arriving: MirroredEvent = { ...event, entity, logEventId: null };
    const same = goneByContent.get(contentKey(arriving));
    if (same) moved.add(same);
    else fresh.add(rowKey(arriving));
    come.set(rowKey(arriving), { ...arriving, logEventId: same?.logEventId ?? null });
  }
  if (undone.length > 0) await withdrawEvents(tx, hook, undone);
  if (come.size > 0) await insertEvents(tx, hook, [...come.values()]);

  const removed = byEntity(gone.filter((event) => !moved.has(event)).sort((a, b) => chainOrder(b, a)));
  const entities = [...new Set([...gone, ...come.values()].map(({ entity }) => entity))].sort();
  if (entities.length === 0) return;
  const histories = byEntity(await historyOf(tx, hook, entities));
  const told = new Map<MirroredEvent, string>();
  for (const entity of entities) {
    const history = histories.get(entity) ?? [];
    const added = history.filter((event) => fresh.has(rowKey(event)));
    const answer = await mirror.changed(tx, entity, history, removed.get(entity) ?? [], added);
    for (const [event, logEventId] of answer) told.set(event, logEventId);
  }
  if (told.size > 0) await linkToLog(tx, hook, told);
}

function byEntity(events: readonly MirroredEvent[]): ReadonlyMap<string, readonly MirroredEvent[]> {
  const grouped = new Map<string, MirroredEvent[]>();
  for (const event of events) {
    const group = grouped.get(event.entity);
    if (group) group.push(event);
    else grouped.set(event.entity, [event]);
  }
  return grouped;
}

const highest = (heights: readonly number[]): number | undefined =>
  heights.length === 0 ? undefined : heights.reduce((a, b) => Math.max(a, b));
