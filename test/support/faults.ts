import type { TestApp } from './app.ts';
import type { Json } from './clients.ts';
import { until } from './until.ts';

/** Takes a table away while something is done, so that whoever reads it meets an error that nobody foresaw. */
export async function withoutTable<Result>(
  { services: { db } }: TestApp,
  table: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await db.query(`ALTER TABLE ${table} RENAME TO ${table}_taken_away`);
  try {
    return await work();
  } finally {
    await db.query(`ALTER TABLE ${table}_taken_away RENAME TO ${table}`);
  }
}

/** Appends an event to a topic, as a command would. */
export async function appendEvent(
  { services: { db, feeds } }: TestApp,
  topic: string,
  type: string,
  facts: Json,
): Promise<void> {
  await db.transaction(async (tx) => feeds.log.append(tx, { type, facts, topics: [topic] }));
}

/** Keeps every table to itself until `release` is called: what is asked of the database meanwhile waits. */
export async function holdDatabase({ services: { db } }: TestApp): Promise<{ release: () => Promise<void> }> {
  let letGo = () => {};
  const letGone = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let isHeld = false;
  const done = db.transaction(async (tx) => {
    const tables = await tx.query<{ name: string }>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`,
    );
    await tx.query(`LOCK TABLE ${tables.map(({ name }) => name).join()} IN ACCESS EXCLUSIVE MODE`);
    isHeld = true;
    await letGone;
  });
  await until('the tables to be held', () => isHeld);
  return {
    async release() {
      letGo();
      await done;
    },
  };
}
