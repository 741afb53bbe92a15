import fc from 'fast-check';
import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import {
  applied,
  blockOn,
  chainhookEnv,
  deliver,
  forms,
  genesis,
  type Print,
  reorganised,
  type TestBlock,
  type Tx,
  transaction,
} from '../support/chainhook.ts';
import { until } from '../support/until.ts';

const app = useTestApp(chainhookEnv);

/** What a contract is made to print: of one of two objects, and with an amount. */
const print = fc.record({ what: fc.nat(5), object: fc.nat(1), sats: fc.integer({ min: 1, max: 90 }) });
type Printed = typeof print extends fc.Arbitrary<infer Value> ? Value : never;

const txs = fc.array(fc.array(print, { minLength: 1, maxLength: 2 }), { maxLength: 3 });

/** What a hook delivers next. */
const step = fc.record({
  undone: fc.integer({ min: 0, max: 6 }),
  grown: fc.array(txs, { maxLength: 6 }),
  /** Whether the transactions of what is undone are in the first block that takes its place. */
  isKept: fc.boolean(),
  isRepeated: fc.boolean(),
  /** Which block that was told of before is told of once more, late. */
  late: fc.option(fc.nat(30), { nil: undefined }),
  form: fc.constantFrom(...forms),
});

/** An object as its mirror has it. */
interface Mirrored {
  /** The transaction that has made it, and by what of it. */
  readonly madeBy: string;
  /** What is shown of it. */
  readonly value: object;
  /** Whether it may be one that was never made after all. */
  readonly isGone: boolean;
}

interface Hook {
  /** The print about the object of a number, whose first party is of a principal of its own. */
  print(printed: Printed, number: bigint, party: string): Print;
  /** The mirrored objects of a party. */
  mirrored(party: string): Promise<Mirrored[]>;
}

const other = `SP${'7'.repeat(28)}`;
const query = <Row>(sql: string, parameters: readonly unknown[]) =>
  app().services.db.query<Row>(sql, parameters);
/** The transaction and the event of a key of a mirrored object. */
const madeBy = `split_part(chain_key, '@', 2) AS "madeBy"`;

const hooks: Record<string, Hook> = {
  treasury: {
    print({ what, sats }, number, proposer) {
      const amount = BigInt(sats);
      const about = { 'proposal-id': number, recipient: other };
      const prints: Print[] = [
        { event: 'treasury-withdrawal-proposed', ...about, proposer, amount, 'timelock-expires': 500n },
        { event: 'treasury-withdrawal-approved', ...about, approver: proposer, 'approval-count': 1n },
        { event: 'treasury-withdrawal-approved', ...about, approver: other, 'approval-count': 2n },
        { event: 'treasury-withdrawal-executed', ...about, amount, approvals: 2n },
        { event: 'treasury-fee-collected', amount, caller: other, 'new-balance': amount * 1_000n },
        { event: 'treasury-withdrawal-executed', ...about, amount, approvals: 1n },
      ];
      return prints[what] as Print;
    },
    async mirrored(party) {
      const rows = await query<{ madeBy: string; state: string; approvers: string[] }>(
        `SELECT ${madeBy}, state, amount_sats AS sats,
           ARRAY(SELECT approver FROM proposal_approvals WHERE proposal_id = id ORDER BY approver) AS approvers
         FROM proposals WHERE proposer = $1`,
        [party],
      );
      return rows.map(({ madeBy, approvers, ...value }) => ({
        madeBy,
        value: { ...value, approvers: approvers.map((each) => (each === party ? 'the proposer' : each)) },
        isGone: value.state === 'REJECTED' && approvers.length === 0,
      }));
    },
  },
  marketplace: {
    print({ what, sats }, number, seller) {
      const about = { 'stream-id': number, seller };
      const price = BigInt(sats);
      const prints: Print[] = [
        { event: 'market-nft-listed', ...about, price },
        { event: 'market-listing-price-updated', ...about, 'new-price': price },
        { event: 'market-listing-cancelled', ...about },
        { event: 'market-direct-purchase-completed', ...about, buyer: other, price },
        { event: 'market-gateway-purchase-completed', ...about, buyer: other, price },
        { event: 'market-nft-listed', ...about, price: price * 100n },
      ];
      return prints[what] as Print;
    },
    async mirrored(party) {
      const rows = await query<{ madeBy: string; state: string }>(
        `SELECT ${madeBy}, state, price_sats AS sats FROM listings WHERE seller = $1`,
        [party],
      );
      return rows.map(({ madeBy, ...value }) => ({ madeBy, value, isGone: value.state === 'CANCELLED' }));
    },
  },
  streams: {
    print({ what, sats }, number, recipient) {
      const amount = BigInt(sats);
      const about = { 'stream-id': number, recipient };
      const prints: Print[] = [
        { event: 'stream-created', ...about, sender: other, amount, 'start-block': 1n, 'end-block': 9_000n },
        { event: 'stream-withdrawal', ...about, amount: 1n },
        { event: 'stream-withdrawal', ...about, amount },
        {
          ...{ event: 'stream-cancelled', ...about, sender: other, 'vested-paid': 1n },
          ...{ 'unvested-returned': 0n, 'cancellation-fee': 1n, 'cancelled-at-block': 9n },
        },
        {
          event: 'stream-sender-updated',
          ...about,
          'old-sender': other,
          'new-sender': `SP${'8'.repeat(28)}`,
        },
        { event: 'stream-withdrawal', ...about, amount: 2n },
      ];
      return prints[what] as Print;
    },
    async mirrored(party) {
      const rows = await query<{ madeBy: string; undone: boolean }>(
        `SELECT split_part(chain_key, '@', 2) || ':' || right(chain_stream, 1)::int % 2 AS "madeBy", undone, sender,
           amount_sats AS sats, withdrawn_sats AS withdrawn, refunded_sats AS refunded, fee_sats AS fee,
           cancelled_vested_sats AS vested
         FROM streams WHERE recipient = $1`,
        [party],
      );
      return rows.map(({ madeBy, undone, ...value }) => ({ madeBy, value, isGone: undone }));
    },
  },
};

