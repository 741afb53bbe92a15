import type { LogEvent } from '../platform/log/event.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import type { BlockHeader, ChainBlock, Fees } from './source.ts';

/** The feed of the chain: its tip, its blocks and its reorganisations. */
export const chainTopic = 'chain';

/** The feed of what waits to be confirmed; nothing of it is kept. */
export const mempoolTopic = 'mempool';

/** The names of the chain's events, which are those of their GraphQL types. */
export type ChainEventType = 'TipUpdated' | 'BlockMined' | 'BlockDisconnected';

/** The tip of a chain at some moment. */
export interface Tip {
  /** The name of the chain. */
  readonly chain: string;
  readonly hash: string;
  readonly height: number;
  readonly minedAt: Date;
  readonly fees: Fees;
}

const chainEvent = (type: ChainEventType, facts: NewEvent['facts']): NewEvent => ({
  type,
  facts,
  topics: [chainTopic],
});

export const chainEvents = {
  tipUpdated: ({ chain, hash, height, minedAt, fees }: Tip) =>
    chainEvent('TipUpdated', {
      ...{ chain, hash, height, minedAt: minedAt.toISOString() },
      ...{ fee1: fees[1], fee3: fees[3], fee6: fees[6] },
    }),
  blockMined: ({ hash, height }: ChainBlock) => chainEvent('BlockMined', { hash, height }),
  blockDisconnected: ({ hash, height }: Omit<BlockHeader, 'parent'>) =>
    chainEvent('BlockDisconnected', { hash, height }),
};

/** The tip that an event tells of. */
export function tipIn({ facts }: Pick<LogEvent, 'facts'>): Tip {
  return {
    chain: facts.chain as string,
    hash: facts.hash as string,
    height: facts.height as number,
    minedAt: new Date(facts.minedAt as string),
    fees: { 1: facts.fee1 as number | null, 3: facts.fee3 as number | null, 6: facts.fee6 as number | null },
  };
}
