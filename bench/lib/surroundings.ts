import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { ensureInitdb, findPostgres } from '../../scripts/lib/postgres.ts';
import { runStatement, startPostgres } from '../../scripts/lib/postgres-server.ts';
import { ensureRedis, startRedisServer } from '../../scripts/lib/redis-server.ts';
import { openDatabase } from '../../src/components.ts';
import { readConfig } from '../../src/config.ts';
import { createTokenIssuer } from '../../src/platform/auth/tokens.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';

/** What all servers have around them. */
export interface Surroundings {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly jwtSecret: string;
  /** Sessions that can be watched, each with a balance. */
  readonly sessionIds: readonly string[];
  /** Bearer tokens of services, each of another subject. */
  readonly tokens: readonly string[];
  /** Empties the log. */
  forgetEvents(): Promise<void>;
  stop(): Promise<void>;
}

const sessions = 500;
const subjects = 100;

/** The core of everything but the server. */
export const otherCore = 1;

/** Starts Redis and Postgres, on the core of the clients, with sessions that can be watched. */
export async function startSurroundings(): Promise<Surroundings> {
  // Whatever is started from here inherits it.
  execFileSync('taskset', ['-apc', String(otherCore), String(process.pid)], { stdio: 'ignore' });
  ensureInitdb();
  ensureRedis();
  const programs = findPostgres(process.env);
  if (programs === undefined) throw new Error('no Postgres: install it, or set INITDB_PATH');
  const postgres = await startPostgres(programs);
  const redis = await startRedisServer();
  await postgres.administer('CREATE DATABASE satwire');
  const databaseUrl = postgres.url('satwire');
  const jwtSecret = randomBytes(32).toString('hex');

  const db = await openDatabase(readConfig({ DATABASE_URL: databaseUrl }), {}, () => {});
  const sessionIds = Array.from({ length: sessions }, () => newId('ses'));
  await db.query(
    `INSERT INTO sessions (id, state, deposit_invoice, created_at, updated_at)
     SELECT id, 'ACTIVE', 'none', now(), now() FROM unnest($1::text[]) AS new(id)`,
    [sessionIds],
  );
  await db.query(
    `INSERT INTO balances (account, balance_sats)
     SELECT 'session:' || id, 100000 FROM unnest($1::text[]) AS new(id)`,
    [sessionIds],
  );
  await db.close();

  const issuer = createTokenIssuer({ secret: Buffer.from(jwtSecret), clock: systemClock });
  const tokens = await Promise.all(
    Array.from({ length: subjects }, (_, subject) =>
      issuer.issue({ subject: `subscriber ${subject}`, roles: ['SERVICE'], expiresInSeconds: 86_400 }),
    ),
  );
  return {
    databaseUrl,
    redisUrl: redis.url.href,
    jwtSecret,
    sessionIds,
    tokens,
    forgetEvents: () => runStatement(databaseUrl, 'TRUNCATE topic_events, events, topics'),
    async stop() {
      await Promise.all([postgres.stop(), redis.stop()]);
    },
  };
}