const processed = () =>
  until('the deliveries to be processed', async () => {
    const rows = await query(
      'SELECT 1 FROM inbox_deliveries WHERE processed_at IS NULL AND failed_at IS NULL',
      [],
    );
    return rows.length === 0;
  });

let runs = 0;

/** A chain of its own, and what two objects on it are called. */
function begin(hook: Hook) {
  runs += 1;
  const run = runs;
  const party = `SP${String(run).padStart(28, '0')}`;
  return {
    party,
    trunk: blockOn(genesis(run * 10_000)),
    /** A transaction that prints, of this run. */
    tx: (prints: readonly Printed[]) =>
      transaction(...prints.map((each) => hook.print(each, BigInt(run * 2 + each.object), party))),
  };
}

async function balanceOf(): Promise<unknown> {
  const token = await app().token('somebody');
  return (await app().ask('{ treasury(origin: STACKS) { balanceSats } }', {}, { token })).treasury
    .balanceSats;
}

it.each(Object.entries(hooks))(
  '%s are what a replay of the canonical chain makes of them, whatever was delivered',
  async (name, hook) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const walk = begin(hook);
        // What each transaction of the walk prints, to be printed again in the replay.
        const printed = new Map<string, readonly Printed[]>();
        const newTx = (prints: readonly Printed[]): Tx => {
          const tx = walk.tx(prints);
          printed.set(tx.hash, prints);
          return tx;
        };
        // The balance is stated at the beginning of each chain: what stood before does not matter.
        const stated = newTx([{ what: name === 'treasury' ? 4 : 1, object: 0, sats: 77 }]);
        const chain: TestBlock[] = [{ ...walk.trunk, txs: [stated] }];
        const known: TestBlock[] = [...chain];
        await deliver(app(), name, applied(...chain));

        for (const { undone, grown, isKept, isRepeated, late, form } of steps) {
          const depth = Math.min(undone, chain.length - 1);
          const taken = chain.splice(chain.length - depth).reverse();
          const kept = isKept ? taken.toReversed().flatMap((block) => block.txs) : [];
          const added: TestBlock[] = [];
          for (const [index, each] of grown.entries()) {
            const parent = (added.at(-1) ?? chain.at(-1)) as TestBlock;
            added.push(blockOn(parent, ...(index === 0 ? kept : []), ...each.map(newTx)));
          }
          chain.push(...added);
          known.push(...added);
          const delivery = reorganised(taken, added);
          await deliver(app(), name, delivery, form);
          if (isRepeated) await deliver(app(), name, delivery, form);
          const again = late === undefined ? undefined : known[late % known.length];
          if (!again) continue;
          await deliver(app(), name, applied(again), form);
          // One that stands upon the end of the chain is simply the next.
          if (again.parent === chain.at(-1)?.hash) chain.push(again);
        }
        await processed();
        const inWalk = await hook.mirrored(walk.party);
        const balance = await balanceOf();

        const replay = begin(hook);
        const names = new Map<string, string>();
        let tip = replay.trunk;
        const canonical = chain.map((block, index) => {
          const blockTxs = block.txs.map(({ hash }) => {
            const tx = replay.tx(printed.get(hash) ?? []);
            names.set(tx.hash, hash);
            return tx;
          });
          tip = index === 0 ? { ...replay.trunk, txs: blockTxs } : blockOn(tip, ...blockTxs);
          return tip;
        });
        await deliver(app(), name, applied(...canonical));
        await processed();
        const inReplay = (await hook.mirrored(replay.party)).map((each) => {
          const [tx = '', by] = each.madeBy.split(':');
          return { ...each, madeBy: `${names.get(tx)}:${by}` };
        });

        const byMaker = (list: readonly Mirrored[]) => new Map(list.map((each) => [each.madeBy, each]));
        const [walked, replayed] = [byMaker(inWalk), byMaker(inReplay)];
        for (const [maker, { value }] of replayed) expect(walked.get(maker)?.value).toEqual(value);
        for (const [maker, { isGone }] of walked) if (!replayed.has(maker)) expect(isGone).toBe(true);
        expect(await balanceOf()).toEqual(balance);
      }),
      { numRuns: 25 },
    );
    expect(await query('SELECT 1 FROM inbox_deliveries WHERE failed_at IS NOT NULL', [])).toEqual([]);
    expect(await query('SELECT 1 FROM transfers', [])).toEqual([]);
  },
  240_000,
);
