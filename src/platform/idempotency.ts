import { createHash } from 'node:crypto';
import type { Clock } from './clock.ts';
import type { Queryable, Transaction } from './database/database.ts';
import { conflict } from './errors.ts';

/** One request of one caller: the same key and input mean the same request. */
export interface IdempotentRequest {
  readonly caller: string;
  readonly mutation: string;
  readonly key: string;
  readonly input: unknown;
}

export type Idempotency = ReturnType<typeof createIdempotency>;

/** How long a key is kept. */
type Keep = 'FOR_GOOD' | 'SEVEN_DAYS';

const keptMs = 7 * 24 * 3_600_000;

/** Remembers what a request has made, so that sending it again makes nothing. */
export function createIdempotency({ clock }: { readonly clock: Clock }) {
  async function find<Result>(db: Queryable, request: IdempotentRequest): Promise<Result | undefined> {
    const [known] = await db.query<{ inputHash: string; result: Result }>(
      `SELECT input_hash AS "inputHash", result FROM idempotency_keys
       WHERE caller = $1 AND mutation = $2 AND key = $3`,
      [request.caller, request.mutation, request.key],
    );
    if (known && known.inputHash !== hashInput(request.input))
      throw conflict('IDEMPOTENCY_KEY_REUSED', 'The idempotency key was used with another input.');
    return known?.result;
  }

  /** A statement that claims a key; its parameters are numbered behind as many others. */
  function claimStatement(
    { caller, mutation, key, input }: IdempotentRequest,
    result: unknown,
    keep: Keep,
    others: number,
  ) {
    const expiresAt = keep === 'FOR_GOOD' ? null : new Date(clock.now() + keptMs);
    const parameters = [caller, mutation, key, hashInput(input), JSON.stringify(result), expiresAt];
    const places = parameters.map((_, index) => `$${others + index + 1}`);
    const sql = `INSERT INTO idempotency_keys (caller, mutation, key, input_hash, result, expires_at)
      VALUES (${places.join(', ')}) ON CONFLICT DO NOTHING RETURNING 1`;
    return { sql, parameters };
  }

  return {
    /**
     * What the request has made before, if it was made.
     * @throws PublicError CONFLICT (IDEMPOTENCY_KEY_REUSED) when the key came with another input.
     */
    find,

    /**
     * Claims the key in the transaction that does what is asked. A request that runs at the same moment
     * waits here, and is then told what the other has made.
     * @returns undefined when it is new; else the earlier result.
     */
    async claim<Result>(
      tx: Transaction,
      request: IdempotentRequest,
      result: Result,
      keep: Keep = 'SEVEN_DAYS',
    ): Promise<Result | undefined> {
      const { sql, parameters } = claimStatement(request, result, keep, 0);
      const claimed = await tx.query(sql, parameters);
      return claimed.length > 0 ? undefined : find<Result>(tx, request);
    },

    /**
     * As `claim`, by one statement with the first that `lock` sends: one that locks a row of what the request changes.
     * @returns what `lock` does, beside the earlier result.
     */
    async claimLocking<Result, Locked>(
      tx: Transaction,
      request: IdempotentRequest,
      result: Result,
      lock: (tx: Transaction) => Promise<Locked>,
      keep: Keep = 'SEVEN_DAYS',
    ): Promise<{ readonly locked: Locked; readonly earlier: Result | undefined }> {
      let isNew: boolean | undefined;
      async function query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
        if (isNew !== undefined) return tx.query<Row>(sql, parameters);
        const claim = claimStatement(request, result, keep, parameters.length);
        const rows = await tx.query<Row & { readonly isNew: boolean }>(
          `WITH claimed AS (${claim.sql}), locked AS (${sql})
           SELECT locked.*, EXISTS (SELECT 1 FROM claimed) AS "isNew" FROM locked`,
          [...parameters, ...claim.parameters],
        );
        isNew = rows[0]?.isNew ?? true;
        return rows;
      }
      const locked = await lock({ ...tx, query });
      return { locked, earlier: isNew ? undefined : await find<Result>(tx, request) };
    },

    /** Forgets keys that are past their time, a bounded number at once; answers whether there may be more. */
    async forgetExpired(db: Queryable): Promise<boolean> {
      const rows = await db.query(
        `DELETE FROM idempotency_keys WHERE (caller, mutation, key) IN (
           SELECT caller, mutation, key FROM idempotency_keys WHERE expires_at <= $1 LIMIT 500
         ) RETURNING 1`,
        [new Date(clock.now())],
      );
      return rows.length === 500;
    },
  };
}

/** The hash of an input, the same for the same values in whichever order they stand. */
function hashInput(input: unknown): string {
  const canonical = JSON.stringify(input, (_, value: unknown) => {
    if (typeof value === 'bigint') return value.toString();
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return createHash('sha256').update(canonical).digest('hex');
}
