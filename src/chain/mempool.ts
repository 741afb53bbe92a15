import type { Bus } from '../platform/bus/bus.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database/database.ts';
import { newId } from '../platform/ids.ts';
import { createWaiter } from '../platform/work/waiter.ts';
import { mempoolTopic } from './events.ts';
import { createMempoolIndex } from './mempool-index.ts';
import { saveMempool } from './queries.ts';
import type { ChainSource, WaitingTx } from './source.ts';

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly source: ChainSource;
  /** Hears of what has come to wait; at first, of what had done so before anybody looked. */
  readonly onEntered: (txs: readonly WaitingTx[], wereThere: boolean) => void;
}

export type MempoolFollower = ReturnType<typeof createMempoolFollower>;

/** How often what has changed is told, and all is compared, at most; ms. */
const everyMs = 1_000;
/** How often what has come is asked for; ms. */
const lookEveryMs = 250;
/** So many that have come or gone are remembered until they are looked at; with more of them, all are compared. */
const mostRemembered = 10_000;
/** So many are asked for, and taken in, before others have a turn. */
const batch = 500;

/**
 * Keeps what waits to be confirmed: all of it is compared now and then, and in between what is told of. It is summed up
 * once a second at most, however many watch, and stored for whoever asks.
 */
export function createMempoolFollower({ db, clock, bus, source, onEntered }: Dependencies) {
  const index = createMempoolIndex();
  const arrivals = new Set<string>();
  /** What has left while it was asked for. */
  const leavings = new Set<string>();
  let isStale = true;
  let isFirst = true;
  let toldAt = Number.NEGATIVE_INFINITY;
  let comparedAt = Number.NEGATIVE_INFINITY;
  let told = '';

  async function takeIn(txids: readonly string[]): Promise<void> {
    for (let start = 0; start < txids.length; start += batch) {
      leavings.clear();
      const found = await source.waitingTxs(txids.slice(start, start + batch));
      const come = found.filter(({ txid }) => !leavings.has(txid) && !index.has(txid));
      for (const tx of come) index.add(tx);
      onEntered(come, isFirst);
    }
  }

  /** Compares all that waits with what is known of it. */
  async function compare(): Promise<void> {
    isStale = false;
    arrivals.clear();
    comparedAt = performance.now();
    const waiting = new Set(await source.waiting());
    for (const txid of [...index.ids()]) if (!waiting.has(txid)) index.remove(txid);
    await takeIn([...waiting].filter((txid) => !index.has(txid)));
    isFirst = false;
  }

  async function tell(): Promise<void> {
    toldAt = performance.now();
    const summary = JSON.stringify(index.summary());
    if (summary === told) return;
    const occurredAt = new Date(clock.now());
    await saveMempool(db, summary, occurredAt);
    told = summary;
    const event = { id: newId('evt'), type: 'MempoolUpdated', version: 1, facts: {}, occurredAt };
    // Nothing of this feed is kept: everybody stands where it begins.
    bus.publish({ kind: 'EPHEMERAL', topic: mempoolTopic, seq: 0, event });
  }

  return {
    /** Another block, or something that was missed: what waits is compared anew. */
    missed(): void {
      isStale = true;
    },

    entered(txid: string): void {
      if (arrivals.size < mostRemembered) arrivals.add(txid);
      else isStale = true;
    },

    left(txid: string): void {
      arrivals.delete(txid);
      if (leavings.size < mostRemembered) leavings.add(txid);
      else isStale = true;
      index.remove(txid);
    },

    /** Goes on until it is told to stop. @throws ChainUnavailableError */
    async follow(signal: AbortSignal): Promise<void> {
      const waiter = createWaiter(signal);
      // Another node may have followed meanwhile.
      isStale = true;
      told = '';
      while (!signal.aborted) {
        if (performance.now() - comparedAt >= (isStale ? everyMs : source.silenceMs.mempool)) await compare();
        else if (arrivals.size > 0) {
          const come = [...arrivals];
          arrivals.clear();
          await takeIn(come);
        }
        leavings.clear();
        if (performance.now() - toldAt >= everyMs) await tell();
        await waiter.wait(lookEveryMs);
      }
    },
  };
}
