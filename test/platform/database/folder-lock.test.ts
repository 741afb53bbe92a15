import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type FolderLock,
  FolderLockedError,
  lockFolder,
  withSocketAddress,
} from '../../../src/platform/database/folder-lock.ts';
import type { Answer, Order } from './folder-contender.ts';

let parent: string;
let folder: string;
const contenders = new Set<ChildProcess>();
const held: FolderLock[] = [];

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'satwire-lock-'));
  folder = join(parent, 'data');
});
afterEach(async () => {
  await Promise.all([...contenders].map(kill));
  for (const lock of held.splice(0)) await lock.release();
  await rm(parent, { recursive: true });
});

async function hold(target = folder): Promise<FolderLock> {
  const lock = await lockFolder(target);
  held.push(lock);
  return lock;
}

function startContender(): ChildProcess {
  const script = fileURLToPath(new URL('./folder-contender.ts', import.meta.url));
  const contender = spawn(process.execPath, ['--import', 'tsx', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  contenders.add(contender);
  contender.once('exit', () => contenders.delete(contender));
  return contender;
}

function ask(contender: ChildProcess, order: Order): Promise<Answer> {
  return new Promise((answer, fail) => {
    const ended = () => fail(new Error('The contender ended without an answer.'));
    contender.once('exit', ended);
    contender.once('message', (message: Answer) => {
      contender.off('exit', ended);
      answer(message);
    });
    contender.send(order);
  });
}

async function kill(contender: ChildProcess): Promise<void> {
  const exit = once(contender, 'exit');
  contender.kill('SIGKILL');
  await exit;
}

/** Lets all of them try for the folder at once, and answers those who got it. */
async function race(racers: readonly ChildProcess[]): Promise<ChildProcess[]> {
  const answers = await Promise.all(racers.map((racer) => ask(racer, { lock: folder })));
  return racers.filter((_, index) => answers[index] === 'held');
}

async function dieWithLock(target: string): Promise<void> {
  const contender = startContender();
  expect(await ask(contender, { lock: target })).toBe('held');
  await kill(contender);
}

describe('lockFolder', { timeout: 30_000 }, () => {
  it('makes the folder, for the owner alone', async () => {
    const deep = join(folder, 'deep');
    await hold(deep);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(deep)).mode & 0o777).toBe(0o700);
  });

  it('refuses a second holder in the same process, and says why', async () => {
    await hold();
    const refusal = lockFolder(folder);
    await expect(refusal).rejects.toBeInstanceOf(FolderLockedError);
    await expect(refusal).rejects.toThrow(`The folder ${folder} is locked: another process uses it.`);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('gives the folder free with its release, and leaves nothing', async () => {
    const first = await hold();
    await first.release();
    expect(await readdir(join(folder, 'lock'))).toEqual([]);
    await hold();
    await first.release();
    await expect(lockFolder(folder)).rejects.toBeInstanceOf(FolderLockedError);
  });

  it('locks each folder by itself', async () => {
    await hold(join(folder, 'one'));
    await hold(join(folder, 'two'));
  });

  it('answers a connection and ends it at once', async () => {
    await hold();
    const [name] = await readdir(join(folder, 'lock'));
    const socket = connect(join(folder, 'lock', String(name))).resume();
    await once(socket, 'connect');
    await once(socket, 'close');
  });

  it('shuts out another process while the holder lives', async () => {
    const [holder, other] = [startContender(), startContender()];
    expect(await ask(holder, { lock: folder })).toBe('held');
    expect(await ask(other, { lock: folder })).toBe('refused');
    await expect(lockFolder(folder)).rejects.toBeInstanceOf(FolderLockedError);
    await ask(holder, 'release');
    expect(await ask(other, { lock: folder })).toBe('held');
  });

  it('is taken over from a process that was killed', async () => {
    await dieWithLock(folder);
    expect(await readdir(join(folder, 'lock'))).toHaveLength(1);
    await hold();
    expect(await readdir(join(folder, 'lock'))).toHaveLength(1);
    await expect(lockFolder(folder)).rejects.toBeInstanceOf(FolderLockedError);
  });

  it('does not keep a process alive', async () => {
    const holder = startContender();
    await ask(holder, { lock: folder });
    const exit = once(holder, 'exit');
    holder.disconnect();
    expect(await exit).toEqual([0, null]);
    await hold();
  });

  it('refuses when it cannot tell whether the holder lives', async () => {
    const lock = join(folder, 'lock');
    await mkdir(lock, { recursive: true });
    await symlink(join(lock, 'loop'), join(lock, 'loop'));
    await expect(lockFolder(folder)).rejects.toBeInstanceOf(FolderLockedError);
    expect(await readdir(lock)).toEqual(['loop']);
  });

  it('leaves a file alone that stands in the place of the lock', async () => {
    await mkdir(folder);
    await writeFile(join(folder, 'lock'), 'of somebody else');
    await expect(lockFolder(folder)).rejects.toThrow('ENOTDIR');
    expect(await readdir(folder)).toEqual(['lock']);
    expect(await readFile(join(folder, 'lock'), 'utf8')).toBe('of somebody else');
  });

  it('locks a folder whose path is longer than the address of a socket', async () => {
    folder = join(parent, 'a'.repeat(120), 'é'.repeat(100), 'data');
    await dieWithLock(folder);
    const lock = await hold();
    const other = startContender();
    expect(await ask(other, { lock: folder })).toBe('refused');
    await lock.release();
    expect(await ask(other, { lock: folder })).toBe('held');
  });
});

describe('a race for the lock of a dead process', () => {
  const racerCount = 8;

  it('has one winner, round after round', { timeout: 60_000 }, async () => {
    // One socket that a killed process really left serves all rounds, by a new name in each.
    const dead = join(parent, 'dead.sock');
    await dieWithLock(folder);
    const lock = join(folder, 'lock');
    const [name] = await readdir(lock);
    await rename(join(lock, String(name)), dead);

    const racers = Array.from({ length: racerCount }, startContender);
    for (let round = 0; round < 200; round++) {
      await link(dead, join(lock, `${round}.sock`));
      const winners = await race(racers);
      expect(winners, `round ${round}`).toHaveLength(1);
      await ask(winners[0]!, 'release');
    }
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('has one winner each time that the last one was killed', { timeout: 60_000 }, async () => {
    await dieWithLock(folder);
    let racers = Array.from({ length: racerCount }, startContender);
    while (racers.length > 0) {
      const winners = await race(racers);
      expect(winners).toHaveLength(1);
      await kill(winners[0]!);
      racers = racers.filter((racer) => !winners.includes(racer));
    }
  });
});

describe('withSocketAddress', () => {
  const long = `/${'a'.repeat(98)}`;
  const address = async (given: string) => given;

  it('uses the path as long as it fits', async () => {
    expect(await withSocketAddress(long, 'abc', address)).toBe(`${long}/abc`);
    await expect(withSocketAddress(long, 'abcd', address, 'darwin')).rejects.toThrow(
      `The path ${long}/abcd is too long for a socket`,
    );
  });
});
