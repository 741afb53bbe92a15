import type { Clock } from '../../platform/clock.ts';
import type { Database, Transaction } from '../../platform/database/database.ts';
import type { Log } from '../../platform/log/log.ts';
import type { Logger } from '../../platform/telemetry/logger.ts';
import { createWaiter } from '../../platform/work/waiter.ts';
import { feeRateOf } from '../mempool-index.ts';
import { blocksByHashes, type StoredBlock } from '../queries.ts';
import type { BlockHeader, ChainSource, TxTrace, WaitingTx } from '../source.ts';
import { presentEvent, type TxEvent, topicsOf, txEvents } from './events.ts';
import {
  beginTracks,
  blockAbove,
  countConfirmations,
  disconnectTracked,
  type FoundTx,
  forgetTracked,
  moveTrackedBlock,
  type NewTrack,
  newTracks,
  readTracking,
  rivalsOf,
  saveTrackedAt,
  storeConfirmed,
  storeFound,
  storeReplaced,
  storeWaiting,
  trackedTxs,
  tracksOf,
} from './queries.ts';

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly source: ChainSource;
  readonly logger: Pick<Logger, 'warn'>;
}

export type Tracker = ReturnType<typeof createTracker>;

/** How often is looked at what is new, what has come to wait, and what blocks have come; ms. */
const everyMs = 250;
/** So many transactions are looked at at a time. */
const batch = 500;
/** So many confirmations of a transaction are told. */
const mostConfirmations = 6;
/** How often is remembered until when was looked at what came to wait; ms. */
const rememberEveryMs = 10_000;
/** What has come to wait so long before that is looked at again: clocks differ, and messages are lost; ms. */
const overlapMs = 120_000;

/** So many are told at a time how what they have begun to watch stands. */
const mostBegun = 10;

const keysOf = ({ txid, addresses }: Pick<TxTrace, 'txid' | 'addresses'>) => [txid, ...addresses];

/**
 * Finds what happens to transactions that somebody watches, by id or by address: in what comes to wait, and in each block
 * of the chain once, in order. What was told of each is in the database, so that another node goes on where one ends.
 */
