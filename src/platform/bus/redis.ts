import { randomUUID } from 'node:crypto';
import { RedisPubSub } from 'graphql-redis-subscriptions';
import type { Redis } from 'ioredis';
import type { Logger } from '../telemetry/logger.ts';
import type { Bus, BusMessage } from './bus.ts';
import { encodeMessage, maximumMessageBytes, readMessage } from './messages.ts';
import { connectRedis, describeProblem, isRefusal } from './redis-client.ts';
import { createRedisSubscriber } from './redis-subscriber.ts';

interface Dependencies {
  readonly url: URL;
  /** What the names of all channels begin with; buses hear each other that share it. */
  readonly prefix: string;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Hears what a listener has thrown. */
  readonly onError: (error: unknown) => void;
  /** Hears of each message that did not get to Redis, or may not have. */
  readonly onPublishFailure: () => void;
  /** Hears of each message from Redis that was none of ours. */
  readonly onMalformed: () => void;
}

interface Listening {
  readonly hearing: Set<{ readonly hear: (message: BusMessage) => void }>;
  /** The id of the library's subscription, which there is one of for each topic. */
  readonly subscribed: Promise<number>;
}

/** The unit of all time here. Ticks of our own timer: while this process stands still, no time passes. */
const tickMs = 100;
/** While connected there is a heartbeat every so many ticks, otherwise at each. */
const heartbeatTicks = 2;
/** The bus is away when a heartbeat has not come back after so many ticks. */
const unheardTicksAllowed = 5;
/** What is not connected after so many ticks from the start is reported as away. */
const startTicks = 10;
/** Publishing beyond this is refused until Redis has taken some of it; messages, and bytes. */
const maximumInFlight = 10_000;
const maximumBytesInFlight = 16_777_216;

/**
 * The bus of several processes, over Redis. It is `connected` only while its own heartbeat comes back through
 * Redis and every topic that is listened to is subscribed to. It comes back by itself, for as long as it is open.
 * @throws URIError when the user name or password of the URL is not percent-encoded.
 */
export function createRedisBus({
  url,
  prefix,
  logger,
  onError,
  onPublishFailure,
  onMalformed,
}: Dependencies): Bus {
  const origin = randomUUID();
  const heartbeatChannel = `${prefix}heartbeat:${origin}`;
  const topics = new Map<string, Listening>();
  const changed = new Set<() => void>();
  let connected = false;
  let reportedAway = false;
  let closed = false;
  let problem: string | undefined;
  let inFlight = 0;
  let bytesInFlight = 0;
  let now = 0;
  /** The tick of the latest heartbeat that came back, and the first whose heartbeat shows that the path is whole. */
  let heard = 0;
  let wholeFrom = 1;

  const onProblem = (reason: string) => {
    problem = reason;
  };
  const publisherClient = connectRedis(url, { onReady: judge, onLost: judge, onProblem });
  const subscriberClient = connectRedis(url, {
    onReady() {
      subscriber.onReady();
      judge();
    },
    onLost() {
      subscriber.onLost();
      judge();
    },
    onProblem,
  });
  const subscriber = createRedisSubscriber({ redis: subscriberClient.redis, onMalformed });
  const pubsub = new RedisPubSub({
    publisher: publisherClient.redis,
    // All that it uses of a client is there.
    subscriber: subscriber.client as unknown as Redis,
    serializer: (text: string) => text,
  });
  pubsub.subscribe(heartbeatChannel, hearHeartbeat);
  const timer = setInterval(tick, tickMs);

  function tick(): void {
    now += 1;
    subscriber.tick();
    if (!connected || now % heartbeatTicks === 0) sendHeartbeat();
    judge();
    if (now === startTicks && !connected) reportAway();
    const alive = isHeard();
    publisherClient.tick(alive);
    subscriberClient.tick(alive);
  }

  function sendHeartbeat(): void {
    if (!publisherClient.ready || !subscriberClient.ready) return;
    pubsub.publish(heartbeatChannel, String(now)).catch((error: unknown) => {
      if (isRefusal(error)) onProblem(describeProblem(error, url));
    });
  }

  function hearHeartbeat(at: unknown): void {
    if (typeof at !== 'number' || at > now) {
      onMalformed();
      return;
    }
    heard = Math.max(heard, at);
    problem = undefined;
    judge();
  }

  const isHeard = () => now - heard < heartbeatTicks + unheardTicksAllowed;

  function judge(): void {
    const whole = publisherClient.ready && subscriber.complete;
    if (!whole) wholeFrom = now + 1;
    const is = whole && heard >= wholeFrom && isHeard();
    if (closed || is === connected) return;
    connected = is;
    if (!connected) reportAway();
    else reportBack();
    for (const hear of changed) guarded(hear);
  }

  function reportAway(): void {
    if (reportedAway) return;
    reportedAway = true;
    logger.warn({ reason: problem ?? reasonSeen() }, 'Redis is away');
  }

  function reasonSeen(): string {
    if (!publisherClient.ready || !subscriberClient.ready) return 'there is no connection';
    return subscriber.refusal ? describeProblem(subscriber.refusal, url) : 'nothing comes back through it';
  }

  function reportBack(): void {
    if (reportedAway) logger.info('Redis is back');
    reportedAway = false;
  }

  function guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      onError(error);
    }
  }

  function deliver(message: BusMessage): void {
    for (const { hear } of topics.get(message.topic)?.hearing ?? []) guarded(() => hear(message));
  }

  function receive(topic: string, value: unknown): void {
    const received = readMessage(value, topic);
    if (!received) onMalformed();
    else if (received.origin !== origin) deliver(received.message);
  }

  function send({ topic, text }: { topic: string; text: string }): void {
    const bytes = Buffer.byteLength(text);
    if (
      !publisherClient.ready ||
      bytes > maximumMessageBytes ||
      inFlight >= maximumInFlight ||
      bytesInFlight + bytes > maximumBytesInFlight
    ) {
      onPublishFailure();
      return;
    }
    inFlight += 1;
    bytesInFlight += bytes;
    pubsub
      .publish(prefix + topic, text)
      .catch(onPublishFailure)
      .finally(() => {
        inFlight -= 1;
        bytesInFlight -= bytes;
      });
  }

  function listening(topic: string): Listening {
    const present = topics.get(topic);
    if (present) return present;
    const subscribed = pubsub.subscribe(prefix + topic, (value: unknown) => receive(topic, value));
    const started = { hearing: new Set<never>(), subscribed };
    topics.set(topic, started);
    return started;
  }

  return {
    get connected() {
      return connected;
    },

    publish(message) {
      if (closed) return;
      if (message.kind === 'EPHEMERAL') deliver(message);
      send({ topic: message.topic, text: encodeMessage(message, origin) });
    },

    async listen(topic, hear) {
      if (closed) return () => {};
      const joined = listening(topic);
      const listener = { hear };
      joined.hearing.add(listener);
      const id = await joined.subscribed;
      return () => {
        if (!joined.hearing.delete(listener) || joined.hearing.size > 0 || closed) return;
        topics.delete(topic);
        pubsub.unsubscribe(id);
      };
    },

    onChange(hear) {
      changed.add(hear);
    },

    async close() {
      closed = true;
      connected = false;
      clearInterval(timer);
      topics.clear();
      changed.clear();
      subscriber.onLost();
      await Promise.all([publisherClient.close(), subscriberClient.close()]);
    },
  };
}
