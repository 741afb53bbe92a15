import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';

/** A folder that is this process's alone until it is released, or until the process ends in whatever way. */
export interface FolderLock {
  /** Gives the folder free; a second call does nothing. */
  release(): Promise<void>;
}

/** Another process, or this one, holds the lock of the folder. */
export class FolderLockedError extends Error {
  override readonly name = 'FolderLockedError';

  constructor(folder: string) {
    super(`The folder ${folder} is locked: another process uses it.`);
  }
}

// The shortest limit among our platforms is that of macOS: 104 bytes with the final zero. Linux has 108.
const LONGEST_ADDRESS = 103;

/**
 * Locks a folder against every other process on this machine, and makes the folder if there is none.
 *
 * The lock is a socket that listens in the subfolder `lock`. The kernel stops listening when a process dies,
 * so a socket that refuses connections is what a dead one left. To take one away by a name that all share
 * could hit the socket of a process that came in meanwhile. Therefore:
 * - each process listens under a name of its own, never used again, in a folder of its own;
 * - renaming that folder to `lock` takes the lock, and the file system refuses it unless `lock` is empty;
 * - a dead socket is removed from `lock` by its own name, so that no delay can make it remove another.
 * @throws FolderLockedError when a living process holds it.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const root = resolve(folder);
  const lock = join(root, 'lock');
  const name = `${randomBytes(8).toString('hex')}.sock`;
  await mkdir(root, { recursive: true, mode: 0o700 });
  const own = await mkdtemp(join(root, 'lock-'));
  const server = createServer((socket) => socket.destroy());
  try {
    await withSocketAddress(own, name, (address) => listen(server, address));
    while (!(await takePlace(own, lock))) await removeDead(lock, root);
  } catch (error) {
    await close(server);
    await rm(own, { recursive: true, force: true });
    throw error;
  }
  return {
    async release() {
      await rm(join(lock, name), { force: true });
      await close(server);
    },
  };
}

/** Whether `own` is `lock` now; if not, `lock` holds the socket of another process, dead or alive. */
async function takePlace(own: string, lock: string): Promise<boolean> {
  try {
    await rename(own, lock);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) return false;
    throw error;
  }
}

async function removeDead(lock: string, root: string): Promise<void> {
  for (const name of await readdir(lock)) {
    if (await withSocketAddress(lock, name, listens)) throw new FolderLockedError(root);
    await rm(join(lock, name), { force: true });
  }
}

/** Any doubt, as a full backlog or a missing right, counts as life. */
async function listens(address: string): Promise<boolean> {
  const socket = connect(address);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    return !['ECONNREFUSED', 'ENOENT'].includes(codeOf(error));
  } finally {
    socket.destroy();
  }
}

async function listen(server: Server, address: string): Promise<void> {
  // Exclusive: a cluster worker would otherwise get a socket that belongs to the primary and outlives it.
  server.listen({ path: address, exclusive: true });
  await once(server, 'listening');
  server.unref();
  // A connection that cannot be accepted, for want of file descriptors, has had its answer: we live.
  server.on('error', () => undefined);
}

function close(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
  });
}

/**
 * Calls `use` with an address of at most 103 bytes for a socket in a folder. Where its path is longer, the
 * address leads through an open handle of the folder and is good until `use` is done: on Linux alone.
 */
export async function withSocketAddress<T>(
  folder: string,
  name: string,
  use: (address: string) => Promise<T>,
  platform: NodeJS.Platform = process.platform,
): Promise<T> {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= LONGEST_ADDRESS) return use(path);
  if (platform !== 'linux') {
    throw new Error(`The path ${path} is too long for a socket: choose a folder with a shorter one.`);
  }
  const handle = await open(folder);
  try {
    return await use(`/proc/self/fd/${handle.fd}/${name}`);
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
