import { isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis, ReplyError } from 'ioredis';

interface Hearers {
  readonly onReady: () => void;
  /** Hears at the end of each connection. */
  readonly onLost: () => void;
  /** Hears why a connection failed, or could not be made. */
  readonly onProblem: (reason: string) => void;
}

/** The longest wait before the next attempt to connect; ms. */
const maximumRetryMs = 1_000;
/** How long connecting may take; ms. */
const connectTimeoutMs = 2_000;
/** How long a connection that is given up may take to end, before it is cut; ms. */
const endTimeoutMs = 100;
/** An open connection is given up for a new one after so many ticks without a sign of life. */
const silentTicksAllowed = 50;

/**
 * One connection to Redis, made again for as long as it is not closed. Commands are not kept for later: they
 * fail at once while it is away.
 * @throws URIError when the user name or password of the URL is not percent-encoded.
 */
export function connectRedis(url: URL, { onReady, onLost, onProblem }: Hearers) {
  const redis = new Redis({
    ...address(url),
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: endTimeoutMs,
    retryStrategy: (times) => Math.min(maximumRetryMs, 50 * 2 ** times) * (0.5 + Math.random() / 2),
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    // What awaits its reply fails as the connection ends; with any other number it might never be settled.
    maxRetriesPerRequest: 0,
    // The heartbeat shows more than INFO does, and needs no right to it.
    enableReadyCheck: false,
    disableClientInfo: true,
  });
  let ready = false;
  let silentTicks = 0;
  redis
    .on('ready', () => {
      ready = true;
      onReady();
    })
    .on('error', (error) => onProblem(describeProblem(error, url)))
    .on('close', () => {
      ready = false;
      silentTicks = 0;
      onLost();
    });

  return {
    redis,
    get ready(): boolean {
      return ready;
    },

    /** Counts the time of an open connection over which nothing comes, and gives it up when that is long. */
    tick(alive: boolean): void {
      const open = redis.status === 'connect' || redis.status === 'ready';
      silentTicks = open && !alive ? silentTicks + 1 : 0;
      if (silentTicks < silentTicksAllowed) return;
      silentTicks = 0;
      redis.disconnect(true);
    },

    /** Ends it, at the latest after twice the time that a connection may take to end. */
    async close(): Promise<void> {
      if (redis.status === 'end') return;
      const over = new AbortController();
      redis.once('end', () => over.abort());
      redis.disconnect();
      // Between two attempts to connect nothing says that it has ended.
      await pause(2 * endTimeoutMs, undefined, { signal: over.signal }).catch(() => {});
    },
  };
}

/** Not by the URL itself: what its query says would have a say in how the connection behaves. */
function address({ protocol, hostname, port, username, password }: URL) {
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    host: host || 'localhost',
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' && { tls: isIP(host) ? {} : { servername: host } }),
  };
}

/** Why it failed, in short. Redis may repeat the arguments of a command in its reply, and so a password. */
export function describeProblem(error: Error, { password }: URL): string {
  const message = error.message.replace(/,? with args.*/s, '');
  const shown = message || (error as { code?: string }).code || error.name;
  const secrets = password ? [password, decodeURIComponent(password)] : [];
  return secrets.reduce((text, secret) => text.replaceAll(secret, '***'), shown).slice(0, 200);
}

/** Whether Redis has refused a command, as against its connection having failed. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof ReplyError;
}
