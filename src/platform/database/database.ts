import { AsyncLocalStorage } from 'node:async_hooks';

/** Rows as the drivers give them: int8 as bigint, timestamptz as Date, jsonb parsed. */
export interface Queryable {
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
}

/** What a statement takes that nothing stands in the way of sending. */
export type Scalar = string | number | bigint | boolean | Date | null;

/** A statement whose parameters are numbered from $1. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly Scalar[];
}

/** The last statement of a transaction. */
export interface LastStatement extends Statement {
  /** Hears its rows once they are committed, behind the steps after the commit; must not fail. */
  committed(rows: readonly unknown[]): void | Promise<void>;
}

/** An open transaction, and what has to happen around its commit. */
export interface Transaction extends Queryable {
  /**
   * Has a statement sent together with COMMIT, so that what it locks is not held for another round trip. It is made
   * when all else is done, once however often the same maker is given.
   */
  lastly(make: () => LastStatement): void;
  /** Runs after COMMIT, in the order given; never when the transaction is rolled back. */
  afterCommit(step: () => void): void;
}

export interface Database extends Queryable {
  /**
   * Runs `work` in one transaction. What the database aborts as deadlocked or not serialisable is run
   * again, at most three times, so `work` must do nothing outside the database.
   */
  transaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result>;
  /** True when no other process can use this database: what a killed process held is free at start. */
  readonly exclusive: boolean;
  /** How many connections there are, how many of them do nothing, and how many callers wait for one. */
  connections(): ConnectionCounts;
  close(): Promise<void>;
}

export interface ConnectionCounts {
  readonly open: number;
  readonly idle: number;
  readonly waiting: number;
}

/** What is done but for its last statements. */
export interface Work<Result> {
  readonly result: Result;
  readonly last: readonly Statement[];
}

/** What is done, with the rows of each of its last statements. */
export interface Committed<Result> {
  readonly result: Result;
  readonly rows: ReadonlyArray<readonly unknown[]>;
}

/** What a driver brings: statements on one connection, and a way to have one for a transaction. */
export interface Driver extends Queryable {
  /** BEGIN, `work`, the last statements that it answers and COMMIT, or ROLLBACK, on one connection. */
  begin<Result>(work: (connection: Queryable) => Promise<Work<Result>>): Promise<Committed<Result>>;
  readonly exclusive: boolean;
  connections(): ConnectionCounts;
  close(): Promise<void>;
}

const maximumRetries = 3;
const serializationFailure = '40001';
const deadlockDetected = '40P01';

/** One interface over the drivers: transactions with commit hooks and bounded retries. */
export function createDatabase(driver: Driver): Database {
  // On one connection a statement outside the transaction that waits inside it waits for ever. Where there are
  // several nothing waits, and keeping track would slow down every promise of the process.
  const inside = driver.exclusive ? new AsyncLocalStorage<true>() : undefined;

  async function attempt<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    const makers = new Set<() => LastStatement>();
    const after: Array<() => void> = [];
    let last: readonly LastStatement[] = [];
    const { result, rows } = await driver.begin((connection) => {
      const tx: Transaction = {
        query: (sql, parameters) => connection.query(sql, parameters),
        lastly: (make) => makers.add(make),
        afterCommit: (step) => after.push(step),
      };
      const run = async () => {
        const done = await work(tx);
        last = [...makers].map((make) => make());
        return { result: done, last };
      };
      return inside ? inside.run(true, run) : run();
    });
    for (const step of after) step();
    for (const [index, { committed }] of last.entries()) await committed(rows[index] as readonly unknown[]);
    return result;
  }

  function refuseInside(): void {
    if (inside?.getStore()) throw new Error('The database was used outside of the open transaction.');
  }

  return {
    exclusive: driver.exclusive,
    async query(sql, parameters) {
      refuseInside();
      return driver.query(sql, parameters);
    },
    async transaction(work) {
      refuseInside();
      for (let retry = 0; ; retry += 1) {
        try {
          return await attempt(work);
        } catch (error) {
          if (retry === maximumRetries || !isRetryable(error)) throw error;
        }
      }
    },
    connections: () => driver.connections(),
    close: () => driver.close(),
  };
}

function isRetryable(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === serializationFailure || code === deadlockDetected;
}
