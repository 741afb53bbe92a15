import fc from 'fast-check';
import { expect, it } from 'vitest';
import { startTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { type CoreBlock, type CoreFault, startCore } from '../support/core.ts';
import { until } from '../support/until.ts';

const watchBlocks = `
  subscription {
    blockMined(after: "START") {
      __typename
      ... on BlockMined { block { hash height previousHash } }
      ... on BlockDisconnected { hash height }
    }
  }`;

/** What the chain does next, and how its node tells of it. */
const step = fc.record({
  do: fc.oneof(
    { weight: 5, arbitrary: fc.record({ mine: fc.integer({ min: 1, max: 12 }) }) },
    { weight: 3, arbitrary: fc.record({ depth: fc.integer({ min: 1, max: 6 }), come: fc.nat(7) }) },
    { weight: 2, arbitrary: fc.constant({ back: true as const }) },
    {
      weight: 2,
      arbitrary: fc.record({ fault: fc.constantFrom<CoreFault>('WARMING_UP', 'GARBAGE', 'DOWN') }),
    },
    { weight: 1, arbitrary: fc.constant({ restart: true as const }) },
  ),
  isLost: fc.boolean(),
  isRepeated: fc.boolean(),
  /** Whether the server is waited for, or comes to it later. */
  isAwaited: fc.boolean(),
});

it('tells a chain that a client can follow, whatever the node does and however it tells', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
      const core = await startCore();
      core.mine(10);
      const app = await startTestApp(core.env);
      const reached = () =>
        until(
          'the tip',
          async () => (await app.send('{ chainTip { hash } }')).data?.chainTip.hash === core.tip().hash,
        );
      try {
        await reached();
        const watched = app.watch(watchBlocks, {});
        let before: CoreBlock[] = [...core.chain()];
        for (const { do: what, isAwaited, ...telling } of steps) {
          if ('mine' in what) core.mine(what.mine, telling);
          if ('depth' in what) {
            before = [...core.chain()];
            core.reorganise(Math.min(what.depth, core.chain().length - 1), what.come, telling);
          }
          if ('back' in what) core.restore(before, telling);
          if ('restart' in what) await core.restart();
          core.fail('fault' in what ? what.fault : undefined);
          if (isAwaited && !('fault' in what)) await reached();
        }
        core.fail(undefined);
        await reached();
        // A client that does as it is told ends with the chain as it is, and was never told what makes no sense.
        const chain: Array<{ hash: string; height: number }> = [];
        const follow = ({ __typename, block, hash, height }: Json) => {
          if (__typename === 'BlockDisconnected') {
            expect(chain.pop()).toEqual({ hash, height });
            return;
          }
          const tip = chain.at(-1);
          if (tip) expect(block).toMatchObject({ height: tip.height + 1, previousHash: tip.hash });
          chain.push({ hash: block.hash, height: block.height });
        };
        let seen = 0;
        await until('the end to be told', () => {
          for (; seen < watched.events.length; seen += 1) follow(watched.events[seen]);
          return chain.at(-1)?.hash === core.tip().hash;
        });
        const [lowest] = chain;
        const canonical = core.chain().map(({ hash, height }) => ({ hash, height }));
        expect(chain).toEqual(canonical.slice(lowest?.height));
      } finally {
        await app.stop();
        await core.stop();
      }
    }),
    { numRuns: 6, endOnFailure: true },
  );
}, 240_000);
