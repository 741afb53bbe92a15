import { expect, it } from 'vitest';
import type { Context } from '../../src/graphql/context.ts';
import { createBatches, load } from '../../src/graphql/loaders.ts';
import type { Database } from '../../src/platform/database/database.ts';

interface Row {
  readonly key: string;
  readonly read: number;
}

/** Reads any key but `nobody`, and keeps count. */
function counting() {
  const asked: string[][] = [];
  const read = async (_db: Database, keys: readonly string[]): Promise<Row[]> => {
    asked.push([...keys]);
    return keys
      .filter((key) => key !== 'nobody')
      .map((key) => ({ key, read: asked.length }))
      .reverse();
  };
  return { asked, read };
}

const batches = createBatches({} as Database);
const context = () => ({ services: { batches }, loaders: new Map() }) as unknown as Context;
const keyOf = (row: Row) => row.key;

it('reads all that is asked for in a turn at once, by whichever contexts, each once, and leaves out what is not there', async () => {
  const { asked, read } = counting();
  const one = context();
  const keys = ['a', 'nobody', 'b', 'a'];
  const rows = await Promise.all(keys.map((key) => load(one, read, keyOf, key)));
  expect(rows.map((row) => row?.key)).toEqual(['a', undefined, 'b', 'a']);
  expect(await load(one, read, keyOf, 'b')).toBe(rows[2]);
  expect(asked).toEqual([['a', 'nobody', 'b']]);
  const others = [context(), context()];
  await Promise.all(others.map((other, index) => load(other, read, keyOf, ['a', 'b'][index] as string)));
  expect(asked.slice(1)).toEqual([['a', 'b']]);
});

it('knows nothing of what another context, or another way of reading, has loaded', async () => {
  const [one, two] = [counting(), counting()];
  for (const each of [context(), context(), context()]) {
    await load(each, one.read, keyOf, 'a');
    await load(each, two.read, keyOf, 'a');
  }
  expect(one.asked).toEqual([['a'], ['a'], ['a']]);
  expect(two.asked).toEqual([['a'], ['a'], ['a']]);
});
