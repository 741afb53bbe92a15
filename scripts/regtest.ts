import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { createRpc } from '../src/chain/core/rpc.ts';
import { freePort, startServer } from './lib/server.ts';

/** Follows a real bitcoind in regtest: blocks are mined, and must be told over a WebSocket. */

const withinMs = 60_000;

/** Asks until it is answered. */
async function eventually<Value>(what: string, ask: () => Promise<Value | undefined>): Promise<Value> {
  for (const end = Date.now() + withinMs; Date.now() < end; await pause(200)) {
    const value = await ask().catch(() => undefined);
    if (value !== undefined) return value;
  }
  throw new Error(`Waited in vain for ${what}.`);
}

async function check(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'satwire-regtest-'));
  const [rpcPort, zmqPort] = [await freePort(), await freePort()];
  const zmq = `tcp://127.0.0.1:${zmqPort}`;
  const core = spawn(
    'bitcoind',
    [
      ...['-regtest', `-datadir=${folder}`, '-listen=0', '-server', `-rpcport=${rpcPort}`],
      ...[`-zmqpubhashblock=${zmq}`, `-zmqpubsequence=${zmq}`],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const cookieFile = join(folder, 'regtest', '.cookie');
  const rpc = createRpc({ url: new URL(`http://127.0.0.1:${rpcPort}`), cookieFile });
  let server: Awaited<ReturnType<typeof startServer>> | undefined;
  try {
    const { descriptor } = await eventually('bitcoind', () =>
      rpc.call('getdescriptorinfo', ['raw(51)'], z.object({ descriptor: z.string() })),
    );
    const mine = (count: number) =>
      rpc.call('generatetodescriptor', [count, descriptor], z.array(z.string()));
    await mine(1);
    server = await startServer(join(folder, 'satwire'), {
      BITCOIND_RPC_URL: `http://127.0.0.1:${rpcPort}`,
      BITCOIND_COOKIE_FILE: cookieFile,
      BITCOIND_ZMQ_HASHBLOCK: zmq,
      BITCOIND_ZMQ_SEQUENCE: zmq,
    });
    const url = `${server.url}/graphql`;
    await eventually('the tip', async () => {
      const response = await fetch(`${url}?${new URLSearchParams({ query: '{ chainTip { hash } }' })}`);
      return ((await response.json()) as { data?: { chainTip: object } }).data?.chainTip;
    });
    const client = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket });
    const told: string[] = [];
    client.subscribe(
      { query: 'subscription { blockMined(after: "START") { ... on BlockMined { block { hash } } } }' },
      {
        next: ({ data }) =>
          told.push((data as { blockMined: { block: { hash: string } } }).blockMined.block.hash),
        error: (error) => console.error(error),
        complete: () => {},
      },
    );
    await eventually('the first block', async () => told[0]);
    const mined = await mine(5);
    await eventually('the blocks', async () => (told.length >= 6 ? true : undefined));
    if (told.slice(1).join() !== mined.join()) throw new Error(`Mined ${mined}, and was told ${told}.`);
    console.log('Each block that bitcoind has mined was told, once and in order.');
    await client.dispose();
  } finally {
    await server?.stop();
    core.kill('SIGTERM');
    await new Promise((resolve) => core.once('exit', resolve));
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.env.REGTEST_WS_CHECK !== 'true')
  console.log('Skipped: set REGTEST_WS_CHECK=true to follow a real bitcoind.');
else if (spawnSync('bitcoind', ['-version']).error) console.log('Skipped: no bitcoind is on the PATH.');
else await check();
