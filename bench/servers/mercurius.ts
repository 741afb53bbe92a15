import Fastify from 'fastify';
import mercurius from 'mercurius';
import createMqEmitter from 'mqemitter-redis';
import { channelOf } from './channels.ts';
import { port, redisUrl } from './environment.ts';
import { typeDefs } from './schema.ts';

/** mercurius with its Redis emitter, as its documentation has it. */
const { hostname, port: redisPort } = new URL(redisUrl);
const app = Fastify();

app.register(mercurius, {
  schema: typeDefs,
  resolvers: {
    Subscription: {
      sessionDebited: {
        subscribe: async (_root, { id }, { pubsub }) => pubsub.subscribe(channelOf(id)),
      },
    },
  },
  subscription: { emitter: createMqEmitter({ host: hostname, port: Number(redisPort) }) },
});

await app.listen({ port, host: '127.0.0.1' });
