import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestApp, type TestApp, temporaryFolder, useTestApp } from '../support/app.ts';
import type { Json, Received } from '../support/clients.ts';
import { type Core, startCore } from '../support/core.ts';
import { until } from '../support/until.ts';

const watchTxs = `
  subscription ($txids: [ID!], $addresses: [String!], $after: Cursor) {
    txSeen(txids: $txids, addresses: $addresses, after: $after) {
      __typename cursor txid
      ... on TxSeen { feeRate virtualSize }
      ... on TxConfirmed { confirmations block { hash height } }
      ... on TxReplaced { by }
      ... on TxDisconnected { off: block }
    }
  }`;

interface Wanted {
  readonly txids?: readonly (string | undefined)[];
  readonly addresses?: readonly string[];
  readonly after?: string;
}

/** Watches from the first that is known. */
const watch = (app: TestApp, wanted: Wanted) => app.watch(watchTxs, { after: 'START', ...wanted });

type Env = Record<string, string>;

async function begin(options: Parameters<typeof startCore>[0] = {}, env: Env = {}) {
  const core = await startCore(options);
  onTestFinished(() => core.stop());
  core.mine(10);
  const app = await startTestApp({ ...core.env, ...env });
  await reaches(app, core);
  return { core, app };
}

/** Waits until the server has the tip of the chain. */
async function reaches(app: TestApp, core: Core): Promise<void> {
  await until('the tip', async () => {
    const { data } = await app.send('{ chainTip { hash } }');
    return data?.chainTip.hash === core.tip().hash;
  });
}

/** What was told, in short. */
const told = ({ events }: Received) =>
  events.map((event: Json) => {
    if (event.__typename === 'TxSeen') return ['seen', event.txid];
    if (event.__typename === 'TxConfirmed') return [event.confirmations, event.txid, event.block.hash];
    if (event.__typename === 'TxReplaced') return ['replaced', event.txid, event.by];
    return ['disconnected', event.txid, event.off];
  });

const small = { vsize: 200, fee: 500 };

describe.each([
  ['told by ZeroMQ', { publishes: true }],
  ['asked', { publishes: false }],
  ['of Core 24', { version: 24 }],
] as const)('a transaction on a chain that is %s', (_how, options) => {
  it('is told of from when it waits to 6 confirmations, to who watches its id or an address', async () => {
    const { core, app } = await begin(options);
    const [mine] = core.make([{ ...small, pays: ['bcrt1qmine0000000', 'bcrt1qother000000'] }]);
    const byId = watch(app, { txids: [mine] });
    const byAddress = watch(app, { addresses: ['BCRT1QMINE0000000'] });
    const byBoth = watch(app, { txids: [mine], addresses: ['bcrt1qmine0000000', 'bcrt1qother000000'] });
    const other = watch(app, { addresses: ['bcrt1qnobody00000'] });
    // Each of them is tracked once a transaction that waits was told to who has begun last.
    const [marker] = core.enter([small]);
    await watch(app, { txids: [marker] }).count(1);
    core.enterMade([mine as string]);
    await byId.count(1);
    expect(byId.events[0]).toMatchObject({ __typename: 'TxSeen', feeRate: 2.5, virtualSize: 200 });
    const [block] = core.mine(1, { has: [mine as string] });
    await byId.count(2);
    core.mine(7);
    await reaches(app, core);
    const expected = [['seen', mine], ...[1, 2, 3, 4, 5, 6].map((count) => [count, mine, block?.hash])];
    for (const watched of [byId, byAddress, byBoth]) {
      await watched.count(7);
      expect(told(watched)).toEqual(expected);
    }
    expect(byId.events[1].block).toEqual({ hash: block?.hash, height: 11 });
    expect(other.events).toEqual([]);
  });

  it('is told to have been replaced, by what has come to wait or is in a block', async () => {
    const { core, app } = await begin(options);
    const [first] = core.enter([{ ...small, spends: [`${'ab'.repeat(32)}:1`] }]);
    const [second] = core.enter([{ ...small, spends: [`${'cd'.repeat(32)}:7`] }]);
    const watched = watch(app, { txids: [first, second] });
    await watched.count(2);
    const [rival] = core.enter([{ ...small, fee: 900, spends: [`${'ab'.repeat(32)}:1`] }]);
    await watched.count(3);
    const [unseen] = core.make([
      { ...small, spends: ['ef'.repeat(32), 'cd'.repeat(32)].map((id) => `${id}:7`) },
    ]);
    core.leave([second as string], { isLost: true });
    core.mine(1, { has: [unseen as string] });
    await watched.count(4);
    expect(told(watched).slice(2)).toEqual([
      ['replaced', first, rival],
      ['replaced', second, unseen],
    ]);
    // A block may have it in spite of that.
    const [block] = core.mine(1, { has: [first as string] });
    await watched.count(5);
    expect(told(watched).at(-1)).toEqual([1, first, block?.hash]);
  });

  it('is told to wait again when its block is off the chain', async () => {
    const { core, app } = await begin(options);
    const [tx] = core.enter([small]);
    const watched = watch(app, { txids: [tx] });
    await watched.count(1);
    const [block] = core.mine(3, { has: [tx as string] });
    await watched.count(4);
    // Blocks above its own change places: what was told of it is so still.
    core.reorganise(1, 2);
    await watched.count(5);
    core.reorganise(5, 6);
    core.enterMade([tx as string]);
    await watched.count(6);
    const [next] = core.mine(1, { has: [tx as string] });
    await watched.count(7);
    expect(told(watched).slice(1)).toEqual([
      ...[1, 2, 3, 4].map((count) => [count, tx, block?.hash]),
      ['disconnected', tx, block?.hash],
      [1, tx, next?.hash],
    ]);
  });
});

