import { cpSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite, types } from '@electric-sql/pglite';
import { createDatabase, type Database, type Queryable } from './database.ts';
import { lockFolder } from './folder-lock.ts';

/** What initdb makes, copied at the first start; the build puts it beside the compiled sources. */
const builtImage = fileURLToPath(new URL('../../../database-image', import.meta.url));

/**
 * Opens the embedded Postgres in a folder, which it locks against other processes: PGlite itself does not
 * notice a second one, and committed rows are lost.
 * @throws FolderLockedError when another process has the folder.
 */
export async function openPglite(folder: string, image = builtImage): Promise<Database> {
  const lock = await lockFolder(folder);
  try {
    const cluster = join(folder, 'postgres');
    if (!(await exists(cluster))) await makeCluster(image, cluster);
    const pglite = await PGlite.create({
      dataDir: cluster,
      parsers: { [types.INT8]: BigInt },
    });
    return createDatabase({
      exclusive: true,
      query: (sql, parameters) => queryable(pglite).query(sql, parameters),
      begin: (work) =>
        pglite.transaction(async (tx) => {
          const connection = queryable(tx);
          const { result, last } = await work(connection);
          const rows: unknown[][] = [];
          for (const { sql, parameters } of last) rows.push(await connection.query(sql, parameters));
          return { result, rows };
        }),
      connections: () => ({ open: 1, idle: 0, waiting: 0 }),
      async close() {
        await pglite.close();
        await lock.release();
      },
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function queryable(connection: Pick<PGlite, 'query'>): Queryable {
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      return (await connection.query<Row>(sql, [...parameters])).rows;
    },
  };
}

/**
 * Copies the image, or has initdb run where there is none. Under another name first: a folder that bears the
 * right one is whole.
 */
async function makeCluster(image: string, cluster: string): Promise<void> {
  const partial = `${cluster}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  // A thousand files: one promise for each takes five times as long, and nothing else is under way yet.
  if (await exists(image)) cpSync(image, partial, { recursive: true });
  else await (await PGlite.create({ dataDir: partial })).close();
  await rename(partial, cluster);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
