import { performance } from 'node:perf_hooks';
import type { Clients } from '../../test/support/clients.ts';
import { quantile } from './distribution.ts';

/** What other times are compared to: the median of the smallest query on a server, one after the other; ms. */
export async function smallestQueryMs({ ask }: Clients, times = 300): Promise<number> {
  const taken: number[] = [];
  for (let n = 0; n < times; n += 1) {
    const begin = performance.now();
    await ask('{ __typename }');
    taken.push(performance.now() - begin);
  }
  return quantile(taken, 0.5);
}
