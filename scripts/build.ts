import { spawnSync } from 'node:child_process';
import { cp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDatabaseImage } from './lib/database-image.ts';

const DIST = 'dist';
// A new cluster as initdb makes it: a first start copies it, which is much faster than running initdb.
const IMAGE = 'database-image';
// Raised with each change of what lib/database-image.ts makes.
const IMAGE_SCRIPT = 2;
// Names what made the image (the script and PGlite, by version), and exists only when the image is whole.
const IMAGE_VERSION = 'database-image.version';
// As old as the beginning of the build, and exists only when that went to its end.
const STAMP = join(DIST, 'built');
const SETTINGS = [
  ...['tsconfig.json', 'tsconfig.build.json', 'tsconfig.web.json', 'package-lock.json'],
  join('scripts', 'build.ts'),
];
const SOURCES = ['src', 'web'];

/** Whether nothing has changed since the last build; a folder changes when something is taken out of it. */
async function isUpToDate(): Promise<boolean> {
  const built = await stat(STAMP).catch(() => undefined);
  if (!built) return false;
  const inputs = await Promise.all(
    SOURCES.map(async (folder) => [
      folder,
      ...(await readdir(folder, { recursive: true })).map((source) => join(folder, source)),
    ]),
  );
  const times = await Promise.all([...SETTINGS, ...inputs.flat()].map((input) => stat(input)));
  return times.every(({ mtimeMs }) => mtimeMs < built.mtimeMs);
}

async function clean(): Promise<void> {
  const entries = await readdir(DIST).catch(() => []);
  const old = entries.filter((entry) => entry !== IMAGE && entry !== IMAGE_VERSION);
  await Promise.all(old.map((entry) => rm(join(DIST, entry), { recursive: true })));
}

function compile(project: string): void {
  const { status } = spawnSync(join('node_modules', '.bin', 'tsc'), ['-p', project, '--noEmit', 'false'], {
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the sources do not compile');
}

async function copySql(): Promise<void> {
  const entries = await readdir('src', { recursive: true });
  const files = entries.filter((entry) => entry.endsWith('.sql'));
  await Promise.all(files.map((file) => cp(join('src', file), join(DIST, 'src', file))));
}

async function placeDatabaseImage(): Promise<void> {
  const image = join(DIST, IMAGE);
  const stamp = join(DIST, IMAGE_VERSION);
  const manifest = join('node_modules', '@electric-sql', 'pglite', 'package.json');
  const pglite = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const version = `${IMAGE_SCRIPT} ${pglite.version}`;
  if ((await readFile(stamp, 'utf8').catch(() => '')) === version) return;
  const temporary = `${image}.tmp`;
  await Promise.all([stamp, image, temporary].map((path) => rm(path, { recursive: true, force: true })));
  await makeDatabaseImage(temporary);
  await rename(temporary, image);
  await writeFile(stamp, version);
}

async function build(): Promise<void> {
  const begin = new Date();
  await clean();
  compile('tsconfig.build.json');
  compile('tsconfig.web.json');
  await copySql();
  await cp(join('web', 'explorer.css'), join(DIST, 'web', 'explorer.css'));
  await placeDatabaseImage();
  await writeFile(STAMP, '');
  await utimes(STAMP, begin, begin);
}

if (!(await isUpToDate())) await build();
