import { parseCursor } from '../../src/platform/log/cursor.ts';
import { until } from '../support/until.ts';
import { type Asker, createAsker } from './ask.ts';
import type { Violation } from './checker.ts';
import { guestsPerClient, type Owner } from './client-plan.ts';
import { type FaultClient, startClients } from './clients.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { carryOut, type JournalEntry } from './nemesis.ts';
import { readFeedName, topicOf } from './record.ts';
import { planFaults } from './schedule.ts';
import { judge, type Verdict } from './verdict.ts';
import { type Load, watchNodes } from './watch-nodes.ts';
import { openPaidSession, startWriters, type Writers } from './writers.ts';

/** What a run is made from: the same plan of faults and of writes for the same values. */
export interface RunOptions {
  /** Where a copy of the build is. */
  readonly build: string;
  readonly seed: number;
  readonly faults: number;
  /** How long it takes on average until the next fault begins; ms. */
  readonly everyMs: number;
  readonly clients: number;
  /** What the load of the machine may do: how late an event loop is, and how late a right ends; ms. */
  readonly allowed: { readonly loopDelayMs: number; readonly rightsMs: number };
  readonly say: (line: string) => void;
  /** Gives up, once all has started: everything is ended, and it rejects. */
  readonly signal: AbortSignal;
}

/** How a run ended. */
export interface RunResult extends Verdict, Load {
  readonly seed: number;
  readonly faults: number;
  readonly journal: readonly JournalEntry[];
  /** Where the histories are, when there were violations. */
  readonly folder: string;
  readonly durationMs: number;
}

const nodeCount = 3;
const depositSats = 100_000_000;
/** All have to be where the log is so long after the last fault; ms. */
const healedWithinMs = 60_000;

/** One run: nodes, clients and writers under faults, then the comparison of what was told with the log. */
export async function runFaults(options: RunOptions): Promise<RunResult> {
  const begin = performance.now();
  const { build, seed, faults, everyMs, allowed, say, signal } = options;
  const cluster = await startCluster(build, nodeCount);
  let clients: readonly FaultClient[] = [];
  const urls = cluster.nodes.map(({ url }) => url);
  const asker = createAsker(urls);
  let isClean = false;
  try {
    const owners = await prepareOwners(asker, seed);
    const jobs: Array<{ readonly id: string; readonly owner: string }> = [];
    clients = await startClients(options.clients, { seed, folder: cluster.folder, urls }, owners, () => jobs);
    say('All has started.');

    const writers = startWriters({
      asker,
      seed,
      owners,
      onJob(id, owner) {
        jobs.push({ id, owner });
        for (const client of clients) client.order({ kind: 'job', id, owner });
      },
    });
    const journal: JournalEntry[] = [];
    const watch = watchNodes(cluster, journal, allowed.loopDelayMs);
    const adminToken = await tokenOf(asker, 'root', ['ADMIN']);
    const targets = { node: nodeCount, client: clients.length, guest: clients.length * guestsPerClient };
    const plan = planFaults(seed, faults, everyMs, targets);
    await carryOut(plan, { cluster, clients, asker, adminToken, journal, say, signal });
    say('All is healed.');

    const unfinished = await finish(cluster, clients, writers);
    const violations = [...unfinished, ...watch.stop(), ...unexpectedErrors(cluster)];
    // What they were told is written down, as they have just reported.
    await Promise.all(clients.map(({ process }) => process.kill()));
    const verdict = await judge(cluster, clients, writers.acknowledged, jobs, journal, allowed.rightsMs);
    violations.push(...verdict.violations);
    isClean = violations.length === 0;
    return {
      ...verdict,
      ...watch.load,
      violations,
      folder: cluster.folder,
      seed,
      faults: journal.length,
      journal,
      durationMs: performance.now() - begin,
    };
  } finally {
    asker.close();
    await Promise.all(clients.map(({ process }) => process.kill()));
    await cluster.close(!isClean);
  }
}

const tokenOf = async (asker: Asker, sub: string, roles: readonly string[]): Promise<string> =>
  (await asker.post('/dev/token', { sub, roles, expiresInSeconds: 86_400 })).token;

