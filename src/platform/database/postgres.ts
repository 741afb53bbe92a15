import { createHash } from 'node:crypto';
import { Pool, type PoolClient, types } from 'pg';
import { unavailable } from '../errors.ts';
import { createDatabase, type Database, type Queryable } from './database.ts';
import { isUnavailability } from './unavailability.ts';

interface Options {
  /** A connection string: `postgres://user:password@host:port/database`. */
  readonly url: string;
  /** How many connections this process has at most. */
  readonly poolSize: number;
  /** For migrations: statements and locks may take as long as they take. */
  readonly isPatient?: boolean;
  /** Hears why the database does not answer, at most once a second. */
  readonly onError: (error: unknown) => void;
}

/** How long a caller waits for a connection (ms), and how many callers may wait. */
const connectWithinMs = 5_000;
const longestQueue = 1_000;

/** Whatever takes longer than this is somebody's fault; ms. */
const timeouts = {
  lock_timeout: 10_000,
  statement_timeout: 30_000,
  idle_in_transaction_session_timeout: 30_000,
  // A server that is gone without a word cancels nothing.
  query_timeout: 35_000,
};

/** How soon a caller may try again; ms. */
const retryAfterMs = 1_000;
/** How rarely it is said, however many statements fail, that the database does not answer; ms. */
const reportEveryMs = 1_000;

/**
 * Opens a Postgres database, 14 or newer, that any number of processes share. It connects when it is first
 * used. Statements throw PublicError UNAVAILABLE while it does not answer.
 */
export function openPostgres({ url, poolSize, isPatient = false, onError }: Options): Database {
  const pool = new Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: connectWithinMs,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    // What is not waited for is sent at once.
    pipeline: true,
    application_name: 'satwire',
    ...(!isPatient && timeouts),
    types: { getTypeParser },
  });
  let reportedAt = Number.NEGATIVE_INFINITY;
  function report(error: unknown): void {
    const now = performance.now();
    if (now - reportedAt < reportEveryMs) return;
    reportedAt = now;
    onError(error);
  }

  // An idle connection that breaks leaves the pool by itself.
  pool.on('error', report);
  // One in use tells its user; without a listener it would end the process as well.
  pool.on('connect', (client) => client.on('error', () => {}));

  /** Does something on a connection of its own; a broken one does not go back to the pool. */
  async function connected<Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> {
    let client: PoolClient | undefined;
    let broken = false;
    try {
      if (pool.waitingCount >= longestQueue) throw unavailable('The database is overloaded.', retryAfterMs);
      client = await pool.connect();
      return await work(client);
    } catch (error) {
      if (!isUnavailability(error)) throw error;
      broken = true;
      report(error);
      throw unavailable('The database does not answer.', retryAfterMs, error);
    } finally {
      client?.release(broken);
    }
  }

  return createDatabase({
    exclusive: false,

    query: (sql, parameters) => connected((client) => queryable(client).query(sql, parameters)),

    begin: (work) =>
      connected(async (client) => {
        const connection = queryable(client);
        // On its way with the first statement.
        const begun = client.query('BEGIN');
        begun.catch(() => {});
        let done: Awaited<ReturnType<typeof work>>;
        try {
          done = await work(connection);
          await begun;
        } catch (error) {
          await client.query('ROLLBACK');
          throw error;
        }
        const last = done.last.map(({ sql, parameters }) => connection.query<unknown>(sql, parameters));
        const [answered, committed] = await Promise.allSettled([Promise.all(last), client.query('COMMIT')]);
        // Postgres has rolled back then.
        if (answered.status === 'rejected') throw answered.reason;
        if (committed.status === 'rejected') throw committed.reason;
        // What it answers when a statement failed before and somebody went on all the same.
        if (committed.value.command !== 'COMMIT') throw new Error('The transaction was rolled back instead.');
        return { result: done.result, rows: answered.value };
      }),

    connections: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),

    close: () => pool.end(),
  });
}

function queryable(client: PoolClient): Queryable {
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      const values = [...parameters];
      const { rows } = await client.query({ text: sql, values, ...(values.length > 0 && nameOf(sql)) });
      return rows as Row[];
    },
  };
}

/** Statements by their text, as each connection prepares them: planning costs more than most of them. */
const names = new Map<string, { readonly name: string }>();
/** A connection keeps what it has prepared: what comes behind so many texts is planned each time. */
const mostNames = 500;

function nameOf(sql: string): { readonly name: string } | undefined {
  const known = names.get(sql);
  if (known || names.size >= mostNames) return known;
  const name = { name: createHash('sha256').update(sql).digest('base64url') };
  names.set(sql, name);
  return name;
}

/** As PGlite gives them: int8 as bigint, the rest as pg does by itself. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  return oid === types.builtins.INT8 ? BigInt : types.getTypeParser(oid, format as 'text');
}
