import type { Bus } from '../platform/bus/bus.ts';
import type { WorkHandler } from '../platform/work/runner.ts';
import { createFollower, type FollowerDependencies } from './follow.ts';
import { createMempoolFollower } from './mempool.ts';
import { createTracker } from './tracking/tracker.ts';

type Dependencies = Omit<FollowerDependencies, 'mempool' | 'tracker'> & { readonly bus: Bus };

/** The work of the one node that follows the chain: its blocks, what waits, and what becomes of watched transactions. */
export function createChainWork({ bus, ...dependencies }: Dependencies): WorkHandler {
  const tracker = createTracker(dependencies);
  const mempool = createMempoolFollower({ ...dependencies, bus, onEntered: tracker.entered });
  return createFollower({ ...dependencies, mempool, tracker });
}
