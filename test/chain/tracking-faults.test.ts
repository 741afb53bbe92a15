import fc from 'fast-check';
import { expect, it } from 'vitest';
import { startTestApp, temporaryFolder } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { type Core, type CoreTx, startCore } from '../support/core.ts';
import { until } from '../support/until.ts';

const watchTxs = `
  subscription ($txids: [ID!], $addresses: [String!]) {
    txSeen(txids: $txids, addresses: $addresses, after: "START") {
      __typename id txid
      ... on TxConfirmed { confirmations block { hash } }
      ... on TxReplaced { by }
      ... on TxDisconnected { off: block }
    }
  }`;

const pays = ['bcrt1qours00000000'];
const count = 8;

/** What happens next; numbers choose among what there is. */
const step = fc.record({
  do: fc.oneof(
    { weight: 4, arbitrary: fc.record({ enter: fc.nat(count - 1) }) },
    {
      weight: 4,
      arbitrary: fc.record({ mine: fc.integer({ min: 1, max: 3 }), has: fc.array(fc.nat(count - 1)) }),
    },
    { weight: 2, arbitrary: fc.record({ depth: fc.integer({ min: 1, max: 6 }), come: fc.nat(7) }) },
    { weight: 1, arbitrary: fc.constant({ restart: true as const }) },
  ),
  isLost: fc.boolean(),
});

/** Transactions of which each two spend the same. */
const pairs = (): CoreTx[] =>
  Array.from({ length: count }, (_, n) => ({
    ...{ vsize: 200, fee: 500, pays },
    spends: [`${String(Math.floor(n / 2)).repeat(64)}:0`],
  }));

/** The block that has a transaction, and how many confirmations were told; or whether it waits. */
interface State {
  readonly block?: string;
  readonly confirmations?: number;
  readonly isWaiting?: boolean;
}

/** Whether a transaction was told of as it stands. A chain that has become shorter takes no confirmation back. */
function isTold(core: Core, txid: string, state: State | undefined): boolean {
  const block = core.chain().find(({ txids }) => txids.includes(txid));
  if (!block)
    return core.isWaiting(txid) ? state?.isWaiting === true : state?.isWaiting !== true && !state?.block;
  const confirmations = Math.min(6, core.tip().height - block.height + 1);
  return state?.block === block.hash && (state.confirmations ?? 0) >= confirmations;
}

/** Follows what was told of one transaction, and refuses what cannot have happened. */
function replay(events: readonly Json[]): State | undefined {
  let state: State | undefined;
  for (const event of events) {
    if (event.__typename === 'TxSeen') {
      expect(state === undefined || state.isWaiting === false).toBe(true);
      state = { isWaiting: true };
    } else if (event.__typename === 'TxReplaced') {
      expect(state).toEqual({ isWaiting: true });
      state = { isWaiting: false };
    } else if (event.__typename === 'TxDisconnected') {
      expect(event.off).toBe(state?.block);
      state = { isWaiting: true };
    } else {
      const { hash: block } = event.block;
      expect(event.confirmations).toBe(state?.block === block ? (state?.confirmations ?? 0) + 1 : 1);
      expect(state?.block === undefined || state.block === block).toBe(true);
      state = { block, confirmations: event.confirmations };
    }
  }
  return state;
}

it('tells of each transaction what can have happened, once, to all who watch it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 25 }), async (steps) => {
      const core = await startCore();
      core.mine(8);
      const env = { ...core.env, DATA_DIR: await temporaryFolder() };
      let app = await startTestApp(env);
      const txids = core.make(pairs());
      const [marker, end] = core.make([
        { vsize: 200, fee: 500 },
        { vsize: 200, fee: 500, pays },
      ]) as [string, string];
      const feeds = [
        { txids: [...txids, end] },
        { addresses: pays },
        { txids: [...txids.slice(0, 3), end], addresses: pays },
      ];
      const watchAll = () => feeds.map((wanted) => app.watch(watchTxs, wanted));
      try {
        watchAll();
        core.enterMade([marker]);
        await app.watch(watchTxs, { txids: [marker] }).count(1);
        for (const { do: what, isLost } of steps) {
          const txidsOf = (numbers: readonly number[]) => numbers.map((n) => txids[n] as string);
          if ('enter' in what) core.enterMade(txidsOf([what.enter]).filter(core.mayEnter), { isLost });
          if ('mine' in what)
            core.mine(what.mine, { has: [...new Set(txidsOf(what.has))].filter(core.isWaiting), isLost });
          if ('depth' in what) {
            const { gone } = core.reorganise(Math.min(what.depth, core.chain().length - 9), what.come, {
              isLost,
            });
            core.enterMade(gone.flatMap((block) => block.txids).filter(core.mayEnter), { isLost });
          }
          if ('restart' in what) {
            await app.stop();
            app = await startTestApp(env);
          }
        }
        core.enterMade([end]);
        core.mine(1, { has: [end] });
        const told = watchAll();
        const eventsOf = (txid: string) =>
          told.map(({ events }) => events.filter((event: Json) => event.txid === txid));
        await until('all to be told as they stand', () =>
          [...txids, end].every((txid) => {
            const [byId, byAddress, byBoth] = eventsOf(txid);
            const ids = [byId, byAddress, byBoth].map((events) => JSON.stringify(events));
            return ids[0] === ids[1] && ids[1] === ids[2] && isTold(core, txid, replay(byId ?? []));
          }),
        );
        for (const { events } of told)
          expect(new Set(events.map(({ id }: Json) => id)).size).toBe(events.length);
      } finally {
        await app.stop();
        await core.stop();
      }
    }),
    { numRuns: 5, endOnFailure: true },
  );
}, 240_000);
