import { setImmediate as othersTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Database, Queryable } from '../database/database.ts';
import type { WorkHandler } from '../work/runner.ts';
import { type Keep, keptOf, trimBatch } from './trim.ts';

/** The work of trimming a topic, whose name is its key. */
export const trimWork = 'log.trim';

/** Appending schedules the work each time a topic has grown by so many rows. */
export const trimEvery = 1_000;

/** Answers whether an entity still goes on; `id` is what stands behind the colon of its topic. */
type IsOpen = (db: Queryable, id: string) => Promise<boolean>;

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  /** The kinds of topics that are an entity's own (`job` of `job:<id>`), each with who knows of its entities. */
  readonly entities: Readonly<Record<string, IsOpen>>;
}

/** What a topic keeps, and when it is looked at again though nothing is appended. */
interface Rule extends Keep {
  /** With this many rows, more may have to go before the next append that schedules it. */
  readonly watchedFrom: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** It may close any time, and has then to keep less. */
const openEntity: Rule = { ms: 0, rows: 100_000, watchedFrom: 0 };
const closedEntity: Rule = { ms: 30 * dayMs, rows: 1_000, watchedFrom: Number.POSITIVE_INFINITY };
const collection: Rule = { ms: 30 * dayMs, rows: 100_000, watchedFrom: 100_000 - trimEvery + 1 };
const chain: Rule = { ms: 7 * dayMs, rows: 0, watchedFrom: 0 };
/** The kinds of topics that tell of the Bitcoin chain. */
const chainKinds = ['chain', 'transactions'];

/** How many rows go in one transaction. */
const batch = 500;

/**
 * Trims a topic: a row goes when it is old enough and enough newer ones are kept. Rows that are still too young
 * are looked at again when the first of them is not, at most once an hour; an open entity's once a day.
 */
export function createRetention({ db, clock, entities }: Dependencies): WorkHandler {
  async function ruleOf(topic: string): Promise<Rule> {
    const [kind = '', id = ''] = topic.split(':');
    const isOpen = entities[kind];
    if (!isOpen) return chainKinds.includes(kind) ? chain : collection;
    return (await isOpen(db, id)) ? openEntity : closedEntity;
  }

  async function lookAgainAt(topic: string, rule: Rule): Promise<Date | undefined> {
    const { rows, oldest } = await keptOf(db, topic);
    const now = clock.now();
    if (rows > rule.rows && oldest) return new Date(Math.max(oldest.getTime() + rule.ms, now + hourMs));
    return rows >= rule.watchedFrom ? new Date(now + dayMs) : undefined;
  }

  return {
    concurrency: 1,
    async run({ key: topic }, signal) {
      const rule = await ruleOf(topic);
      while (!signal.aborted) {
        const gone = await trimBatch(db, topic, { keep: rule, now: clock.now(), limit: batch });
        if (gone < batch) return lookAgainAt(topic, rule);
        // The embedded database answers without leaving the event loop a turn.
        await othersTurn();
      }
      return new Date(clock.now());
    },
  };
}