/** Two owners with two sessions each. */
async function prepareOwners(asker: Asker, seed: number): Promise<Array<Owner & { readonly token: string }>> {
  return Promise.all(
    ['walter', 'paula'].map(async (subject) => {
      const token = await tokenOf(asker, subject, ['USER', 'SERVICE']);
      const { viewer } = await asker.ask('{ viewer { user { id } } }', {}, token);
      const open = (n: number) =>
        openPaidSession(asker, token, `the session of seed ${seed}, ${subject} ${n}`, depositSats);
      return { subject, token, userId: viewer.user.id, sessions: [await open(1), await open(2)] };
    }),
  );
}

/** Has the writers finish and the jobs end, and waits until all clients are where the log is. */
async function finish(
  cluster: Cluster,
  clients: readonly FaultClient[],
  writers: Writers,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const note = (kind: Violation['kind'], where: string) => (error: unknown) =>
    void violations.push({ kind, where, at: Date.now(), detail: String(error) });
  let stopped = false;
  const stopping = writers
    .stop()
    .catch(note('refused', 'a writer'))
    .finally(() => {
      stopped = true;
    });
  await until('the writers to finish', () => stopped, healedWithinMs).catch(note('unfinished', 'writers'));
  if (stopped) await stopping;
  await until('the jobs to end', () => areJobsOver(cluster), healedWithinMs).catch(
    note('unfinished', 'jobs'),
  );
  const heads = await readHeads(cluster);
  await until('the clients to be where the log is', () => haveArrived(clients, heads), healedWithinMs).catch(
    note('unfinished', 'clients'),
  );
  return violations;
}

async function areJobsOver({ query }: Cluster): Promise<boolean> {
  const open = await query(
    `SELECT 1 FROM agent_jobs WHERE state NOT IN ('COMPLETE', 'REJECTED', 'FAILED', 'EXPIRED') LIMIT 1`,
  );
  return open.length === 0;
}

/** The last sequence of each topic, and under its name with `!` that of its last debit. */
async function readHeads({ query }: Cluster): Promise<ReadonlyMap<string, number>> {
  const rows = await query<{
    readonly topic: string;
    readonly head: number;
    readonly debited: number | null;
  }>(
    `SELECT p.topic, max(p.seq)::int AS head, (max(p.seq) FILTER (WHERE e.type = 'SessionDebited'))::int AS debited
     FROM topic_events p JOIN events e ON e.id = p.event_id GROUP BY p.topic`,
  );
  return new Map(
    rows.flatMap(({ topic, head, debited }) => [
      [topic, head] as const,
      [`${topic}!`, debited ?? 0] as const,
    ]),
  );
}

/** Whether every feed that has begun has told the last event; the clients are asked again each time. */
function haveArrived(clients: readonly FaultClient[], heads: ReadonlyMap<string, number>): boolean {
  for (const client of clients) client.order({ kind: 'report' });
  return clients.every(({ positions }) => {
    const feeds = Object.entries(positions);
    return feeds.length > 0 && feeds.every(([feed, cursor]) => isAtEnd(feed, cursor, heads));
  });
}

function isAtEnd(feed: string, cursor: string | null, heads: ReadonlyMap<string, number>): boolean {
  const { field, id } = readFeedName(feed);
  const topic = topicOf(field, id);
  const head = heads.get(field === 'sessionDebited' ? `${topic}!` : topic) ?? 0;
  // Live from now, and nothing has happened since.
  if (cursor === null) return true;
  return cursor === 'START' ? head === 0 : parseCursor(cursor, topic).seq >= head;
}

/** What nodes have logged as nobody's fault but ours. */
function unexpectedErrors({ nodes }: Cluster): Violation[] {
  return nodes.flatMap(({ process }, n) => {
    const lines = process.output.split('\n').filter((line) => line.includes('unexpected error'));
    const detail = `${lines.length} times, first: ${lines[0]}`;
    return lines.length === 0 ? [] : [{ kind: 'unexpected error', where: `node ${n}`, at: 0, detail }];
  });
}
