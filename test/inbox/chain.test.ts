import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unavailable } from '../../src/platform/errors.ts';
import { useTestApp } from '../support/app.ts';
import {
  applied,
  blockOn,
  bodyOf,
  chainhookEnv,
  contract,
  deliver,
  forms,
  genesis,
  otherContract,
  type Print,
  postChain,
  reorganised,
  type TestBlock,
  transaction,
} from '../support/chainhook.ts';
import { called, recordingMirror } from '../support/recording-mirror.ts';
import { until } from '../support/until.ts';

const app = useTestApp(chainhookEnv);

let entities = 0;
const newEntity = () => {
  entities += 1;
  return `entity-${process.pid}-${entities}`;
};
const print = (entity: string, n: bigint, name = 'made'): Print => ({ event: name, entity, n });

const waiting = async (hook: string) =>
  (
    await app().services.db.query(
      'SELECT 1 FROM inbox_deliveries WHERE source = $1 AND processed_at IS NULL AND failed_at IS NULL',
      [hook],
    )
  ).length;
const processed = (hook: string) => until('the processing', async () => (await waiting(hook)) === 0);

const metric = async (name: string) =>
  Number(
    (await (await fetch(new URL('/metrics', app().url))).text()).match(
      new RegExp(`^${name} (\\d+)`, 'm'),
    )?.[1],
  );

/** Each test has heights of its own, far above those of others. */
let base = 1_000_000;
function begin() {
  base += 1_000;
  const recorder = recordingMirror();
  app().inbox.mirror('streams', recorder.mirror);
  return { ...recorder, root: genesis(base), entity: newEntity() };
}

describe.each(forms)('a delivery in the form %s', (form) => {
  it('is followed, with its numbers exact and in the order of the chain', async () => {
    const { root, entity, changes, state } = begin();
    const large = 2n ** 128n - 1n;
    const first = blockOn(
      root,
      transaction(print(entity, 1n), print(entity, large)),
      transaction(print(entity, -3n)),
    );
    const second = blockOn(
      first,
      transaction({ ...print(entity, 9_007_199_254_740_993n), open: true, memo: null }),
    );
    await deliver(app(), 'streams', applied(second, first), form);
    await until('the change', () => changes.length === 1);
    const names = ['made 1', `made ${large}`, 'made -3', 'made 9007199254740993'];
    expect(changes).toEqual([{ entity, history: names, removed: [], added: names, removedFromLog: [] }]);
    const last = state.get(entity)?.at(-1);
    expect(last).toMatchObject({
      hook: 'streams',
      contract,
      txHash: second.txs[0]?.hash,
      txIndex: 0,
      eventIndex: 1,
      blockHash: second.hash,
      height: second.height,
      timestamp: 1_700_000_000 + second.height * 10,
      value: { open: true, memo: null },
    });
  });

  it('tells of a rollback what is gone, newest first, and of what it had become', async () => {
    const { root, entity, changes } = begin();
    const common = blockOn(root, transaction(print(entity, 1n)));
    const a = blockOn(common, transaction(print(entity, 2n)), transaction(print(entity, 3n)));
    const b = blockOn(common, transaction(print(entity, 4n)));
    await deliver(app(), 'streams', applied(common, a), form);
    await deliver(app(), 'streams', reorganised([a], [b]), form);
    await until('both changes', () => changes.length === 2);
    expect(changes[1]).toMatchObject({
      history: ['made 1', 'made 4'],
      removed: ['made 3', 'made 2'],
      added: ['made 4'],
      removedFromLog: ['told-3', 'told-2'],
    });
  });

  it('tells nobody of a transaction that is rolled back and applied unchanged', async () => {
    const { root, entity, changes, state } = begin();
    const tx = transaction(print(entity, 1n));
    const a = blockOn(root, tx);
    const b = blockOn(root, transaction(print(newEntity(), 5n)), tx);
    await deliver(app(), 'streams', applied(a), form);
    await deliver(app(), 'streams', reorganised([a], [b]), form);
    await until('all changes', () => changes.length === 3);
    const again = changes.filter((change) => change.entity === entity);
    expect(again[1]).toMatchObject({ history: ['made 1'], removed: [], added: [] });
    expect(state.get(entity)?.[0]).toMatchObject({ blockHash: b.hash, txIndex: 1, logEventId: 'told-1' });
    // What it became in the log is still known when it goes for good.
    const c = blockOn(root);
    await deliver(app(), 'streams', reorganised([b], [c]), form);
    await until('its end', () => changes.filter((change) => change.entity === entity).length === 3);
    expect(changes.findLast((change) => change.entity === entity)).toMatchObject({
      history: [],
      removed: ['made 1'],
      removedFromLog: ['told-1'],
    });
  });

  it('ends at A after the forks A, B, A, and a late copy of B changes nothing', async () => {
    const { root, entity, changes, state } = begin();
    const a = blockOn(root, transaction(print(entity, 1n, 'a')));
    const b = blockOn(root, transaction(print(entity, 2n, 'b')));
    await deliver(app(), 'streams', applied(a), form);
    await deliver(app(), 'streams', reorganised([a], [b]), form);
    await deliver(app(), 'streams', applied(a), form);
    await processed('streams');
    expect(changes.length).toBe(2);
    await deliver(app(), 'streams', reorganised([b], [a]), form);
    await deliver(app(), 'streams', applied(b), form);
    await deliver(app(), 'streams', reorganised([b], [a]), form);
    await processed('streams');
    expect(state.get(entity)?.map(called)).toEqual(['a 1']);
    expect(changes.length).toBe(3);
  });

  it('counts neither failed transactions nor the prints of other contracts, nor what no entity has', async () => {
    const { root, entity, changes } = begin();
    await deliver(
      app(),
      'streams',
      applied(
        blockOn(
          root,
          { ...transaction(print(entity, 1n)), failed: true },
          { ...transaction(print(entity, 2n)), contract: otherContract },
          transaction({ event: 'none', n: 3n }),
        ),
      ),
      form,
    );
    await processed('streams');
    expect(changes).toEqual([]);
  });
});

