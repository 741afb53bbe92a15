import type { Chain } from '../chain/chain.ts';
import type { Tracks } from '../chain/tracking/tracks.ts';
import type { Jobs } from '../jobs/commands.ts';
import type { EscrowJobs } from '../jobs/escrow/commands.ts';
import type { Marketplace } from '../marketplace/commands.ts';
import type { Deposits } from '../money/deposits.ts';
import type { Invoices } from '../money/invoices.ts';
import type { Ledger } from '../money/ledger.ts';
import type { StubLightning } from '../money/lightning/stub.ts';
import type { Payouts } from '../money/payouts/commands.ts';
import type { Connection } from '../platform/auth/connections.ts';
import type { Refresh } from '../platform/auth/refresh.ts';
import type { Revocations } from '../platform/auth/revocations.ts';
import type { TicketStreams } from '../platform/auth/ticket-streams.ts';
import type { Tickets } from '../platform/auth/tickets.ts';
import type { Viewer } from '../platform/auth/viewer.ts';
import type { Database } from '../platform/database/database.ts';
import type { Feeds } from '../platform/feed/subscribe.ts';
import type { Sessions } from '../sessions/commands.ts';
import type { Streams } from '../streams/commands.ts';
import type { StreamHeights } from '../streams/worker.ts';
import type { Treasury } from '../treasury/commands.ts';
import type { TopicView } from './access.ts';
import type { Batches } from './loaders.ts';

/** What resolvers call. */
export interface Services {
  readonly db: Database;
  readonly batches: Batches;
  readonly feeds: Feeds;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
  readonly deposits: Deposits;
  readonly payouts: Payouts;
  readonly jobs: Jobs;
  readonly escrowJobs: EscrowJobs;
  readonly sessions: Sessions;
  readonly streams: Streams;
  readonly streamHeights: StreamHeights;
  readonly marketplace: Marketplace;
  readonly treasury: Treasury;
  readonly chain: Chain;
  readonly tracks: Tracks;
  readonly tickets: Tickets;
  readonly ticketStreams: TicketStreams;
  readonly revocations: Revocations;
  readonly refresh: Refresh;
  /** The stub Lightning backend; absent with a real one. */
  readonly stubLightning: StubLightning | undefined;
}

/** The context of one execution: of a query, a mutation, or one batch of events of a subscription. */
export interface Context {
  readonly services: Services;
  readonly connection: Connection;
  readonly viewer: Viewer;
  /** Within a subscription, what its subscribers were found to be to its topic. */
  readonly view?: TopicView | undefined;
  /** Where the request came from, as far as that is counted; see `clientAddress`. */
  readonly address: string | undefined;
  /** Where a subscription goes on, if its transport knows better than its `after` argument. */
  readonly resumeAfter: string | undefined;
  /** Hears the cursor at which a subscription begins. */
  readonly onPosition?: ((cursor: string) => void) | undefined;
  /** What has been loaded, by what loads it and by key; see `load`. */
  readonly loaders: Map<object, Map<string, Promise<unknown>>>;
}