describe('who begins to watch', () => {
  it('is told how what they name stands', async () => {
    const { core, app } = await begin();
    const [waits, confirmed, replaced] = core.enter([
      small,
      small,
      { ...small, spends: [`${'ab'.repeat(32)}:1`] },
    ]);
    core.leave([confirmed as string], { isConfirmed: true });
    const block = core.tip();
    const alone = watch(app, { txids: [replaced] });
    await alone.count(1);
    const [rival] = core.enter([{ ...small, spends: [`${'ab'.repeat(32)}:1`] }]);
    await alone.count(2);
    const [last] = core.enter([small]);
    core.mine(7);
    core.mine(1, { has: [last as string] });
    await watch(app, { txids: [last] }).event('TxConfirmed');
    const old = core.chain()[3]?.txids[1];
    const watched = watch(app, { txids: [waits, confirmed, replaced, old, 'f'.repeat(64)] });
    await watched.count(4);
    const lookedUp = await watch(app, { txids: [old] }).count(1);
    expect(lookedUp[0].confirmations).toBe(core.tip().height - 2);
    const expected = [
      ['seen', waits],
      [9, confirmed, block.hash],
      ['replaced', replaced, rival],
      [core.tip().height - 2, old, core.chain()[3]?.hash],
    ];
    expect(told(watched)).toEqual(expect.arrayContaining(expected));
    // Whoever comes later to the same is told from now on, or from a cursor.
    const [txid] = core.enter([small]);
    await watch(app, { txids: [txid] }).count(1);
    const again = watch(app, { txids: ['f'.repeat(64), old, replaced, confirmed, waits] });
    await again.count(4);
    expect(again.events).toEqual(watched.events);
    const rest = watch(app, {
      txids: [waits, confirmed, replaced, old, 'f'.repeat(64)],
      after: again.events[2].cursor,
    });
    await rest.count(1);
    expect(rest.events).toEqual([again.events[3]]);
  });

  it('is told of what spends the outputs of an address: of the chain, and of what waits', async () => {
    const { core, app } = await begin();
    const [paid] = core.make([{ ...small, pays: ['bcrt1qours00000000'] }]);
    const [beside] = core.enter([small]);
    const before = watch(app, { txids: [beside] });
    await before.count(1);
    core.mine(1, { has: [paid as string, beside as string] });
    await before.count(2);
    const watched = watch(app, { addresses: ['bcrt1qours00000000'] });
    const [marker] = core.enter([small]);
    await watch(app, { txids: [marker] }).count(1);
    const [spending] = core.enter([{ ...small, spends: [`${paid}:0`], pays: ['bcrt1qtheirs000000'] }]);
    const [paying] = core.enter([{ ...small, pays: ['bcrt1qours00000000'] }]);
    const [child] = core.enter([{ ...small, spends: [`${paying}:0`] }]);
    await watched.count(3);
    expect(told(watched)).toEqual([spending, paying, child].map((txid) => ['seen', txid]));
    // One that was never seen waiting is found in its block.
    const [unseen] = core.make([{ ...small, spends: [`${paid}:0`] }]);
    const [block] = core.mine(1, { has: [unseen as string] });
    await until('its block', () => told(watched).some(([what, txid]) => what === 1 && txid === unseen));
    expect(told(watched)).toContainEqual([1, unseen, block?.hash]);
  });
});

it('goes on behind a restart, with what happened meanwhile, also when messages are lost', async () => {
  const DATA_DIR = await temporaryFolder();
  const core = await startCore();
  onTestFinished(() => core.stop());
  core.mine(3);
  const env = { ...core.env, DATA_DIR };
  const app = await startTestApp(env);
  const wanted = { addresses: ['bcrt1qours00000000'] };
  const [first] = core.enter([{ ...small, pays: wanted.addresses }]);
  const before = watch(app, { ...wanted, txids: [first] });
  await before.count(1);
  await app.stop();
  const [block] = core.mine(2, { has: [first as string] });
  const [second] = core.enter([{ ...small, pays: wanted.addresses }]);
  const again = await startTestApp(env);
  const behind = watch(again, { ...wanted, txids: [first], after: before.events[0].cursor });
  await behind.count(3);
  const [third] = core.enter([{ ...small, pays: wanted.addresses }], { isLost: true });
  core.enter([small]);
  await behind.count(4);
  expect(told(behind)).toEqual(
    expect.arrayContaining([
      [1, first, block?.hash],
      [2, first, block?.hash],
      ['seen', second],
      ['seen', third],
    ]),
  );
});

