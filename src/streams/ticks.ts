import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database/database.ts';
import type { Hub } from '../platform/feed/hub.ts';
import { newId } from '../platform/ids.ts';
import { streamTopic } from './events.ts';
import { percentComplete, stateAt, withdrawableAt } from './machine.ts';
import { type StreamView, streamsByIds } from './queries.ts';

interface Dependencies {
  readonly db: Database;
  readonly hub: Pick<Hub, 'watched' | 'offer'>;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** A watched stream as it was read last, and what was told of it last. */
interface Known {
  stream: StreamView;
  told: string;
}

const everyMs = 1_000;
/** How many streams are read in one statement. */
const most = 1_000;

/**
 * Tells those who watch streams on this node how far they have vested: once a second, or when a block has come, each
 * stream once however many watch it. A stream is read again when something has happened to it; one that vests by
 * blocks each time, as its height is read with it.
 */
export function createStreamTicks({ db, hub, clock, onError }: Dependencies) {
  let known = new Map<string, Known>();
  let ticking: Promise<void> | undefined;

  async function tick(): Promise<void> {
    const watched = [...hub.watched('stream')];
    const stale = watched.filter(({ topic, head }) => {
      const stream = known.get(topic)?.stream;
      return !stream || Number(stream.feedHead) < head || stream.clock === 'BLOCK';
    });
    const read = new Map<string, StreamView>();
    for (let start = 0; start < stale.length; start += most) {
      const ids = stale.slice(start, start + most).map(({ topic }) => topic.slice(streamTopic('').length));
      for (const stream of await streamsByIds(db, ids)) read.set(streamTopic(stream.id), stream);
    }
    const next = new Map<string, Known>();
    for (const { topic } of watched) {
      const before = known.get(topic);
      const stream = read.get(topic) ?? before?.stream;
      if (stream) next.set(topic, { stream, told: tell(topic, stream, before?.told) });
    }
    known = next;
  }

  /** Tells how far a stream has vested, if that is news; answers what was told. */
  function tell(topic: string, stream: StreamView, before: string | undefined): string {
    const at = stream.clock === 'TIME' ? clock.now() : (stream.height ?? 0);
    if (stateAt(stream, at) !== 'ACTIVE') return '';
    const facts = {
      streamId: stream.id,
      withdrawableSats: Number(withdrawableAt(stream, at)),
      percentComplete: percentComplete(stream, at),
    };
    const news = `${stream.feedHead} ${facts.withdrawableSats} ${facts.percentComplete}`;
    if (news === before) return news;
    const occurredAt = new Date(clock.now());
    const event = { id: newId('evt'), type: 'StreamUpdated', version: 1, facts, occurredAt };
    hub.offer({ kind: 'EPHEMERAL', topic, seq: Number(stream.feedHead), event });
    return news;
  }

  const timer = setInterval(() => {
    ticking ??= tick()
      .catch(onError)
      .finally(() => {
        ticking = undefined;
      });
  }, everyMs);
  timer.unref();

  return {
    async close(): Promise<void> {
      clearInterval(timer);
      await ticking;
    },
  };
}