export function createTracker({ db, clock, log, source, logger }: Dependencies) {
  /** What has come to wait and was not looked at yet. */
  const entered = new Map<string, WaitingTx>();
  /** What had come before anybody looked. */
  const there: WaitingTx[] = [];
  /** What is to be looked at once more. */
  const later: WaitingTx[] = [];
  const now = () => new Date(clock.now());

  /** Tells what happened to transactions to all who watch one of their keys. */
  async function tell(tx: Transaction, events: readonly TxEvent[]): Promise<void> {
    if (events.length === 0) return;
    const tracks = await tracksOf(
      tx,
      events.flatMap((event) => event.tx.keys),
    );
    for (const event of events) {
      const told = new Set(event.tx.keys.flatMap((key) => tracks.get(key) ?? []));
      if (told.size > 0) log.append(tx, topicsOf(event, told));
    }
  }

  /** Which of these are watched, or were. */
  async function watched(traces: readonly TxTrace[]): Promise<TxTrace[]> {
    const tracks = await tracksOf(db, traces.flatMap(keysOf));
    const ids = traces.map(({ txid }) => txid);
    const known = new Set((await trackedTxs(db, ids)).map(({ txid }) => txid));
    return traces.filter((trace) => known.has(trace.txid) || keysOf(trace).some((key) => tracks.has(key)));
  }

  /** Which of what is watched spends the same as one of these: by its id, that of the other. */
  async function rivals(traces: readonly TxTrace[]) {
    const spender = new Map(traces.flatMap(({ txid, spends }) => spends.map((output) => [output, txid])));
    const waiting = new Map<string, string>();
    const confirmed = new Map<string, string>();
    for (const { txid, spends, block } of await rivalsOf(db, [...spender.keys()])) {
      const other = spends.map((output) => spender.get(output)).find((by) => by && by !== txid);
      if (other !== undefined) (block === null ? waiting : confirmed).set(txid, other);
    }
    return { waiting, confirmed };
  }

  /** What is known of transactions up to a block, that were not looked for before. */
  async function lookUp(txids: readonly string[], upTo: StoredBlock): Promise<FoundTx[]> {
    if (txids.length === 0) return [];
    const traces = await source.traces(txids);
    const waiting = new Map((await source.waitingTxs(txids)).map((tx) => [tx.txid, tx]));
    const hashes = new Set(traces.map(({ blockHash }) => blockHash).filter((hash) => hash !== null));
    const seen = new Map((await blocksByHashes(db, [...hashes])).map((block) => [block.hash, block]));
    const found: FoundTx[] = [];
    for (const trace of traces) {
      const waits = waiting.get(trace.txid);
      if (waits) found.push(foundWaiting(trace, waits));
      const hash = trace.blockHash;
      if (waits || hash === null) continue;
      const block = seen.get(hash) ?? (await source.header(hash));
      // What is above is found when that block is looked at; what is off the chain, in the one that has it then.
      if (!block || block.height > upTo.height || seen.get(hash)?.isCanonical === false) continue;
      found.push(foundIn(trace, block, upTo.height - block.height + 1));
    }
    return found;
  }

  /** Tells those who have begun to watch transactions how these stand. */
  async function begin(tracks: readonly NewTrack[], upTo: StoredBlock): Promise<void> {
    const txids = [...new Set(tracks.flatMap((track) => track.txids))];
    const known = new Set((await trackedTxs(db, txids)).map(({ txid }) => txid));
    const found = await lookUp(
      txids.filter((txid) => !known.has(txid)),
      upTo,
    );
    const ids = tracks.map(({ id }) => id);
    await db.transaction(async (tx) => {
      const begun = await beginTracks(tx, ids);
      await storeFound(tx, found, now());
      const present = new Map((await trackedTxs(tx, txids)).map((each) => [each.txid, each]));
      for (const track of begun)
        for (const txid of track.txids) {
          const event = presentEvent(present.get(txid), upTo.height);
          if (event) log.append(tx, topicsOf(event, [track.id]));
        }
    });
  }

  /** Looks at a part of what has come to wait. */
  async function lookAtEntered(): Promise<void> {
    const some = [...entered.values()].slice(0, batch);
    const known = await source.traces(some.map(({ txid }) => txid));
    // What a block has by now is found there, or was so before somebody watched it.
    const traces = known.filter(({ blockHash }) => blockHash === null);
    const found = await watched(traces);
    const { waiting: others, confirmed } = await rivals(traces);
    // Who has begun to watch meanwhile is told first how things stand.
    if ((await newTracks(db, 1)).length > 0) return;
    // What waits still has not lost its place: the other one was not there yet, or is there no more.
    for (const { txid } of await source.waitingTxs([...others.keys()])) others.delete(txid);
    if (found.length > 0 || others.size > 0)
      await db.transaction(async (tx) => {
        const waiting = found.map((trace) => foundWaiting(trace, entered.get(trace.txid) as WaitingTx));
        const seen = await storeWaiting(tx, waiting, now());
        const replaced = await storeReplaced(tx, others, now());
        await tell(tx, [...seen.map(txEvents.seen), ...replaced.map(txEvents.replaced)]);
      });
    // A block that is off the chain already is so here in a moment: what was in it has lost its place then.
    for (const txid of confirmed.values()) later.push(entered.get(txid) as WaitingTx);
    for (const { txid } of some) entered.delete(txid);
  }

  /** Looks at a block that has come onto the one up to which was looked. */
  async function connect(block: NextBlock, from: string): Promise<void> {
    const found: TxTrace[] = [];
    const others = new Map<string, string>();
    let count = 0;
    for await (const traces of inBatches(source.tracesIn(block.hash), batch)) {
      count += traces.length;
      found.push(...(await watched(traces)));
      for (const [txid, other] of (await rivals(traces)).waiting) others.set(txid, other);
    }
    if (count < block.txCount)
      logger.warn({ hash: block.hash, height: block.height }, 'a block is not there to be looked at');
    await db.transaction(async (tx) => {
      if (!(await moveTrackedBlock(tx, from, block.hash))) return;
      const deeper = await countConfirmations(tx, block.height, mostConfirmations, now());
      const confirmed = await storeConfirmed(
        tx,
        found.map((trace) => foundIn(trace, block, 1)),
        now(),
      );
      const replaced = await storeReplaced(tx, others, now());
      await tell(tx, [
        ...[...deeper, ...confirmed].map(txEvents.confirmed),
        ...replaced.map(txEvents.replaced),
      ]);
    });
  }

  /** Takes back what was told of a block that a reorganisation has taken off the chain. */
  async function disconnect({ hash, parent }: StoredBlock): Promise<void> {
    await db.transaction(async (tx) => {
      if (!(await moveTrackedBlock(tx, hash, parent))) return;
      const waiting = await disconnectTracked(tx, hash, now());
      await tell(
        tx,
        waiting.map((each) => txEvents.disconnected(each, hash)),
      );
    });
  }

  /** Looks at what the chain has grown by, or has lost, behind a block; answers whether there may be more. */
  async function follow(block: StoredBlock): Promise<boolean> {
    if (!block.isCanonical) {
      await disconnect(block);
      return true;
    }
    const next = await blockAbove(db, block.height);
    if (next) await connect(next, block.hash);
    return next !== undefined;
  }

  /** Does a part of what there is to do; answers whether there may be more. */
  async function advance(): Promise<boolean> {
    // What comes behind the question may be watched, whatever the answer.
    const before = [...entered.keys()];
    const { isAny, block, tip } = await readTracking(db);
    if (tip === null) return false;
    const [upTo] = block === null ? [] : await blocksByHashes(db, [block]);
    if (!isAny || block === null) {
      for (const txid of isAny ? [] : before) entered.delete(txid);
      if (block !== tip)
        await db.transaction(async (tx) => {
          await moveTrackedBlock(tx, block, tip);
          await forgetTracked(tx);
        });
      return isAny;
    }
    if (!upTo) {
      // A reorganisation went below all that was known: the chain is looked at from where it is known now.
      const lowest = await blockAbove(db, -1);
      if (lowest) await connect(lowest, block);
      return lowest !== undefined;
    }
    const tracks = await newTracks(db, mostBegun);
    if (tracks.length > 0) {
      await begin(tracks, upTo);
      return true;
    }
    if (entered.size > 0) await lookAtEntered();
    return (await follow(upTo)) || entered.size > 0;
  }

  return {
    /** Transactions have come to wait; or they did before anybody looked. */
    entered(txs: readonly WaitingTx[], wereThere: boolean): void {
      if (wereThere) there.push(...txs);
      else for (const tx of txs) entered.set(tx.txid, tx);
    },

    /** Goes on until it is told to stop. @throws ChainUnavailableError */
    async follow(signal: AbortSignal): Promise<void> {
      const waiter = createWaiter(signal);
      const before = (await readTracking(db)).at?.getTime() ?? clock.now();
      let rememberedAt = clock.now();
      while (!signal.aborted) {
        const late = there.splice(0).filter(({ enteredAt }) => enteredAt.getTime() >= before - overlapMs);
        for (const tx of [...late, ...later.splice(0)]) entered.set(tx.txid, tx);
        const at = clock.now();
        const hasMore = await advance();
        if (entered.size === 0 && at - rememberedAt >= rememberEveryMs) {
          await saveTrackedAt(db, new Date(at));
          rememberedAt = at;
        }
        if (!hasMore) await waiter.wait(everyMs);
      }
    },
  };
}

type NextBlock = NonNullable<Awaited<ReturnType<typeof blockAbove>>>;

const found = (trace: TxTrace, feeSats: number | null) => ({
  ...{ txid: trace.txid, keys: keysOf(trace), spends: trace.spends, virtualSize: trace.virtualSize },
  feeRate: feeSats === null ? null : feeRateOf({ feeSats, virtualSize: trace.virtualSize }),
});

const foundWaiting = (trace: TxTrace, { feeSats }: WaitingTx): FoundTx => ({
  ...found(trace, feeSats),
  ...{ block: null, height: null, confirmations: 0 },
});

const foundIn = (
  trace: TxTrace,
  { hash, height }: Omit<BlockHeader, 'parent'>,
  confirmations: number,
): FoundTx => ({ ...found(trace, trace.feeSats), block: hash, height, confirmations });

/** What comes one by one, many at a time. */
async function* inBatches<Item>(items: AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let some: Item[] = [];
  for await (const item of items) {
    some.push(item);
    if (some.length < size) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}
