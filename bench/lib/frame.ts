import { scenarios } from '../plan.ts';
import { measure } from './measure.ts';
import type { Surroundings } from './surroundings.ts';

/** What raw sockets send: a frame as Satwire has just sent it, so that theirs have as many bytes. */
export async function frameOfSatwire(surroundings: Surroundings): Promise<string> {
  const [smallest] = scenarios;
  const { sample } = await measure({ ...smallest, subscribers: 2 }, 'satwire', surroundings, '');
  return sample;
}
