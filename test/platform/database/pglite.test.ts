import { cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Database } from '../../../src/platform/database/database.ts';
import { FolderLockedError } from '../../../src/platform/database/folder-lock.ts';
import { openPglite } from '../../../src/platform/database/pglite.ts';
import { databaseImage } from '../../support/app.ts';

/** An image that can be told from what initdb has just made. */
let image: string;
let parent: string;
let folder: string;
const open = new Set<Database>();

beforeAll(async () => {
  const made = await mkdtemp(join(tmpdir(), 'satwire-marked-'));
  const db = await openPglite(made, databaseImage());
  await db.query('CREATE TABLE marks (mark text)');
  await db.close();
  image = join(made, 'postgres');
});
afterAll(() => rm(join(image, '..'), { recursive: true }));

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'satwire-pglite-'));
  folder = join(parent, 'data');
});
afterEach(async () => {
  for (const db of open) await stop(db);
  await rm(parent, { recursive: true });
});

async function start(from = image): Promise<Database> {
  const db = await openPglite(folder, from);
  open.add(db);
  return db;
}

async function stop(db: Database): Promise<void> {
  open.delete(db);
  await db.close();
}

/** What a killed process leaves: some of the files, under the name that says so. */
async function leaveHalf(): Promise<void> {
  const partial = join(folder, 'postgres.partial');
  await mkdir(partial, { recursive: true });
  await cp(join(image, 'global'), join(partial, 'base'), { recursive: true });
  await writeFile(join(partial, 'PG_VERSION'), 'half');
}

const marks = (db: Database) => db.query('SELECT mark FROM marks');

it('begins with a copy of the image, refuses whoever comes while it is open, and keeps what it is given', async () => {
  const first = await start();
  expect(await marks(first)).toEqual([]);
  expect((await readdir(folder)).sort()).toEqual(['lock', 'postgres']);
  expect((await stat(folder)).mode & 0o077).toBe(0);
  await expect(start()).rejects.toBeInstanceOf(FolderLockedError);
  await first.query(`INSERT INTO marks VALUES ('kept')`);
  await stop(first);
  expect(await marks(await start())).toEqual([{ mark: 'kept' }]);
});

it('copies the image again when it was killed halfway', async () => {
  await leaveHalf();
  expect(await marks(await start())).toEqual([]);
  expect((await readdir(folder)).sort()).toEqual(['lock', 'postgres']);
});

it('has initdb run where there is no image, again when it was killed halfway', async () => {
  await leaveHalf();
  const db = await start(join(parent, 'no-image'));
  await expect(marks(db)).rejects.toMatchObject({ code: '42P01' });
  expect((await readdir(folder)).sort()).toEqual(['lock', 'postgres']);
});

it('gives the folder free when it cannot be opened', async () => {
  await mkdir(folder);
  await writeFile(join(folder, 'postgres'), 'no folder');
  await expect(start()).rejects.not.toBeInstanceOf(FolderLockedError);
  expect(await readdir(join(folder, 'lock'))).toEqual([]);
});
