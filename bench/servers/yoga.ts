import { createServer } from 'node:http';
import type { ExecutionArgs } from 'graphql';
import { RedisPubSub } from 'graphql-redis-subscriptions';
import { useServer } from 'graphql-ws/use/ws';
import { createSchema, createYoga } from 'graphql-yoga';
import { Redis } from 'ioredis';
import pg from 'pg';
import { WebSocketServer } from 'ws';
import { channelOf } from './channels.ts';
import { databaseUrl, port, redisUrl } from './environment.ts';
import { type Published, typeDefs } from './schema.ts';

/** Yoga with graphql-ws as its documentation has it, and graphql-redis-subscriptions as its own has it. */
const pubsub = new RedisPubSub({ publisher: new Redis(redisUrl), subscriber: new Redis(redisUrl) });
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });

const session = `SELECT s.state, b.balance_sats::int AS "balanceSats" FROM sessions s
  LEFT JOIN balances b ON b.account = 'session:' || s.id WHERE s.id = $1`;

const yoga = createYoga({
  graphiql: { subscriptionsProtocol: 'WS' },
  schema: createSchema({
    typeDefs,
    resolvers: {
      Subscription: {
        sessionDebited: {
          subscribe: (_root: unknown, { id }: { id: string }) => pubsub.asyncIterator(channelOf(id)),
        },
      },
      SessionDebited: {
        session: async ({ sessionId }: Published['sessionDebited']) =>
          (await pool.query(session, [sessionId])).rows[0],
      },
    },
  }),
});
const server = createServer(yoga);
const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint });

type Enveloped = ExecutionArgs & {
  rootValue: Pick<ReturnType<typeof yoga.getEnveloped>, 'execute' | 'subscribe'>;
};

useServer(
  {
    execute: (args) => (args as Enveloped).rootValue.execute(args),
    subscribe: (args) => (args as Enveloped).rootValue.subscribe(args),
    onSubscribe: async (ctx, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...ctx,
        req: ctx.extra.request,
        socket: ctx.extra.socket,
        params,
      });
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
      const errors = validate(args.schema, args.document);
      if (errors.length) return errors;
      return args as Enveloped;
    },
  },
  sockets,
);

server.listen(port, '127.0.0.1');