it('is told to have been replaced by what came to wait before its block was known to be off the chain', async () => {
  const { core, app } = await begin();
  const spends = [`${'ab'.repeat(32)}:1`];
  const [tx] = core.enter([{ ...small, spends }]);
  const watched = watch(app, { txids: [tx] });
  await watched.count(1);
  core.mine(1, { has: [tx as string] });
  await watched.count(2);
  core.holdTip(true);
  core.reorganise(1, 2);
  const [rival] = core.enter([{ ...small, spends }]);
  const [marker] = core.make([small]);
  const marked = watch(app, { txids: [marker] });
  core.enterMade([marker as string]);
  await marked.count(1);
  core.holdTip(false);
  core.mine(1);
  await watched.count(4);
  expect(told(watched)[3]).toEqual(['replaced', tx, rival]);
});

it('is found again in blocks that replace all that were known', async () => {
  const { core, app } = await begin();
  const [tx] = core.enter([small]);
  const watched = watch(app, { txids: [tx] });
  await watched.count(1);
  const [block] = core.mine(1, { has: [tx as string] });
  await watched.count(2);
  core.holdTip(true);
  core.reorganise(2, 0);
  core.enterMade([tx as string]);
  const [other] = core.mine(4, { has: [tx as string] });
  core.holdTip(false);
  core.mine(1);
  await watched.count(8);
  expect(told(watched).slice(2)).toEqual([
    ['disconnected', tx, block?.hash],
    ...[1, 2, 3, 4, 5].map((count) => [count, tx, other?.hash]),
  ]);
});

it('passes over a block that is pruned, and says so', async () => {
  const { core, app } = await begin({ prunedSoon: 11 });
  const [tx] = core.enter([small]);
  const watched = watch(app, { txids: [tx] });
  await watched.count(1);
  core.mine(1);
  const [block] = core.mine(1, { has: [tx as string] });
  await watched.count(2);
  expect(told(watched)[1]).toEqual([1, tx, block?.hash]);
  expect(app.logged.filter((line) => line.includes('is not there to be looked at'))).toHaveLength(1);
});

describe('what is asked to be watched', () => {
  const demo = useTestApp({ CHAIN: 'demo' });

  it.each([
    ['nothing', {}],
    ['no ids', { txids: [], addresses: [] }],
    ['an id that is none', { txids: ['AB'.repeat(32)] }],
    ['an address that is none', { addresses: ['bc1q not an address'] }],
    ['too many ids', { txids: Array.from({ length: 101 }, (_, n) => n.toString(16).padStart(64, '0')) }],
    ['too many addresses', { addresses: Array.from({ length: 101 }, (_, n) => `bcrt1qaddress${n}`) }],
    ['behind a cursor of something else', { txids: ['a'.repeat(64)], after: 'chain' }],
  ])('is not %s', async (_what, wanted) => {
    const watched = demo().watch(watchTxs, wanted);
    await until('the refusal', () => watched.errors);
    expect(watched.errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
  });

  it('is not available where no chain is followed', async () => {
    const app = await startTestApp();
    const watched = watch(app, { txids: ['a'.repeat(64)] });
    await until('the refusal', () => watched.errors);
    expect(watched.errors?.[0]).toMatchObject({ extensions: { code: 'UNAVAILABLE' } });
  });

  it('is told of the demonstration too', async () => {
    await until('something that waits', async () => {
      const { data } = await demo().send('{ mempool { txCount } }');
      return data?.mempool.txCount > 0;
    });
    const { mempool } = await demo().ask('{ mempool { recent { txid } } }');
    const watched = watch(demo(), { txids: mempool.recent.map(({ txid }: Json) => txid) });
    await watched.count(1);
    expect(watched.events[0]).toMatchObject({ __typename: 'TxSeen' });
  });

  it('is no more than a caller may have tracked', async () => {
    const { core, app } = await begin({}, { LIMIT_TRACKED: '3' });
    const alice = { token: await app.token('alice') };
    const [tx] = core.enter([small]);
    const wanted = { txids: [tx], addresses: ['bcrt1qours00000000'], after: 'START' };
    await app.watch(watchTxs, wanted, alice).count(1);
    const others = { addresses: ['bcrt1qours00000001', 'bcrt1qours00000002'] };
    const refused = app.watch(watchTxs, others, alice);
    await until('the refusal', () => refused.errors);
    expect(refused.errors?.[0]).toMatchObject({ extensions: { code: 'RATE_LIMITED' } });
    // What is tracked already costs nothing more, and others have room of their own.
    await app.watch(watchTxs, wanted, alice).count(1);
    const bob = { token: await app.token('bob') };
    const bobs = app.watch(watchTxs, { ...others, txids: [tx], after: 'START' }, bob);
    await bobs.count(1);
  });
});
