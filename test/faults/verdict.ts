import { checkFeed, type FeedHistory, type Violation } from './checker.ts';
import type { ClientPlan } from './client-plan.ts';
import type { FaultClient } from './clients.ts';
import type { Cluster } from './cluster.ts';
import { type HeldToken, readEvidence } from './evidence.ts';
import type { JournalEntry } from './nemesis.ts';
import { type Delivered, feedName, type Line, readFeedName, readLines, topicOf } from './record.ts';
import { expiredUntil, revokedUntil } from './rights.ts';
import { claimsOf } from './tokens.ts';
import type { Writers } from './writers.ts';

/** What a run has shown. */
export interface Verdict {
  readonly violations: readonly Violation[];
  readonly deliveries: number;
  readonly feeds: number;
  /** Rows of the log. */
  readonly rows: number;
  /** How often a client had a connection acknowledged. */
  readonly connections: number;
  /** Rights that ended while somebody watched. */
  readonly endedRights: number;
}

interface Job {
  readonly id: string;
  readonly owner: string;
}

interface Token extends HeldToken {
  readonly connection: string;
  readonly at: number;
  readonly expiresAtMs: number;
}

/** What clients are told while the database is away, or to whom has no right any more. */
const temporary = ['UNAVAILABLE', '503', '1013'];
const noRight = ['UNAUTHENTICATED', '401', '4401', '4403'];
/** A token was made at most so long before its client has written that down; ms. */
const madeWithinMs = 5_000;

/**
 * Checks all histories against the log, once nothing is written any more and all clients have ended. `lateMs` is
 * what the load of the machine may add to the second in which a right ends.
 */
export async function judge(
  cluster: Cluster,
  clients: readonly FaultClient[],
  acknowledged: Writers['acknowledged'],
  jobs: readonly Job[],
  journal: readonly JournalEntry[],
  lateMs: number,
): Promise<Verdict> {
  const histories = clients.map(({ plan }) => ({ plan, lines: readLines(plan.history) }));
  const tokens = new Map(
    histories.flatMap(({ plan, lines }) => tokensIn(lines, plan.name)).map((token) => [token.id, token]),
  );
  const { logs, revoked, money } = await readEvidence(cluster, tokens);
  const violations: Violation[] = money.map((detail) => ({ kind: 'money', where: 'ledger', at: 0, detail }));
  violations.push(...checkWrites(acknowledged, await readMemos(cluster)));

  const ends = new Map<string, number>();
  for (const { id, expiresAtMs, at } of tokens.values()) {
    const leastAheadMs = Math.min(...cluster.nodes.map((node) => node.aheadAt(at - madeWithinMs)));
    const revokedAt = revoked.get(id);
    const expired = expiredUntil({ expiresAtMs, leastAheadMs }, journal, lateMs);
    ends.set(
      id,
      Math.min(expired, revokedAt === undefined ? expired : revokedUntil(revokedAt, journal, lateMs)),
    );
  }

  let deliveries = 0;
  let feeds = 0;
  for (const { plan, lines } of histories) {
    const guests = new Set(plan.connections.filter(({ isGuest }) => isGuest).map(({ name }) => name));
    violations.push(...checkTold(plan.name, lines, guests));
    for (const history of feedsIn(plan, jobs, lines)) {
      const { field } = readFeedName(history.feed);
      feeds += 1;
      deliveries += history.deliveries.length;
      violations.push(
        ...checkFeed(history, {
          log: logs.get(history.topic) ?? [],
          passes: field === 'sessionDebited' ? (type) => type === 'SessionDebited' : () => true,
          lastAllowed: (token) => ends.get(token),
        }),
      );
    }
  }
  violations.push(...checkLeft(tokens, revoked));
  const rows = [...logs.values()].reduce((sum, log) => sum + log.length, 0);
  const connections = histories.flatMap(({ lines }) => lines).filter(({ kind }) => kind === 'opened').length;
  return { violations, deliveries, feeds, rows, connections, endedRights: revoked.size };
}

