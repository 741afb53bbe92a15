import { openBus, openDatabase } from '../../src/components.ts';
import { readConfig } from '../../src/config.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createLog } from '../../src/platform/log/log.ts';
import { sessionEvents, sessionTopic } from '../../src/sessions/events.ts';
import { now } from '../lib/clock.ts';
import type { Writing } from '../lib/messages.ts';
import { firstBalance, type OnPublished, type Publisher } from './publisher.ts';

/**
 * Appends debits as another node would: through Satwire's own log and bus. Each is a real commit, followed by a real
 * wake-up.
 */
export async function createSatwirePublisher(
  { ids, databaseUrl, redisUrl, memo }: Writing,
  onPublished: OnPublished,
): Promise<Publisher> {
  const config = readConfig({ DATABASE_URL: databaseUrl, REDIS_URL: redisUrl });
  let failures = 0;
  let balance = firstBalance;
  const onError = (error: unknown) => process.stderr.write(`${error}\n`);
  const db = await openDatabase(config, {}, onError);
  const bus = await openBus(config, db, {
    logger: { info: () => {}, warn: () => {} },
    onError,
    onPublishFailure: () => {
      failures += 1;
    },
    onMalformed: () => {},
  });
  await new Promise<void>((resolve) => {
    const look = () => bus.connected && resolve();
    bus.onChange(look);
    look();
  });

  const indexes = new Map(ids.map((id, index) => [sessionTopic(id), index]));
  const log = createLog({
    db,
    clock: systemClock,
    onCommitted(rows) {
      const at = now();
      const last = new Map(rows.map((row) => [row.topic, row]));
      for (const { topic, epoch, seq } of last.values()) bus.publish({ kind: 'WAKE', topic, epoch, seq });
      for (const { topic, seq } of rows) onPublished(indexes.get(topic) as number, seq, at);
    },
  });

  return {
    publish: (commit) =>
      db.transaction(async (tx) => {
        const events = commit.map((index) => {
          balance += 1;
          const session = { id: ids[index] as string, ownerUser: null };
          return sessionEvents.debited(session, 1n, BigInt(balance), memo);
        });
        log.append(tx, ...events);
      }),
    get failures() {
      return failures;
    },
  };
}