it('goes on behind a poisonous delivery, which is set aside', async () => {
  const { root, entity, changes } = begin();
  const failed = await metric('satwire_inbox_failed_total');
  for (const body of ['{"apply": 5}', '{', '{}', `{"apply": ${'['.repeat(10_000)}`])
    expect(await postChain(app(), 'streams', body)).toBe(200);
  const raw = bodyOf(applied(blockOn(root, transaction(print(entity, 7n)))), 'v1-raw');
  for (const cut of [
    raw.replace(/0x0c[\da-f]+/, '0x0c000000'),
    raw.replace(/0x0c[\da-f]+/, '0xff'),
    raw.replace(/0x0c/, '0x0'),
  ])
    expect(await postChain(app(), 'streams', cut)).toBe(200);
  await deliver(app(), 'streams', applied(blockOn(root, transaction(print(entity, 1n)))));
  await until('the good one', () => changes.length === 1);
  expect(await metric('satwire_inbox_failed_total')).toBe(failed + 7);
  const aside = await app().services.db.query<{ failure: string }>(
    'SELECT failure FROM inbox_deliveries WHERE failed_at IS NOT NULL',
  );
  for (const { failure } of aside) expect(failure).toMatch(/cannot be read/);
  expect(app().logged.join('\n')).toMatch(/a delivery was set aside/);
});

it('tries what its domain cannot do some times, and then sets it aside', async () => {
  const { root, entity, mirror, changes } = begin();
  let attempts = 0;
  app().inbox.mirror('streams', {
    ...mirror,
    async changed() {
      attempts += 1;
      throw new Error('A mistake.');
    },
  });
  const block = blockOn(root, transaction(print(entity, 1n)));
  await deliver(app(), 'streams', applied(block));
  await processed('streams');
  expect(attempts).toBe(5);
  // Nothing of it was kept, so that it can be delivered again.
  app().inbox.mirror('streams', mirror);
  await deliver(app(), 'streams', applied(block));
  await until('the change', () => changes.length === 1);
});

