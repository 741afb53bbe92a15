import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../support/until.ts';
import type { Asker } from './ask.ts';
import { guestsPerClient } from './client-plan.ts';
import type { FaultClient } from './clients.ts';
import type { Cluster } from './cluster.ts';
import type { FaultKind, PlannedFault } from './schedule.ts';
import { claimsOf } from './tokens.ts';

/** What was done, from when to when; ms of the machine's clock. */
export interface JournalEntry {
  readonly kind: FaultKind;
  readonly target: string;
  readonly from: number;
  to: number;
}

interface Options {
  readonly cluster: Cluster;
  readonly clients: readonly FaultClient[];
  readonly asker: Asker;
  readonly adminToken: string;
  readonly journal: JournalEntry[];
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What a fault is done to: `key` is what no other fault may have at the same time. */
interface Aim {
  readonly key: string;
  readonly name: string;
  act(forMs: number): Promise<void>;
}

const always = (value: boolean) => () => value;
const clockStepsMs = 20_000;
const signOut = 'mutation { signOut { signedOut } }';
const revoke = 'mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) { revoked } }';

/** Carries out a plan: each fault when its time has come, and what it is aimed at is free. Resolves when all are over. */
export async function carryOut(plan: readonly PlannedFault[], options: Options): Promise<void> {
  const begin = performance.now();
  const busy = new Map<string, Promise<void>>();
  for (const fault of plan) {
    const aim = aimOf(fault, options);
    await pause(Math.max(0, begin + fault.atMs - performance.now()), undefined, { signal: options.signal });
    const before = busy.get(aim.key) ?? Promise.resolve();
    const done = before.then(async () => {
      const entry = { kind: fault.kind, target: aim.name, from: Date.now(), to: Number.POSITIVE_INFINITY };
      options.journal.push(entry);
      await aim.act(fault.forMs);
      entry.to = Date.now();
      options.say(`${fault.kind}: ${aim.name}, ${entry.to - entry.from} ms`);
    });
    // Whoever waits for all of them hears of it.
    done.catch(() => {});
    busy.set(aim.key, done);
  }
  await Promise.all(busy.values());
}

function aimOf({ kind, target }: PlannedFault, { cluster, clients, asker, adminToken }: Options): Aim {
  const { nodes, redis } = cluster;
  const node = nodes[target % nodes.length]!;
  const client = clients[target % clients.length]!;
  const nodeName = `node ${target % nodes.length}`;
  const at = (what: string, act: Aim['act']): Aim => ({ key: what, name: what, act });

  /** Holds something up for a while. */
  const hold = (begin: () => void, end: () => void) => async (forMs: number) => {
    begin();
    await pause(forMs);
    end();
  };
  /** Has a right of a guest end. */
  const guest = (act: (token: string, connection: string) => Promise<unknown>): Aim => {
    const owner = clients[Math.floor(target / guestsPerClient) % clients.length]!;
    const connection = `guest-${target % guestsPerClient}`;
    const name = `${connection} of ${owner.plan.name}`;
    return at(name, async () => {
      // A client that was killed has no token until it is back; that waits no longer than what it waits for.
      const token = await until('the token of a guest', () => owner.tokens.get(connection), 120_000);
      await act(token, connection);
      // It has not ended: the checker says so.
      await until('another token', () => owner.tokens.get(connection) !== token).catch(() => {});
    });
  };

  const aims: Readonly<Record<FaultKind, () => Aim>> = {
    'client sockets cut': () => at(`clients of ${nodeName}`, async () => void node.clients.cut()),
    'client sockets stalled': () =>
      at(`clients of ${nodeName}`, hold(node.clients.stall, node.clients.resume)),
    'client stopped': () => at(client.plan.name, hold(client.process.stop, client.process.resume)),
    'client killed': () =>
      at(client.plan.name, async () => {
        await client.process.kill();
        await client.restart();
      }),
    'node stopped': () => at(nodeName, hold(node.process.stop, node.process.resume)),
    'node killed': () =>
      at(nodeName, async (forMs) => {
        await node.process.kill();
        await pause(forMs);
        await node.process.start();
      }),
    'node drained': () =>
      at(nodeName, async () => {
        await node.process.drain();
        await node.process.start();
      }),
    'Redis restarted': () =>
      at('Redis', async (forMs) => {
        await redis.kill();
        await pause(forMs);
        // Its port may have been taken for a moment by a connection of somebody else.
        await until('Redis', () => redis.start().then(always(true), always(false)));
      }),
    'Redis stopped': () => at('Redis', hold(redis.pause, redis.resume)),
    'Redis paused': () =>
      at('Redis', async (forMs) => {
        await redis.command('CLIENT', 'PAUSE', String(forMs), 'ALL');
        await pause(forMs);
      }),
    'Redis subscribers killed': () => at('Redis', async () => void (await redis.killSubscribers())),
    'Redis connections cut': () => at(`Redis of ${nodeName}`, async () => void node.redis.cut()),
    'Redis connections stalled': () => at(`Redis of ${nodeName}`, hold(node.redis.stall, node.redis.resume)),
    'Postgres backends terminated': () =>
      at('Postgres', async () => {
        await cluster.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'satwire'`,
        );
      }),
    'Postgres connections cut': () => at(`Postgres of ${nodeName}`, async () => void node.postgres.cut()),
    'Postgres connections stalled': () =>
      at(`Postgres of ${nodeName}`, hold(node.postgres.stall, node.postgres.resume)),
    'token revoked': () =>
      guest((token) => asker.ask(revoke, { input: { jti: claimsOf(token).jti } }, adminToken)),
    'user revoked': () =>
      guest(async (token) => {
        const [user] = await cluster.query<{ id: string }>('SELECT id FROM users WHERE subject = $1', [
          claimsOf(token).sub,
        ]);
        // Nobody that a node has seen: a token that was not used yet.
        if (user) await asker.ask(revoke, { input: { userId: user.id } }, adminToken);
      }),
    'signed out': () =>
      guest((token) =>
        // Its token may have ended by itself, or by an attempt whose answer was lost.
        asker.ask(signOut, {}, token).catch((error: unknown) => {
          if (!String(error).includes('UNAUTHENTICATED')) throw error;
        }),
      ),
    'token short-lived': () =>
      guest(async (_token, connection) => {
        clients[Math.floor(target / guestsPerClient) % clients.length]?.order({
          kind: 'shorten',
          connection,
        });
      }),
    'clock of a node moved': () => at('clocks', async () => node.moveClock(clockStepsMs)),
    'all clocks moved': () =>
      at('clocks', async () => {
        for (const each of nodes) each.moveClock(clockStepsMs);
      }),
  };
  return aims[kind]();
}
