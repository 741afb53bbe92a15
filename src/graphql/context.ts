import type { Jobs } from '../jobs/commands.ts';
import type { Invoices } from '../money/invoices.ts';
import type { Ledger } from '../money/ledger.ts';
import type { StubLightning } from '../money/lightning/stub.ts';
import type { Connection } from '../platform/auth/connections.ts';
import type { Revocations } from '../platform/auth/revocations.ts';
import type { TicketStreams } from '../platform/auth/ticket-streams.ts';
import type { Tickets } from '../platform/auth/tickets.ts';
import type { Viewer } from '../platform/auth/viewer.ts';
import type { Database } from '../platform/database/database.ts';
import type { Feeds } from '../platform/feed/subscribe.ts';
import type { Sessions } from '../sessions/commands.ts';

/** What resolvers call. */
export interface Services {
  readonly db: Database;
  readonly feeds: Feeds;
  readonly ledger: Ledger;
  readonly invoices: Invoices;
  readonly jobs: Jobs;
  readonly sessions: Sessions;
  readonly tickets: Tickets;
  readonly ticketStreams: TicketStreams;
  readonly revocations: Revocations;
  /** The stub Lightning backend; absent with a real one. */
  readonly stubLightning: StubLightning | undefined;
}

/** The context of one execution: of a query, a mutation, or one batch of events of a subscription. */
export interface Context {
  readonly services: Services;
  readonly connection: Connection;
  readonly viewer: Viewer;
  /** Where the request came from, as far as that is counted; see `clientAddress`. */
  readonly address: string | undefined;
  /** Where a subscription goes on, if its transport knows better than its `after` argument. */
  readonly resumeAfter: string | undefined;
  /** Hears the cursor at which a subscription begins. */
  readonly onPosition?: ((cursor: string) => void) | undefined;
  /** Loaders by what they load; see `loaderOf`. */
  readonly loaders: Map<object, unknown>;
}

/** A context for one more execution, which sees nothing that an earlier one has loaded. */
export function freshContext<C extends Context>(context: C): C {
  // On the prototype chain, as whoever built the context may have given it fields that cannot be copied.
  return Object.create(context, { loaders: { value: new Map(), enumerable: true } }) as C;
}