it('waits while another one processes the deliveries of the source', async () => {
  const { root, entity, changes } = begin();
  const { db } = app().services;
  // On the one connection of the embedded database nobody else can be at it.
  if (db.exclusive) return;
  await db.transaction(async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('inbox.process:streams', 0))`);
    await deliver(app(), 'streams', applied(blockOn(root, transaction(print(entity, 1n)))));
    await until('it is put off', async () => {
      const [work] = await db.query<{ attempts: number }>(
        `SELECT attempts FROM work WHERE kind = 'inbox.process' AND key = 'streams'`,
      );
      return (work?.attempts ?? 0) > 1;
    });
    expect(changes).toEqual([]);
  });
  await until('the change', () => changes.length === 1);
});

it('waits for a database that does not answer, and tries it as often as that takes', async () => {
  const { root, entity, mirror, changes } = begin();
  let attempts = 0;
  app().inbox.mirror('streams', {
    ...mirror,
    async changed(...args) {
      attempts += 1;
      if (attempts < 7) throw unavailable('The database does not answer.', 1_000);
      return mirror.changed(...args);
    },
  });
  await deliver(app(), 'streams', applied(blockOn(root, transaction(print(entity, 1n)))));
  // More are delivered meanwhile, each of which has it tried again at once.
  await until('the change', async () => {
    await deliver(app(), 'streams', applied());
    return changes.length === 1;
  });
  expect(attempts).toBe(7);
});

it('notices a gap in the heights, and hears of heights', async () => {
  const { root, entity } = begin();
  const heard: unknown[] = [];
  app().inbox.onHeight(async (_tx, heights) => {
    heard.push(heights);
  });
  const first = blockOn(root, transaction(print(entity, 1n)));
  const missing = blockOn(blockOn(first));
  const late = blockOn(missing, transaction(print(entity, 2n)));
  await deliver(app(), 'treasury', applied(first));
  const gaps = await metric('satwire_chain_gaps_total');
  await deliver(app(), 'treasury', applied(late), 'v2');
  await processed('treasury');
  expect(await metric('satwire_chain_gaps_total')).toBe(gaps + 1);
  expect(app().logged.join('\n')).toContain(`"from":${first.height + 1},"to":${late.height - 1}`);
  expect(heard).toEqual([
    { stacks: first.height, bitcoin: 800_000 + first.height },
    { stacks: late.height, bitcoin: 800_000 + late.height },
  ]);
});

it('ends where a replay of the canonical chain does, whatever forks, repeats and late copies there were', async () => {
  const step = fc.record({
    depth: fc.integer({ min: 0, max: 6 }),
    length: fc.integer({ min: 1, max: 6 }),
    /** Which transactions of the rolled-back blocks are in the new ones too. */
    keeps: fc.integer({ min: 0, max: 7 }),
    repeats: fc.boolean(),
    lateCopy: fc.integer({ min: 0, max: 30 }),
    form: fc.constantFrom(...forms),
    back: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const { root, state } = begin();
      const names = [newEntity(), newEntity(), newEntity()];
      let chain: TestBlock[] = [];
      const all: TestBlock[] = [];
      let n = 0n;
      const tip = () => chain.at(-1) ?? root;
      const fresh = () => {
        n += 1n;
        return transaction(print(names[Number(n) % names.length] as string, n));
      };
      /** The branch that the last reorganisation left. */
      let left: TestBlock[] = [];
      for (const { depth, length, keeps, repeats, lateCopy, form, back } of steps) {
        const rollback =
          back && left.length > 0
            ? chain.slice(chain.findIndex(({ height }) => height >= (left[0] as TestBlock).height))
            : chain.slice(Math.max(0, chain.length - depth));
        const isBack = back && left.length > 0;
        const abandoned = chain.slice(chain.length - rollback.length);
        chain = chain.slice(0, chain.length - rollback.length);
        const kept = rollback.flatMap(({ txs }) => txs).filter((_, index) => (keeps >> (index % 3)) & 1);
        const apply: TestBlock[] = [];
        if (isBack) apply.push(...left);
        else
          for (let count = 0; count < Math.max(length, rollback.length); count += 1)
            apply.push(blockOn(apply.at(-1) ?? tip(), fresh(), ...kept.splice(0, 2), fresh()));
        left = abandoned;
        chain.push(...apply);
        all.push(...apply);
        const delivery = reorganised(rollback.toReversed(), apply);
        await deliver(app(), 'streams', delivery, form);
        if (repeats) await deliver(app(), 'streams', delivery, form);
        const late = all[lateCopy];
        if (late) await deliver(app(), 'streams', applied(late), form);
      }
      await processed('streams');
      const expected = (entity: string) =>
        chain
          .flatMap(({ txs }) => txs.flatMap(({ prints }) => prints))
          .filter((each) => each.entity === entity)
          .map((each) => `${each.event} ${each.n}`);
      for (const entity of names) expect((state.get(entity) ?? []).map(called)).toEqual(expected(entity));
    }),
    { numRuns: 25 },
  );
});
