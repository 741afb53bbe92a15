import { expect, it } from 'vitest';
import { openPglite } from '../../src/platform/database/pglite.ts';
import {
  applied,
  blockOn,
  chainhookEnv,
  deliver,
  genesis,
  type TestBlock,
  transaction,
} from '../support/chainhook.ts';
import { serverProcess } from '../support/process.ts';
import { until } from '../support/until.ts';

const kills = 5;

it('loses no delivery, though the process is killed right after it has answered', async () => {
  const server = await serverProcess(chainhookEnv);
  const blocks: TestBlock[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    await server.start();
    const block = blockOn(blocks.at(-1) ?? genesis(), transaction({ event: 'made', n: BigInt(kill) }));
    await deliver(server, 'streams', applied(block));
    await server.kill();
    blocks.push(block);
  }
  await server.start();
  await until('the processing', async () => {
    await server.stop();
    const db = await openPglite(server.dataDir);
    const waiting = await db.query('SELECT 1 FROM inbox_deliveries');
    const known = await db.query<{ hash: string }>(
      'SELECT hash FROM chain_blocks WHERE canonical ORDER BY height',
    );
    await db.close();
    if (waiting.length > 0) {
      await server.start();
      return false;
    }
    expect(known.map(({ hash }) => hash)).toEqual(blocks.map(({ hash }) => hash));
    return true;
  });
}, 120_000);
