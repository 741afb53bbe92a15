import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './scalars.ts';
import './events.ts';
import './viewer.ts';
import './connection-mutations.ts';
import '../money/graphql.ts';
import '../money/graphql-wallet.ts';
import '../money/graphql-deposits.ts';
import '../money/payouts/graphql.ts';
import '../jobs/graphql-operations.ts';
import '../jobs/graphql-work.ts';
import '../jobs/escrow/graphql-operations.ts';
import '../sessions/graphql-operations.ts';
import '../streams/graphql-operations.ts';
import '../marketplace/graphql-operations.ts';
import '../treasury/graphql-operations.ts';
import '../chain/graphql.ts';
import '../chain/graphql-mempool.ts';
import '../chain/graphql-transactions.ts';
import '../chain/tracking/graphql.ts';

let built: GraphQLSchema | undefined;

/** The schema that the domains have put together. */
export function buildSchema(): GraphQLSchema {
  built ??= builder.toSchema();
  return built;
}
