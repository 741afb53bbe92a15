import {
  type FolderLock,
  FolderLockedError,
  lockFolder,
} from '../../../src/platform/database/folder-lock.ts';

/** What the test tells a contender, a process of its own, to do. */
export type Order = { readonly lock: string } | 'release';
export type Answer = 'held' | 'refused' | 'released';

let held: FolderLock | undefined;

async function obey(order: Order): Promise<Answer> {
  if (order === 'release') {
    await held?.release();
    return 'released';
  }
  try {
    held = await lockFolder(order.lock);
    return 'held';
  } catch (error) {
    if (error instanceof FolderLockedError) return 'refused';
    throw error;
  }
}

process.on('message', async (order: Order) => {
  process.send?.(await obey(order));
});
