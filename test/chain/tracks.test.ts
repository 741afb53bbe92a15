import { expect, it } from 'vitest';
import { createTracks } from '../../src/chain/tracking/tracks.ts';
import { trimWork } from '../../src/platform/log/retention.ts';
import { createWorkQueue } from '../../src/platform/work/queue.ts';
import { standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';

const db = useDatabase();
const dayMs = 86_400_000;

it('is kept for 7 days behind its last watcher, and then forgotten', async () => {
  const clock = standingClock();
  const watched = new Set<string>();
  const hub = {
    *watched() {
      for (const topic of watched) yield { topic, head: 0 };
    },
  };
  const fail = (error: unknown) => {
    throw error;
  };
  const queue = createWorkQueue({ db: db(), clock });
  const tracks = createTracks({ db: db(), clock, queue, hub, maximum: 0, onError: fail });
  const kept = async () => {
    while (await tracks.forget());
    const rows = await db().query<{ id: string }>('SELECT id FROM bitcoin_tracks ORDER BY id');
    return rows.map(({ id }) => `transactions:${id}`);
  };
  const requester = { caller: 'usr_a', address: null };
  const addresses = ['bcrt1qours00000000'];
  const left = await tracks.track({ txids: ['a'.repeat(64)], addresses }, requester);
  const stays = await tracks.track({ txids: [], addresses }, requester);
  expect(await tracks.track({ txids: [], addresses: [...addresses, ...addresses] }, undefined)).toBe(stays);
  watched.add(stays);

  clock.advance(6 * dayMs);
  await tracks.prolong();
  expect(await kept()).toEqual([left, stays].sort());
  clock.advance(2 * dayMs);
  expect(await kept()).toEqual([stays]);
  expect(await db().query('SELECT key FROM work WHERE kind = $1', [trimWork])).toEqual([{ key: left }]);

  // Whoever comes back to it has it kept as well.
  clock.advance(4 * dayMs);
  await tracks.track({ txids: [], addresses }, requester);
  clock.advance(6 * dayMs);
  expect(await kept()).toEqual([stays]);
  clock.advance(2 * dayMs);
  expect(await kept()).toEqual([]);
  expect(await db().query('SELECT key FROM bitcoin_track_keys')).toEqual([]);
  await tracks.close();
});
