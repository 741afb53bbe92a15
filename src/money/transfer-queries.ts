import type { Queryable } from '../platform/database/database.ts';
import type { Page } from '../platform/database/page.ts';
import type { Sats } from './sats.ts';

/** A transfer as one of its accounts sees it. */
export interface StatementEntry {
  /** The transfer's, unique for good. */
  readonly key: string;
  /** Positive into the account, negative out of it; sats. */
  readonly amountSats: Sats;
  /** What it left on the account; sats. */
  readonly balanceAfter: Sats;
  readonly reason: string;
  readonly occurredAt: Date;
}

/** The transfers of a wallet, newest first; a page's places are keys of transfers. */
export function readStatement(
  db: Queryable,
  wallet: `wallet:${string}`,
  { after, before, limit, inverted }: Page,
): Promise<StatementEntry[]> {
  const order = inverted ? 'ASC' : 'DESC';
  const side = (end: 'from' | 'to', sign: '-' | '') =>
    `(SELECT id, key, ${sign}amount_sats AS "amountSats", ${end}_balance AS "balanceAfter", reason,
             occurred_at AS "occurredAt"
      FROM transfers WHERE ${end}_account = $1 AND ${end}_account LIKE 'wallet:%'
        AND ($3::text IS NULL OR id < (SELECT id FROM transfers WHERE key = $3))
        AND ($4::text IS NULL OR id > (SELECT id FROM transfers WHERE key = $4))
      ORDER BY id ${order} LIMIT $2)`;
  return db.query<StatementEntry>(
    `SELECT key, "amountSats", "balanceAfter", reason, "occurredAt"
     FROM (${side('from', '-')} UNION ALL ${side('to', '')}) entries ORDER BY id ${order} LIMIT $2`,
    [wallet, limit, after ?? null, before ?? null],
  );
}
