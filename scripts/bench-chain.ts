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

const core = await startCore();
core.mine(3);
const someTx = () => ({
  vsize: 100 + Math.floor(Math.random() * 900),
  fee: 100 + Math.floor(Math.random() * 40_000),
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
for (const count of WATCHERS) {
  while (watched.length < count) watched.push(clients.watch(watch, {}));
  await until('the present state', () => watched.every(({ events }) => events.length > 0));
  table.push(
    await phase(`${ENTERING_PER_SECOND} a second enter, for ${PHASE_SECONDS} s`, watched, async () => {
      for (let turn = 0; turn < PHASE_SECONDS * 10; turn += 1) {
        ids.push(...core.enter(Array.from({ length: ENTERING_PER_SECOND / 10 }, someTx)));
        await pause(100);
      }
    }),
  );
  table.push(
    await phase(`a block with ${IN_BLOCK}`, watched, async () => {
      const expected = ids.length - IN_BLOCK;
      core.leave(ids.splice(0, IN_BLOCK), { isConfirmed: true });
      await until('the block', async () => (await waits()) === expected, 60_000);
    }),
  );
}
console.table(table);

await server.stop();
await core.stop();
await rm(dataDir, { recursive: true });
process.exit();
