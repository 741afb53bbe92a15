import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Emitter } from '@socket.io/redis-emitter';
import { Redis } from 'ioredis';
import createMqEmitter from 'mqemitter-redis';
import { now } from '../lib/clock.ts';
import type { Writing } from '../lib/messages.ts';
import { channelOf } from '../servers/channels.ts';
import { firstBalance, type OnPublished, type Publisher } from './publisher.ts';

type Send = (id: string, payload: object) => Promise<unknown> | unknown;

/** Publishes the same facts through Redis, as each peer's own publisher does. */
export async function createRedisPublisher(
  { how, ids, redisUrl, frame }: Writing & { readonly how: Exclude<Writing['how'], 'satwire'> },
  onPublished: OnPublished,
): Promise<Publisher> {
  const redis = new Redis(redisUrl);
  if (redis.status !== 'ready') await once(redis, 'ready');
  const senders: Readonly<Record<typeof how, () => Send>> = {
    raw: () => (id) => redis.publish(channelOf(id), frame),
    'graphql-redis-subscriptions': () => (id, payload) =>
      redis.publish(channelOf(id), JSON.stringify(payload)),
    mqemitter() {
      const { hostname, port } = new URL(redisUrl);
      const emitter = createMqEmitter({ host: hostname, port: Number(port) });
      return (id, payload) =>
        new Promise<void>((resolve) => emitter.emit({ topic: channelOf(id), payload }, () => resolve()));
    },
    'socket.io'() {
      const emitter = new Emitter(redis);
      return (id, payload) => emitter.to(channelOf(id)).emit('sessionDebited', payload);
    },
  };
  const send = senders[how]();
  const places = ids.map(() => 0);
  let balance = firstBalance;

  function eventOf(id: string, place: number): object {
    balance += 1;
    const cursor = Buffer.from(`0123456789ab.${place}.session:${id}`).toString('base64url');
    const event = { id: `evt_${randomBytes(16).toString('base64url')}`, balanceAfter: balance, cursor };
    return how === 'socket.io' ? event : { sessionDebited: { ...event, sessionId: id } };
  }

  return {
    async publish(commit) {
      const sent = commit.map((index) => {
        const id = ids[index] as string;
        const place = (places[index] as number) + 1;
        places[index] = place;
        const event = eventOf(id, place);
        onPublished(index, place, now());
        return send(id, event);
      });
      await Promise.all(sent);
    },
    failures: 0,
  };
}
