import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ConnectionArguments, listConnection } from '../../src/graphql/connections.ts';
import { readPageOf } from '../../src/platform/database/page.ts';
import { useDatabase } from '../support/database.ts';

interface Entry {
  readonly id: string;
  readonly colour: string;
}

const db = useDatabase();
let entries: Entry[] = [];

beforeAll(async () => {
  await db().query(
    'CREATE TABLE entries (id text PRIMARY KEY, created_at timestamptz NOT NULL, colour text)',
  );
  // Many were made in the same moment: their ids decide.
  for (let n = 0; n < 150; n += 1)
    await db().query('INSERT INTO entries VALUES ($1, $2, $3)', [
      `e${(n * 37) % 150}`,
      new Date(1_000 * Math.floor(n / 4)),
      n % 3 === 0 ? 'red' : 'blue',
    ]);
  entries = await db().query<Entry>('SELECT id, colour FROM entries ORDER BY created_at DESC, id DESC');
});

const list = (args: ConnectionArguments, colour?: string) =>
  listConnection<Entry>(
    args,
    (entry) => entry.id,
    (page) => readPageOf<Entry>(db(), 'entries', 'id, colour', { colour }, page),
  );

const colours = fc.constantFrom(undefined, 'red', 'blue', 'green');
const expected = (colour: string | undefined) =>
  entries.filter((entry) => colour === undefined || entry.colour === colour);

describe('a list', () => {
  it('is walked through from its beginning, page by page', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 7, max: 100 }), colours, async (first, colour) => {
        const walked: Entry[] = [];
        for (let after: string | null = null; ; ) {
          const { edges, pageInfo } = await list({ first, after }, colour);
          walked.push(...edges.map(({ node }) => node));
          expect(pageInfo.hasPreviousPage).toBe(after !== null);
          expect(pageInfo.endCursor).toBe(edges.at(-1)?.cursor ?? '');
          if (!pageInfo.hasNextPage) break;
          expect(edges).toHaveLength(first);
          after = pageInfo.endCursor ?? null;
        }
        expect(walked).toEqual(expected(colour));
      }),
      { numRuns: 12 },
    );
  });

  it('is walked through from its end, page by page', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 7, max: 100 }), colours, async (last, colour) => {
        const walked: Entry[] = [];
        for (let before: string | null = null; ; ) {
          const { edges, pageInfo } = await list({ last, before }, colour);
          walked.unshift(...edges.map(({ node }) => node));
          expect(pageInfo.hasNextPage).toBe(before !== null);
          if (!pageInfo.hasPreviousPage) break;
          before = pageInfo.startCursor ?? null;
        }
        expect(walked).toEqual(expected(colour));
      }),
      { numRuns: 12 },
    );
  });

  it('is cut between two entries', async () => {
    const [after, before] = [entries[10]?.id, entries[20]?.id];
    const between = entries.slice(11, 20);
    const nodes = async (args: ConnectionArguments) => (await list(args)).edges.map(({ node }) => node);
    expect(await nodes({ after, before, first: 100 })).toEqual(between);
    expect(await nodes({ after, before, first: 3 })).toEqual(between.slice(0, 3));
    expect(await nodes({ after, before, last: 3 })).toEqual(between.slice(-3));
    expect(await nodes({ after: 'no entry', first: 3 })).toEqual([]);
  });

  it('comes by twenty, and has nothing where nothing is asked for', async () => {
    const { edges, pageInfo } = await list({});
    expect(edges.map(({ node }) => node)).toEqual(entries.slice(0, 20));
    expect(pageInfo).toEqual({
      startCursor: entries[0]?.id,
      endCursor: entries[19]?.id,
      hasPreviousPage: false,
      hasNextPage: true,
    });
    expect((await list({ first: 0 })).edges).toEqual([]);
  });

  it.each([
    [{ first: -1 }, 'first'],
    [{ last: -1 }, 'last'],
    [{ first: 101 }, 'first'],
    [{ last: 101 }, 'last'],
    [{ first: 5, last: 101 }, 'last'],
  ])('of the size %j is refused', async (args, argument) => {
    await expect(list(args)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', details: { argument } });
  });
});
