import type { Bus, BusMessage } from '../../src/platform/bus/bus.ts';
import { createInProcessBus } from '../../src/platform/bus/in-process.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { createHub } from '../../src/platform/feed/hub.ts';
import type { Feeds } from '../../src/platform/feed/subscribe.ts';
import type { Facts, LogRow } from '../../src/platform/log/event.ts';
import { createLog, type Log } from '../../src/platform/log/log.ts';

/** A bus with its line cut where a test wants it. */
export interface FaultyBus extends Bus {
  connected: boolean;
  /** Whether a message is lost on its way. */
  loses: (message: BusMessage) => boolean;
  /** Why it does not listen. */
  deaf: Error | undefined;
  /** How many listen to it. */
  readonly listening: number;
}

export function faultyBus(): FaultyBus {
  const inner = createInProcessBus();
  let listening = 0;
  let isConnected = true;
  const changed: Array<() => void> = [];
  const bus: FaultyBus = {
    get connected() {
      return isConnected;
    },
    set connected(connected) {
      isConnected = connected;
      for (const hear of changed) hear();
    },
    loses: () => false,
    deaf: undefined,
    get listening() {
      return listening;
    },
    publish(message) {
      if (!bus.loses(message)) inner.publish(message);
    },
    async listen(topic, hear) {
      if (bus.deaf) throw bus.deaf;
      const stop = await inner.listen(topic, hear);
      listening += 1;
      return () => {
        listening -= 1;
        stop();
      };
    },
    onChange: (hear) => void changed.push(hear),
    close: () => inner.close(),
  };
  return bus;
}

/** A node as far as feeds go: its log, its bus and its hub, over a database that nodes may share. */
export interface FeedNode extends Feeds {
  readonly bus: FaultyBus;
  readonly errors: unknown[];
  /** How often its feeds have read from the log. */
  readonly reads: { heads: number; readPage: number; readPages: number };
  /** Appends events in one transaction: the facts of each, with its type among them unless it is `Kept`. */
  append(topic: string, ...facts: readonly Facts[]): Promise<void>;
  /** Publishes an event that is not kept. */
  tell(topic: string, seq: number, facts: Facts): void;
  close(): Promise<void>;
}

interface Options {
  readonly bus?: FaultyBus;
  readonly ringBytes?: number;
  readonly repairEveryMs?: number;
  /** Stands between the feeds and the log. */
  readonly faults?: (log: Log) => Partial<Log>;
}

export function startFeedNode(
  db: Database,
  { bus = faultyBus(), faults, ...options }: Options = {},
): FeedNode {
  const errors: unknown[] = [];
  const reads = { heads: 0, readPage: 0, readPages: 0 };
  let made = 0;
  const real = createLog({
    db,
    clock: systemClock,
    onCommitted: (rows: readonly LogRow[]) => hub.committed(rows),
  });
  const faulty: Log = { ...real, ...faults?.(real) };
  const log: Log = {
    ...faulty,
    heads(topics) {
      reads.heads += 1;
      return faulty.heads(topics);
    },
    readPage(topic, after, limit) {
      reads.readPage += 1;
      return faulty.readPage(topic, after, limit);
    },
    readPages(after, limit) {
      reads.readPages += 1;
      return faulty.readPages(after, limit);
    },
  };
  const hub = createHub({ log, bus, onError: (error) => errors.push(error), ...options });
  return {
    hub,
    log,
    clock: systemClock,
    bus,
    errors,
    reads,
    async append(topic, ...facts) {
      await db.transaction(async (tx) =>
        real.append(
          tx,
          ...facts.map((each) => ({ type: String(each.type ?? 'Kept'), facts: each, topics: [topic] })),
        ),
      );
    },
    tell(topic, seq, facts) {
      made += 1;
      const event = {
        id: `evt_${topic}_${made}`,
        type: String(facts.type ?? 'Passing'),
        version: 1,
        facts,
        occurredAt: new Date(),
      };
      bus.publish({ kind: 'EPHEMERAL', topic, seq, event });
    },
    close: () => hub.close(),
  };
}
