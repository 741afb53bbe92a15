import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import type { Json, Received } from '../support/clients.ts';
import { type Core, type CoreBlock, startCore } from '../support/core.ts';
import { until } from '../support/until.ts';

const watchBlocks = `
  subscription ($after: Cursor) {
    blockMined(after: $after) {
      __typename cursor
      ... on BlockMined { block { hash height previousHash txCount isCanonical } }
      ... on BlockDisconnected { hash height }
    }
  }`;

const watchTip = `
  subscription ($after: Cursor) {
    tipUpdated(after: $after) { cursor tip { height hash chain feeEstimates { targetBlocks satPerVbyte } } }
  }`;

const readTip = '{ chainTip { height hash chain cursor feeEstimates { targetBlocks satPerVbyte } } }';

async function begin(options: Parameters<typeof startCore>[0] = {}) {
  const core = await startCore(options);
  onTestFinished(() => core.stop());
  core.mine(20);
  const app = await startTestApp(core.env);
  await reaches(app, core);
  const blocks = app.watch(watchBlocks, { after: 'START' });
  const tips = app.watch(watchTip, { after: 'START' });
  await blocks.count(1);
  return { core, app, blocks, tips };
}

/** Waits until the server has the tip of the chain. */
async function reaches(app: TestApp, core: Core): Promise<void> {
  await until('the tip', async () => (await app.send(readTip)).data?.chainTip.hash === core.tip().hash);
}

/** What was told, in short: a block that has come, or gone. */
const told = ({ events }: Received) =>
  events.map((event: Json) =>
    event.__typename === 'BlockMined' ? `+${event.block.hash}` : `-${event.hash}`,
  );

const come = (blocks: readonly CoreBlock[]) => blocks.map(({ hash }) => `+${hash}`);
const gone = (blocks: readonly CoreBlock[]) => blocks.map(({ hash }) => `-${hash}`);

describe.each([
  ['told by ZeroMQ', { publishes: true }],
  ['asked', { publishes: false }],
])('a chain that is %s', (_how, options) => {
  it('is followed from its tip: each block once, in order, and the tip with it', async () => {
    const { core, app, blocks, tips } = await begin(options);
    const first = core.tip();
    expect(told(blocks)).toEqual([`+${first.hash}`]);
    const mined = [...core.mine(), ...core.mine(2)];
    await blocks.count(4);
    expect(told(blocks)).toEqual(come([first, ...mined]));
    expect(blocks.events[1].block).toEqual({
      hash: mined[0]?.hash,
      height: 21,
      previousHash: first.hash,
      txCount: 3,
      isCanonical: true,
    });
    await until('the last tip', () => tips.events.at(-1)?.tip.hash === core.tip().hash);
    const tip = {
      height: 23,
      hash: core.tip().hash,
      chain: 'regtest',
      feeEstimates: [
        { targetBlocks: 1, satPerVbyte: null },
        { targetBlocks: 3, satPerVbyte: 12.345 },
        { targetBlocks: 6, satPerVbyte: 12.345 },
      ],
    };
    expect(tips.events.at(-1).tip).toEqual(tip);
    expect((await app.ask(readTip)).chainTip).toEqual({ ...tip, cursor: tips.events.at(-1).cursor });
  });

  it('is followed through reorganisations of 1 to 6 blocks, and back', async () => {
    const { core, app, blocks } = await begin(options);
    core.mine(8);
    await reaches(app, core);
    await blocks.count(9);
    const expected = come(core.chain().slice(20));
    for (const depth of [1, 2, 3, 4, 5, 6]) {
      const before = [...core.chain()];
      const other = core.reorganise(depth, depth + 1);
      await reaches(app, core);
      core.restore(before);
      await reaches(app, core);
      expected.push(
        ...gone(other.gone),
        ...come(other.come),
        ...gone([...other.come].reverse()),
        ...come(before.slice(before.length - depth)),
      );
      await blocks.count(expected.length);
      expect(told(blocks)).toEqual(expected);
      const { block } = await app.ask('query ($hash: ID!) { block(hash: $hash) { isCanonical } }', {
        hash: other.come[0]?.hash,
      });
      expect(block).toEqual({ isCanonical: false });
    }
  });

  it('is followed through a burst of a hundred blocks, and through a tip that only goes back', async () => {
    const { core, app, blocks } = await begin(options);
    const mined = core.mine(230);
    await blocks.count(231);
    expect(told(blocks).slice(1)).toEqual(come(mined));
    const { gone: lost } = core.reorganise(3, 0);
    await reaches(app, core);
    await blocks.count(234);
    expect(told(blocks).slice(231)).toEqual(gone(lost));
  });
});

describe('messages', () => {
  it('that are lost are noticed by the number of the next, and those that come twice tell nothing new', async () => {
    const { core, app, blocks } = await begin();
    const lost = core.mine(3, { isLost: true });
    const repeated = core.mine(1, { isRepeated: true });
    await blocks.count(5);
    expect(told(blocks).slice(1)).toEqual(come([...lost, ...repeated]));
    const more = core.mine(2, { isRepeated: true });
    await blocks.count(7);
    await reaches(app, core);
    expect(told(blocks).slice(5)).toEqual(come(more));
  });

  it('of which none comes any more are not waited for', async () => {
    const { core, blocks } = await begin();
    const lost = core.mine(2, { isLost: true });
    await blocks.count(3);
    expect(told(blocks).slice(1)).toEqual(come(lost));
  });
});

describe('a node', () => {
  it.each(['WARMING_UP', 'SILENT', 'GARBAGE', 'DOWN'] as const)(
    'that is %s for a while is followed again',
    async (fault) => {
      const { core, app, blocks } = await begin();
      core.fail(fault);
      const mined = core.mine(2);
      const asked = core.asked();
      await until('it to be asked', () => core.asked() > asked);
      // What was seen is answered all the same.
      expect((await app.ask(readTip)).chainTip.height).toBe(20);
      core.fail(undefined);
      mined.push(...core.mine());
      await blocks.count(4);
      expect(told(blocks).slice(1)).toEqual(come(mined));
    },
  );

  it('that starts again counts anew, and is heard', async () => {
    const { core, blocks } = await begin();
    core.mine(3);
    await blocks.count(4);
    core.fail('DOWN');
    await core.restart();
    core.fail('WARMING_UP');
    core.fail(undefined);
    core.mine(2);
    await blocks.count(6);
    core.mine(2);
    await blocks.count(8);
    expect(told(blocks)).toEqual(come(core.chain().slice(20)));
  });
});

describe('without a chain', () => {
  it('everything about it is unavailable, and the rest works', async () => {
    const app = await startTestApp();
    const unavailable = [
      expect.objectContaining({ extensions: expect.objectContaining({ code: 'UNAVAILABLE' }) }),
    ];
    for (const query of [readTip, '{ block(height: 1) { hash } }'])
      expect((await app.send(query)).errors).toEqual(unavailable);
    for (const document of [watchBlocks, watchTip]) {
      const watched = app.watch(document, {});
      await until('the refusal', () => watched.errors !== undefined);
      expect(watched.errors).toEqual(unavailable);
    }
    expect(await app.ask('{ viewer { roles } }')).toEqual({ viewer: null });
  });
});