function tokensIn(lines: readonly Line[], client: string): Token[] {
  return lines.flatMap((line) => {
    if (line.kind !== 'token') return [];
    const { jti, sub, iat, exp } = claimsOf(line.text);
    const connection = `${client} ${line.connection}`;
    const held = { id: jti, subject: sub, issuedAtMs: iat * 1_000, expiresAtMs: exp * 1_000 };
    return [{ ...held, connection, at: line.at }];
  });
}

/** Every feed that a client had to watch, with what it was told there. */
function feedsIn(
  { name, connections }: ClientPlan,
  jobs: readonly Job[],
  lines: readonly Line[],
): FeedHistory[] {
  const planned = connections.flatMap(({ name: connection, feeds, watchesJobs, bearer }) => [
    ...feeds.map(({ field, id, from }) => feedName(connection, field, id, from)),
    ...jobs
      .filter(({ owner }) => watchesJobs && owner === bearer.subject)
      .map(({ id }) => feedName(connection, 'jobUpdated', id, 'START')),
  ]);
  const byFeed = new Map<string, Delivered[]>(planned.map((feed) => [feed, []]));
  for (const line of lines) if (line.kind === 'event') byFeed.get(line.feed)?.push(line);
  return [...byFeed].map(([feed, deliveries]) => {
    const { field, id, from } = readFeedName(feed);
    return { client: name, feed, topic: topicOf(field, id), fromStart: from === 'START', deliveries };
  });
}

/** That nobody was told anything else than events, but what can be helped by coming back. */
function checkTold(client: string, lines: readonly Line[], guests: ReadonlySet<string>): Violation[] {
  return lines.flatMap((line) => {
    if (line.kind !== 'told') return [];
    const { feed, what, code, at } = line;
    const allowed = guests.has(readFeedName(feed).connection) ? [...temporary, ...noRight] : temporary;
    if (what !== 'complete' && what !== 'errors instead of an event' && allowed.includes(code)) return [];
    return [
      { kind: 'refused' as const, where: `${client}: ${feed}`, at, detail: `It was told: ${what} ${code}.` },
    ];
  });
}

/** That who has lost a right was told so: a client takes a new token for no other reason. */
function checkLeft(tokens: ReadonlyMap<string, Token>, revoked: ReadonlyMap<string, number>): Violation[] {
  return [...revoked].flatMap(([id, at]) => {
    const token = tokens.get(id) as Token;
    const { connection } = token;
    const came = [...tokens.values()].some((other) => other.connection === connection && other.at > token.at);
    const detail = `The token ${id} was revoked, and its connection never ended.`;
    return came ? [] : [{ kind: 'still connected' as const, where: connection, at, detail }];
  });
}

async function readMemos({ query }: Cluster): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await query<{ readonly session: string; readonly memos: string[] }>(
    `SELECT facts->>'sessionId' AS session, array_agg(facts->>'memo') AS memos
     FROM events WHERE type = 'SessionDebited' GROUP BY 1`,
  );
  return new Map(rows.map(({ session, memos }) => [session, memos]));
}

/** That each debit that was acknowledged is in the log, once, and no other. */
function checkWrites(
  acknowledged: Writers['acknowledged'],
  memos: ReadonlyMap<string, readonly string[]>,
): Violation[] {
  return [...acknowledged].flatMap(([session, sent]) => {
    const done = [...(memos.get(session) ?? [])].sort();
    const wanted = [...sent].sort();
    if (JSON.stringify(done) === JSON.stringify(wanted)) return [];
    const lost = wanted.filter((memo) => !done.includes(memo));
    const more = done.filter((memo, n) => !wanted.includes(memo) || memo === done[n - 1]);
    const detail = `Lost: ${lost.join('; ') || 'none'}. Not acknowledged, or twice: ${more.join('; ') || 'none'}.`;
    return [{ kind: 'write lost or doubled' as const, where: session, at: 0, detail }];
  });
}
