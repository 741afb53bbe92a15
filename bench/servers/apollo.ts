import { createServer } from 'node:http';
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginDrainHttpServer } from '@apollo/server/plugin/drainHttpServer';
import { expressMiddleware } from '@as-integrations/express5';
import { makeExecutableSchema } from '@graphql-tools/schema';
import express from 'express';
import { RedisPubSub } from 'graphql-redis-subscriptions';
import { useServer } from 'graphql-ws/use/ws';
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';
import { channelOf } from './channels.ts';
import { port, redisUrl } from './environment.ts';
import { typeDefs } from './schema.ts';

/** Apollo Server with graphql-ws and graphql-redis-subscriptions, as its documentation has it. */
const pubsub = new RedisPubSub({ publisher: new Redis(redisUrl), subscriber: new Redis(redisUrl) });
const schema = makeExecutableSchema({
  typeDefs,
  resolvers: {
    Subscription: {
      sessionDebited: {
        subscribe: (_root: unknown, { id }: { id: string }) => pubsub.asyncIterator(channelOf(id)),
      },
    },
  },
});

const app = express();
const httpServer = createServer(app);
const wsServer = new WebSocketServer({ server: httpServer, path: '/graphql' });
const serverCleanup = useServer({ schema }, wsServer);
const server = new ApolloServer({
  schema,
  plugins: [
    ApolloServerPluginDrainHttpServer({ httpServer }),
    {
      async serverWillStart() {
        return {
          async drainServer() {
            await serverCleanup.dispose();
          },
        };
      },
    },
  ],
});
await server.start();
app.use('/graphql', express.json(), expressMiddleware(server));

httpServer.listen(port, '127.0.0.1');
