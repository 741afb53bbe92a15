import type { Clock } from '../clock.ts';
import type { Database, Queryable, Transaction } from '../database/database.ts';

/** A piece of due work that its holder has to itself until the lease ends. */
export interface LeasedWork {
  readonly kind: string;
  readonly key: string;
  readonly holder: string;
  /** How often it has been begun, this time included. */
  readonly attempts: number;
}

export type WorkQueue = ReturnType<typeof createWorkQueue>;

/** Durable work: rows written by the transaction that makes something due, leased by who does it. */
export function createWorkQueue({ db, clock }: { readonly db: Database; readonly clock: Clock }) {
  const scheduled = new Set<() => void>();
  const leaseEnd = (leaseMs: number) => new Date(clock.now() + leaseMs);

  return {
    /** Makes work due, from its first attempt; a lease on it ends. The runner hears of it at commit. */
    async schedule(tx: Transaction, kind: string, key: string, dueAt: Date): Promise<void> {
      await tx.query(
        `INSERT INTO work (kind, key, due_at) VALUES ($1, $2, $3)
         ON CONFLICT (kind, key) DO UPDATE
         SET due_at = excluded.due_at, attempts = 0, holder = NULL, leased_until = NULL`,
        [kind, key, dueAt],
      );
      tx.afterCommit(() => {
        for (const hear of scheduled) hear();
      });
    },

    /** Makes work due unless it is scheduled already: for what every node schedules at its start. */
    async scheduleOnce(tx: Transaction, kind: string, key: string, dueAt: Date): Promise<void> {
      await tx.query('INSERT INTO work (kind, key, due_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
        kind,
        key,
        dueAt,
      ]);
    },

    /** Strikes work that is done or no longer wanted. */
    async cancel(tx: Transaction, kind: string, key: string): Promise<void> {
      await tx.query('DELETE FROM work WHERE kind = $1 AND key = $2', [kind, key]);
    },

    /** Takes what is due and free, oldest first; `holder` is made unique for each by the caller's prefix. */
    async lease(kind: string, limit: number, holder: string, leaseMs: number): Promise<LeasedWork[]> {
      return db.query<LeasedWork>(
        `UPDATE work w SET holder = $3 || gen_random_uuid(), leased_until = $4, attempts = w.attempts + 1
         FROM (
           SELECT kind, key FROM work
           WHERE kind = $1 AND due_at <= $5 AND (leased_until IS NULL OR leased_until <= $5)
           ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
         ) due
         WHERE w.kind = due.kind AND w.key = due.key
         RETURNING w.kind, w.key, w.holder, w.attempts`,
        [kind, limit, holder, leaseEnd(leaseMs), new Date(clock.now())],
      );
    },

    /**
     * Takes one piece of due work by name, or renews the holder's own lease.
     * @returns when the lease ends; undefined when the work is not there, not due, or another's.
     */
    async leaseOne(
      tx: Queryable,
      kind: string,
      key: string,
      holder: string,
      leaseMs: number,
    ): Promise<Date | undefined> {
      const rows = await tx.query<{ leasedUntil: Date }>(
        `UPDATE work SET holder = $3, leased_until = $4,
                attempts = attempts + CASE WHEN holder = $3 THEN 0 ELSE 1 END
         WHERE kind = $1 AND key = $2 AND due_at <= $5
           AND (leased_until IS NULL OR leased_until <= $5 OR holder = $3)
         RETURNING leased_until AS "leasedUntil"`,
        [kind, key, holder, leaseEnd(leaseMs), new Date(clock.now())],
      );
      return rows[0]?.leasedUntil;
    },

    /** The due work of a kind that nobody holds, oldest first. */
    async free(kind: string, limit: number): Promise<string[]> {
      const rows = await db.query<{ key: string }>(
        `SELECT key FROM work WHERE kind = $1 AND due_at <= $3 AND (leased_until IS NULL OR leased_until <= $3)
         ORDER BY due_at LIMIT $2`,
        [kind, limit, new Date(clock.now())],
      );
      return rows.map((row) => row.key);
    },

    /** Whether the holder's lease is still good; locks the row until the transaction ends. */
    async holds(tx: Transaction, kind: string, key: string, holder: string): Promise<boolean> {
      const rows = await tx.query(
        'SELECT 1 FROM work WHERE kind = $1 AND key = $2 AND holder = $3 AND leased_until > $4 FOR UPDATE',
        [kind, key, holder, new Date(clock.now())],
      );
      return rows.length > 0;
    },

    /** Strikes leased work, unless the lease was lost or the work was scheduled anew meanwhile. */
    async finish({ kind, key, holder }: LeasedWork): Promise<void> {
      await db.query('DELETE FROM work WHERE kind = $1 AND key = $2 AND holder = $3', [kind, key, holder]);
    },

    /** Gives leased work back, due again at a time. */
    async postpone({ kind, key, holder }: LeasedWork, dueAt: Date): Promise<void> {
      await db.query(
        `UPDATE work SET due_at = $4, holder = NULL, leased_until = NULL
         WHERE kind = $1 AND key = $2 AND holder = $3`,
        [kind, key, holder, dueAt],
      );
    },

    /** Keeps a lease while the work goes on; false when it was lost. */
    async renew({ kind, key, holder }: LeasedWork, leaseMs: number): Promise<boolean> {
      const renewed = await db.query(
        'UPDATE work SET leased_until = $4 WHERE kind = $1 AND key = $2 AND holder = $3 RETURNING 1',
        [kind, key, holder, leaseEnd(leaseMs)],
      );
      return renewed.length > 0;
    },

    /** Frees all that holders of this prefix have: they are known to be dead. */
    async releaseAll(prefix: string): Promise<void> {
      await db.query('UPDATE work SET holder = NULL, leased_until = NULL WHERE starts_with(holder, $1)', [
        prefix,
      ]);
    },

    /** When the next free work of these kinds is due or a lease on one ends. */
    async nextDue(kinds: readonly string[]): Promise<Date | undefined> {
      // Of all that nobody holds, only the first of each kind is looked at; what is held is little.
      const rows = await db.query<{ next: Date | null }>(
        `SELECT min(each.next) AS next FROM unnest($1::text[]) AS wanted(kind), LATERAL (
           (SELECT due_at AS next FROM work
            WHERE kind = wanted.kind AND leased_until IS NULL ORDER BY due_at LIMIT 1)
           UNION ALL
           (SELECT greatest(due_at, leased_until) FROM work
            WHERE kind = wanted.kind AND leased_until IS NOT NULL)
         ) each`,
        [kinds],
      );
      return rows[0]?.next ?? undefined;
    },

    /** Hears of work that this process has scheduled. */
    onScheduled(hear: () => void): () => void {
      scheduled.add(hear);
      return () => scheduled.delete(hear);
    },
  };
}
