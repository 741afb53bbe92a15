import type { LogEntry } from './checker.ts';
import type { Cluster } from './cluster.ts';

/** What Postgres knows of a run when it is over. */
export interface Evidence {
  readonly logs: ReadonlyMap<string, readonly LogEntry[]>;
  /** When the right of a token ended: the commit of its revocation; ms, by `jti`. */
  readonly revoked: ReadonlyMap<string, number>;
  /** What is wrong with the money; empty when it adds up. */
  readonly money: readonly string[];
}

/** A token that a client had. */
export interface HeldToken {
  readonly id: string;
  readonly subject: string;
  readonly issuedAtMs: number;
}

const committedAt = '(extract(epoch FROM pg_xact_commit_timestamp(p.xmin)) * 1000)::float8 AS "committedAt"';

/** Reads the whole log, the ends of rights, and the ledger. */
export async function readEvidence(
  { query }: Cluster,
  tokens: ReadonlyMap<string, HeldToken>,
): Promise<Evidence> {
  const rows = await query<LogEntry & { readonly topic: string }>(
    `SELECT p.topic, p.seq::int AS seq, e.id, e.type, ${committedAt}
     FROM topic_events p JOIN events e ON e.id = p.event_id ORDER BY p.topic, p.seq`,
  );
  const logs = new Map<string, LogEntry[]>();
  for (const row of rows) {
    const log = logs.get(row.topic);
    if (log) log.push(row);
    else logs.set(row.topic, [row]);
  }
  return { logs, revoked: await readRevoked(query, tokens), money: await readMoney(query) };
}

async function readRevoked(
  query: Cluster['query'],
  tokens: ReadonlyMap<string, HeldToken>,
): Promise<ReadonlyMap<string, number>> {
  const rows = await query<{
    readonly tokenId: string | null;
    readonly subject: string | null;
    readonly before: number | null;
    readonly committedAt: number;
  }>(
    `SELECT e.facts->>'tokenId' AS "tokenId", u.subject, (e.facts->>'before')::float8 AS before, ${committedAt}
     FROM topic_events p JOIN events e ON e.id = p.event_id LEFT JOIN users u ON u.id = e.facts->>'userId'
     WHERE p.topic = 'revocations' ORDER BY p.seq DESC`,
  );
  const revoked = new Map<string, number>();
  // The earliest comes last.
  for (const { tokenId, subject, before, committedAt: at } of rows) {
    if (tokenId !== null && tokens.has(tokenId)) revoked.set(tokenId, at);
    for (const token of tokens.values())
      if (token.subject === subject && token.issuedAtMs < Number(before)) revoked.set(token.id, at);
  }
  return revoked;
}

async function readMoney(query: Cluster['query']): Promise<string[]> {
  const [ledger] = await query<{ readonly sum: string | null }>(
    `SELECT sum(part)::text AS sum FROM (
       SELECT balance_sats::numeric AS part FROM balances
       UNION ALL SELECT sum_sats FROM collected_sums
       UNION ALL SELECT change_sats FROM collected_changes
     ) parts`,
  );
  const booked = await query<{ readonly hash: string }>(
    `SELECT i.payment_hash AS hash FROM invoices i
     LEFT JOIN transfers t ON t.key IN ('paid:' || i.payment_hash, 'returned:' || i.payment_hash)
     GROUP BY i.payment_hash HAVING coalesce(sum(t.amount_sats), 0) <> coalesce(i.received_sats, 0)`,
  );
  const unpaid = await query<{ readonly hash: string }>(
    `SELECT s.payment_hash AS hash FROM stub_invoices s JOIN invoices i ON i.payment_hash = s.payment_hash
     WHERE s.paid_at IS NOT NULL AND i.received_sats IS NULL`,
  );
  return [
    ...(ledger?.sum === '0' ? [] : [`All accounts together hold ${ledger?.sum} sats.`]),
    ...booked.map(({ hash }) => `The invoice ${hash} is not booked as it was paid.`),
    ...unpaid.map(({ hash }) => `The invoice ${hash} was paid, and nobody knows.`),
  ];
}
