import { PGlite } from '@electric-sql/pglite';

/**
 * Makes a new cluster in a folder, as initdb does, without the databases that are there to be copied: they are
 * two thirds of its files, and every first start copies all of them.
 */
export async function makeDatabaseImage(folder: string): Promise<void> {
  const pglite = await PGlite.create({ dataDir: folder });
  await pglite.exec(`UPDATE pg_database SET datistemplate = false`);
  await pglite.exec('DROP DATABASE template0');
  await pglite.exec('DROP DATABASE template1');
  await pglite.close();
}
