import type { TestApp } from './app.ts';
import type { Json } from './clients.ts';

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

/** Keeps the database busy until `release` is called: what is asked of it meanwhile waits. */
export function holdDatabase({ services: { db } }: TestApp): { release: () => Promise<void> } {
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const done = db.transaction(() => held);
  return {
    async release() {
      letGo();
      await done;
    },
  };
}
