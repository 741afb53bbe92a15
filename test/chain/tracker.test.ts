import { expect, it, onTestFinished } from 'vitest';
import { createCore } from '../../src/chain/core/core.ts';
import { connectBlocks } from '../../src/chain/queries.ts';
import { createTracker } from '../../src/chain/tracking/tracker.ts';
import { createTracks } from '../../src/chain/tracking/tracks.ts';
import { systemClock as clock } from '../../src/platform/clock.ts';
import { createLog } from '../../src/platform/log/log.ts';
import { createWorkQueue } from '../../src/platform/work/queue.ts';
import { startCore } from '../support/core.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

const db = useDatabase();

it('says of nothing that it waits that a block has by the time it is looked at', async () => {
  const core = await startCore({ publishes: false });
  onTestFinished(() => core.stop());
  const source = createCore({ url: new URL(core.rpcUrl) });
  const log = createLog({ db: db(), clock, onCommitted: () => {} });
  const fail = (error: unknown) => {
    throw error;
  };
  const queue = createWorkQueue({ db: db(), clock });
  const hub = { watched: () => [][Symbol.iterator]() as Generator<never> };
  const tracks = createTracks({ db: db(), clock, queue, hub, maximum: 0, onError: fail });
  const tracker = createTracker({ db: db(), clock, log, source, logger: { warn: fail } });
  const takeIn = async () => {
    const block = await source.block(core.tip().hash);
    await db().transaction((tx) => connectBlocks(tx, block ? [block] : []));
    await until('the block to be looked at', async () => {
      const [row] = await db().query<{ block: string }>('SELECT tracked_block AS block FROM bitcoin_chain');
      return row?.block === core.tip().hash;
    });
  };
  const ending = new AbortController();
  const following = tracker.follow(ending.signal);
  try {
    await tracks.track({ txids: ['a'.repeat(64)], addresses: [] }, undefined);
    await takeIn();
    const pays = ['bcrt1qours00000000'];
    const [gone] = core.enter([{ vsize: 200, fee: 500, pays }]);
    const waited = await source.waitingTxs([gone as string]);
    core.mine(1, { has: [gone as string] });
    await takeIn();
    const topic = await tracks.track({ txids: [], addresses: pays }, undefined);
    const [waits] = core.enter([{ vsize: 200, fee: 500, pays }]);
    tracker.entered([...waited, ...(await source.waitingTxs([waits as string]))], false);
    const rows = await until('what waits to be told', async () => {
      const told = await log.readPage(topic, 0, 10);
      return told.length > 0 ? told : undefined;
    });
    expect(rows.map(({ event }) => event.facts.txid)).toEqual([waits]);
  } finally {
    ending.abort();
    await following;
    await tracks.close();
  }
});
