import { createBatch } from '../batch.ts';
import type { Bus, BusMessage, Ephemeral } from '../bus/bus.ts';
import type { LogRow, TopicHead } from '../log/event.ts';
import type { Log } from '../log/log.ts';
import { createFeed, type Feed } from './feed.ts';

export type Hub = ReturnType<typeof createHub>;

interface Dependencies {
  readonly log: Pick<Log, 'heads' | 'readPage' | 'readPages'>;
  readonly bus: Bus;
  readonly onError: (error: unknown) => void;
  /** How much of each topic is kept at hand; bytes of facts. */
  readonly ringBytes?: number;
  /** How often the heads of the watched topics are compared with the log, while the bus is there; ms. */
  readonly repairEveryMs?: number;
}

interface Watched {
  readonly feed: Feed;
  /** Settles once the bus listens and the head is known; whoever attached waits for it before leaving. */
  readonly ready: Promise<void>;
  stop: (() => void) | undefined;
  /** One of its members goes. The same function for all of them: there are tens of thousands. */
  leave(): void;
}

/** With the bus away the log itself is asked this often; ms. */
const repairWithoutBusMs = 250;
const repairPage = 500;

/** The feeds of this node: one for each watched topic, however many watch it. */
export function createHub({ log, bus, onError, ringBytes = 262_144, repairEveryMs = 10_000 }: Dependencies) {
  const feeds = new Map<string, Watched>();
  const heads = createBatch<TopicHead>(async (topics) => log.heads(topics));
  const behind = new Set<string>();
  let reading: Promise<void> | undefined;
  let comparing: Promise<void> | undefined;
  let compareAgain = false;
  let lastRepair = Date.now();

  function watch(topic: string): Watched {
    const feed = createFeed(topic, ringBytes, (after, limit) => log.readPage(topic, after, limit));
    const watched: Watched = { feed, ready: Promise.resolve().then(begin), stop: undefined, leave };
    feeds.set(topic, watched);
    return watched;

    async function begin(): Promise<void> {
      watched.stop = await bus.listen(topic, (message) => hear(watched, message));
      feed.start((await heads.load(topic)) as TopicHead);
    }

    function leave(): void {
      feed.members -= 1;
      if (feed.members > 0) return;
      feeds.delete(topic);
      watched.stop?.();
    }
  }

  function hear({ feed, ready }: Watched, message: BusMessage): void {
    if (message.kind === 'EPHEMERAL') feed.offer(message);
    else
      ready.then(
        () => message.seq > feed.head && repair([feed.topic]),
        () => {},
      );
  }

  /** Reads what is missing: one query for all topics found behind until it starts. */
  function repair(topics: Iterable<string>): void {
    for (const topic of topics) behind.add(topic);
    reading ??= readBehind().catch(failed).finally(finished);
  }

  function finished(): void {
    reading = undefined;
    if (behind.size > 0) repair([]);
  }

  /** The next tick of the timer finds out again what is behind. */
  function failed(error: unknown): void {
    lastRepair = 0;
    onError(error);
  }

  async function readBehind(): Promise<void> {
    await Promise.resolve();
    const after = new Map<string, number>();
    for (const topic of behind) {
      const feed = feeds.get(topic)?.feed;
      if (feed?.started) after.set(topic, feed.head);
    }
    behind.clear();
    if (after.size === 0) return;
    const byTopic = groupByTopic(await log.readPages(after, repairPage));
    const beyond = [...after.keys()].filter((topic) => !takePage(topic, byTopic.get(topic) ?? []));
    for (const [topic, { head }] of beyond.length > 0 ? await log.heads(beyond) : [])
      feeds.get(topic)?.feed.jump(head);
  }

  /** False when it is no use to read on: more than a page is missing, or what follows is no longer kept. */
  function takePage(topic: string, rows: readonly LogRow[]): boolean {
    const contiguous = feeds.get(topic)?.feed.accept(rows) ?? true;
    return contiguous && rows.length > 0 && rows.length < repairPage;
  }

  async function compareHeads(): Promise<void> {
    if (feeds.size === 0) return;
    const heads = await log.heads([...feeds.keys()]);
    repair(
      [...heads].filter(([topic, { head }]) => head > (feeds.get(topic)?.feed.head ?? head)).map(([t]) => t),
    );
  }

  function compare(): void {
    lastRepair = Date.now();
    comparing = compareHeads()
      .catch(failed)
      .finally(() => {
        comparing = undefined;
        if (!compareAgain) return;
        compareAgain = false;
        compare();
      });
  }

  /** What was published while the bus went away, or came back, is lost: also behind a comparison under way. */
  function busChanged(): void {
    if (comparing) compareAgain = true;
    else compare();
  }

  const timer = setInterval(() => {
    if (!comparing && (!bus.connected || Date.now() - lastRepair >= repairEveryMs)) compare();
  }, repairWithoutBusMs);
  timer.unref();
  bus.onChange(busChanged);

  return {
    /** Joins the feed of a topic; it is watched from when this resolves. `leave` exactly once. */
    async attach(topic: string): Promise<{ feed: Feed; leave: () => void }> {
      const watched = feeds.get(topic) ?? watch(topic);
      const { feed, leave } = watched;
      feed.members += 1;
      try {
        await watched.ready;
      } catch (error) {
        leave();
        throw error;
      }
      return { feed, leave };
    },

    /** Hands this process' own commits to its feeds, and wakes the other nodes. */
    committed(rows: readonly LogRow[]): void {
      for (const [topic, own] of groupByTopic(rows)) {
        const feed = feeds.get(topic)?.feed;
        if (feed && !feed.accept(own)) repair([topic]);
        const last = own[own.length - 1] as LogRow;
        bus.publish({ kind: 'WAKE', topic, epoch: last.epoch, seq: last.seq });
      }
    },

    /** Where a topic stands in the database: one query for all that are asked for at about the same time. */
    headOf: async (topic: string): Promise<TopicHead> => (await heads.load(topic)) as TopicHead,

    /** The watched topics of a kind (`stream` of `stream:<id>`) whose heads are known, with those. */
    *watched(kind: string): Generator<{ readonly topic: string; readonly head: number }> {
      for (const [topic, { feed }] of feeds)
        if (feed.started && topic.startsWith(`${kind}:`)) yield { topic, head: feed.head };
    },

    /** Tells those who watch on this node something that is not kept, and that each node makes by itself. */
    offer(message: Ephemeral): void {
      feeds.get(message.topic)?.feed.offer(message);
    },

    /** Reads what a topic is known to lack. */
    catchUp: (topic: string) => repair([topic]),

    /** Compares the heads of all watched topics with the log now. */
    compareHeads,

    /** How many topics are watched, and by how many subscribers. */
    size(): { topics: number; members: number } {
      let members = 0;
      for (const { feed } of feeds.values()) members += feed.members;
      return { topics: feeds.size, members };
    },

    async close(): Promise<void> {
      clearInterval(timer);
      while (comparing) await comparing;
      while (reading) await reading;
    },
  };
}

function groupByTopic(rows: readonly LogRow[]): Map<string, LogRow[]> {
  const groups = new Map<string, LogRow[]>();
  for (const row of rows) {
    const group = groups.get(row.topic);
    if (group) group.push(row);
    else groups.set(row.topic, [row]);
  }
  return groups;
}
