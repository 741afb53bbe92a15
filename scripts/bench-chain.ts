import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createClients, type Received } from '../test/support/clients.ts';
import { startCore } from '../test/support/core.ts';
import { until } from '../test/support/until.ts';
import { startServer } from './lib/server.ts';

/**
 * What a large mempool and a full block cost a node: its event loop, its memory and its CPU, and how many messages each
 * client gets, with few and with many who watch. Bitcoin Core is a stand-in in this process.
 */
const WAITING = 100_000;
const IN_BLOCK = 5_000;
const WATCHERS = [1, 200];
const PHASE_SECONDS = 10;
const ENTERING_PER_SECOND = 50;
/** Who watches addresses, how many each, and which part of all transactions pays one of those. */
const TRACKERS = 200;
const ADDRESSES = 100;
const TRACKED = 0.1;

const core = await startCore();
core.mine(3);
const addressOf = (watcher: number, n: number) => `bcrt1qwatched${watcher}x${n}`.padEnd(20, '0');
const some = (below: number) => Math.floor(Math.random() * below);
const someTx = () => ({
  vsize: 100 + some(900),
  fee: 100 + some(40_000),
  ...(Math.random() < TRACKED && { pays: [addressOf(some(TRACKERS), some(ADDRESSES))] }),
});
const ids = core.enter(Array.from({ length: WAITING }, someTx), { isLost: true });
const dataDir = await mkdtemp(join(tmpdir(), 'satwire-chain-'));
const server = await startServer(dataDir, { ...core.env, LIMIT_MESSAGES_PER_SECOND: '0' });
const clients = createClients(`${server.url}/graphql`, `${server.url.replace('http', 'ws')}/graphql`);

/** What the process says of itself; the longest turn is that since it was asked last. */
async function readLoad() {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
  return {
    at: performance.now(),
    cpuSeconds: value('process_cpu_seconds_total'),
    longestTurnSeconds: value('nodejs_eventloop_lag_max_seconds'),
    memoryBytes: value('process_resident_memory_bytes'),
  };
}

/** What a part of the run has cost. */
async function phase(what: string, watched: readonly Received[], work: () => Promise<unknown>) {
  const counted = () => watched.reduce((sum, { events }) => sum + events.length, 0);
  const [before, messages] = [await readLoad(), counted()];
  await work();
  const after = await readLoad();
  return {
    phase: what,
    watchers: watched.length,
    'CPU, % of a core': Math.round(
      ((after.cpuSeconds - before.cpuSeconds) * 100_000) / (after.at - before.at),
    ),
    'messages per watcher': ((counted() - messages) / Math.max(1, watched.length)).toFixed(1),
    'longest turn, ms': Math.round(after.longestTurnSeconds * 1_000),
    'memory, MB': Math.round(after.memoryBytes / 1e6),
  };
}

const waits = async () =>
  (await clients.send('{ mempool { txCount } }')).data?.mempool.txCount as number | undefined;
const table: object[] = [];
table.push(
  await phase(`reads ${WAITING} that wait`, [], () =>
    until('all that wait', async () => (await waits()) === WAITING, 120_000),
  ),
);
const watched: Received[] = [];
const watch =
  'subscription { mempoolUpdated { mempool { txCount virtualSize histogram { count virtualSize } } } }';
async function enter(): Promise<void> {
  for (let turn = 0; turn < PHASE_SECONDS * 10; turn += 1) {
    ids.push(...core.enter(Array.from({ length: ENTERING_PER_SECOND / 10 }, someTx)));
    await pause(100);
  }
}
const entering = `${ENTERING_PER_SECOND} a second enter, for ${PHASE_SECONDS} s`;
for (const count of WATCHERS) {
  while (watched.length < count) watched.push(clients.watch(watch, {}));
  await until('the present state', () => watched.every(({ events }) => events.length > 0));
  table.push(await phase(entering, watched, enter));
  table.push(
    await phase(`a block with ${IN_BLOCK}`, watched, async () => {
      const expected = ids.length - IN_BLOCK;
      core.leave(ids.splice(0, IN_BLOCK), { isConfirmed: true });
      await until('the block', async () => (await waits()) === expected, 60_000);
    }),
  );
}

/** Where txSeen begins for who watches an id, which is known to be tracked then. */
const mark = () =>
  clients.watch('subscription ($ids: [ID!]) { txSeen(txids: $ids, after: "START") { txid } }', {
    ids: core.enter([someTx()]),
  });
for (const each of watched) each.unsubscribe();
const trackers = Array.from({ length: TRACKERS }, (_, watcher) =>
  clients.watch(
    'subscription ($addresses: [String!]) { txSeen(addresses: $addresses) { __typename txid } }',
    {
      addresses: Array.from({ length: ADDRESSES }, (_address, n) => addressOf(watcher, n)),
    },
  ),
);
await mark().count(1);
table.push(await phase(`${entering}, addresses are watched`, trackers, enter));
table.push(
  await phase(`a block with ${IN_BLOCK}, addresses are watched`, trackers, async () => {
    const has = ids.splice(0, IN_BLOCK);
    const end = mark();
    await end.count(1);
    core.mine(1, { has: [...has, end.events[0].txid] });
    await end.count(2);
  }),
);
console.table(table);

await server.stop();
await core.stop();
await rm(dataDir, { recursive: true });
process.exit();
