import { z } from 'zod';

/** What an indexer of another ledger posts. */
export const indexerEvent = z.object({
  eventId: z.string().min(1).max(255),
  eventType: z.string().min(1).max(100),
  streamId: z.string().min(1).max(255),
  occurredAt: z.iso.datetime({ offset: true }),
  chainId: z.string().max(255).optional(),
  transactionHash: z.string().max(255).optional(),
  data: z.unknown().optional(),
});

export type IndexerEvent = z.output<typeof indexerEvent>;

/** The types of events that say that a stream has been settled; others are kept, and do nothing. */
export const settledTypes: readonly string[] = ['settled', 'settle:finished'];
