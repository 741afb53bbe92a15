import fc from 'fast-check';
import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import {
  applied,
  blockOn,
  chainhookEnv,
  contract,
  deliver,
  genesis,
  type Print,
  reorganised,
  type TestBlock,
  transaction,
} from '../support/chainhook.ts';
import { attempt } from '../support/change.ts';
import { until } from '../support/until.ts';

const app = useTestApp(chainhookEnv);

const deployer = contract.split('.')[0] as string;
const addressOf = (n: bigint) => `SP${'0'.repeat(28 - String(n).length)}${n}`;

let streams = 0n;
/** A stream of its own: its creation, and the principals of its parties. */
function newStream(amount = 1_000n) {
  streams += 1n;
  const number = BigInt(process.pid) * 10_000n + streams;
  const [sender, recipient] = [addressOf(number * 3n), addressOf(number * 3n + 1n)];
  const created: Print = {
    event: 'stream-created',
    'stream-id': number,
    sender,
    recipient,
    amount,
    'start-block': 100n,
    'end-block': 1_000n,
  };
  const withdrawal = (sats: bigint): Print => ({
    event: 'stream-withdrawal',
    'stream-id': number,
    recipient,
    amount: sats,
  });
  const cancellation = (owed: bigint, returned: bigint, fee: bigint): Print => ({
    event: 'stream-cancelled',
    'stream-id': number,
    sender,
    'vested-paid': owed,
    'unvested-returned': returned,
    'cancellation-fee': fee,
    'cancelled-at-block': 500n,
  });
  return { number, sender, recipient, created, withdrawal, cancellation };
}

async function tokenAt(address: string): Promise<string> {
  const response = await fetch(new URL('/dev/token', app().url), {
    method: 'POST',
    body: JSON.stringify({ sub: `holder of ${address}`, addresses: [address], name: 'holder' }),
  });
  return ((await response.json()) as { token: string }).token;
}

const processed = () =>
  until('the deliveries to be processed', async () => {
    const rows = await app().services.db.query(
      'SELECT 1 FROM inbox_deliveries WHERE processed_at IS NULL AND failed_at IS NULL',
    );
    return rows.length === 0;
  });

interface Row {
  readonly id: string;
  readonly state: string;
  readonly undone: boolean;
  readonly sender: string;
  readonly withdrawn: number;
  readonly refunded: number;
  readonly fee: number;
}

const rowsOf = (number: bigint) =>
  app().services.db.query<Row>(
    `SELECT id, state, undone, sender, withdrawn_sats::int AS withdrawn, refunded_sats::int AS refunded, fee_sats::int AS fee
     FROM streams WHERE chain_stream = $1 ORDER BY undone`,
    [`${deployer}/${number}`],
  );

let base = 10_000;
function root() {
  base += 1_000;
  return genesis(base);
}

it('is followed from its creation to its cancel, by whoever’s token names a party’s principal', async () => {
  const { number, sender, recipient, created, withdrawal, cancellation } = newStream();
  const one = blockOn(root(), transaction(created));
  await deliver(app(), 'streams', applied(one));
  await processed();
  const [row] = await rowsOf(number);
  const streamId = row?.id as string;
  const [payer, payee] = [{ token: await tokenAt(sender) }, { token: await tokenAt(recipient) }];
  await app().ask('{ viewer { user { id } } }', {}, payee);
  const { stream } = await app().ask(
    `query ($id: ID!) { stream(id: $id) { state origin clock amountSats startBlock endBlock sender { address } recipient { address name } } }`,
    { id: streamId },
    payer,
  );
  expect(stream).toMatchObject({
    origin: 'STACKS',
    clock: 'BLOCK',
    amountSats: 1_000,
    startBlock: 100,
    endBlock: 1_000,
    sender: { address: sender },
    recipient: { address: recipient, name: 'holder' },
  });
  expect(
    (await app().ask('{ streams(role: RECIPIENT) { edges { node { id } } } }', {}, payee)).streams.edges,
  ).toEqual([{ node: { id: streamId } }]);
  for (const name of ['settleStream', 'pauseStream', 'cancelStream'])
    expect(await attempt(app(), name, { streamId }, 'stream { id }', payer)).toEqual({
      code: 'FORBIDDEN',
      reason: 'MIRRORED',
    });
  const watched = app().watch(
    `subscription ($id: ID!) { streamUpdated(id: $id) { __typename id ... on StreamWithdrawn { amountSats totalWithdrawnSats remainingSats }
       ... on StreamCancelled { vestedSats unvestedSats feeSats cancelledBy { address } } ... on StreamReorganised { rolledBack } } }`,
    { id: streamId },
    payee,
  );
  await watched.event('StreamSnapshot');
  const two = blockOn(one, transaction(withdrawal(300n)));
  const three = blockOn(two, transaction(cancellation(100n, 594n, 6n)));
  await deliver(app(), 'streams', applied(two, three), 'v2');
  expect(await watched.event('StreamWithdrawn')).toMatchObject({
    amountSats: 300,
    totalWithdrawnSats: 300,
    remainingSats: 700,
  });
  const cancelled = await watched.event('StreamCancelled');
  expect(cancelled).toMatchObject({
    vestedSats: 400,
    unvestedSats: 600,
    feeSats: 6,
    cancelledBy: { address: sender },
  });
  expect(await rowsOf(number)).toMatchObject([{ state: 'CANCELLED', withdrawn: 400, refunded: 594, fee: 6 }]);
  await deliver(app(), 'streams', reorganised([three], [blockOn(two)]));
  expect(await watched.event('StreamReorganised')).toMatchObject({ rolledBack: cancelled.id });
  expect(await rowsOf(number)).toMatchObject([{ withdrawn: 300, refunded: 0, fee: 0 }]);
});

it('ends the subscription of a sender who has passed it on, and of one whom a reorganisation takes it from', async () => {
  const { number, sender, created } = newStream();
  const [first, other] = [addressOf(number * 3n + 2n), sender];
  const one = blockOn(root(), transaction(created));
  await deliver(app(), 'streams', applied(one));
  await processed();
  const [row] = await rowsOf(number);
  const watch = (token: string) =>
    app().watch(
      'subscription ($id: ID!) { streamUpdated(id: $id) { __typename ... on StreamTransferred { to { address } } } }',
      { id: row?.id },
      { token },
    );
  const former = watch(await tokenAt(other));
  await former.event('StreamSnapshot');
  const passed: Print = {
    event: 'stream-sender-updated',
    'stream-id': number,
    'old-sender': sender,
    'new-sender': first,
  };
  const two = blockOn(one, transaction(passed));
  await deliver(app(), 'streams', applied(two));
  expect(await former.event('StreamTransferred')).toMatchObject({ to: { address: first } });
  await until('it to end', () => former.ended);
  const newer = watch(await tokenAt(first));
  await newer.event('StreamSnapshot');
  await deliver(app(), 'streams', reorganised([two], [blockOn(one)]));
  await newer.event('StreamReorganised');
  await until('it to end', () => newer.ended);
  expect(await rowsOf(number)).toMatchObject([{ sender }]);
});

it('passes over what makes no sense', async () => {
  const { number, created, withdrawal, cancellation } = newStream();
  const nonsense = [
    withdrawal(1n),
    created,
    created,
    withdrawal(0n),
    withdrawal(1_001n),
    { ...cancellation(1n, 1n, 1n), 'vested-paid': 'none' },
    { event: 'stream-sender-updated', 'stream-id': number, 'new-sender': 5n },
    { event: 'stream-paused', 'stream-id': number },
    { event: 'stream-withdrawal' },
  ];
  const wrong = [
    { ...newStream().created, amount: 2n ** 100n } as Print,
    { ...newStream().created, 'end-block': 100n } as Print,
    { ...newStream().created, recipient: null } as Print,
  ];
  await deliver(app(), 'streams', applied(blockOn(root(), transaction(...nonsense, ...wrong))));
  await processed();
  expect(await rowsOf(number)).toMatchObject([{ withdrawn: 0, refunded: 0 }]);
  for (const each of wrong) expect(await rowsOf(each['stream-id'] as bigint)).toEqual([]);
  const failed = await app().services.db.query('SELECT 1 FROM inbox_deliveries WHERE failed_at IS NOT NULL');
  expect(failed).toEqual([]);
});

it('is what the canonical chain makes it, through forks A, B, A of any depth', async () => {
  const branch = fc.array(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 2 }), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.integer({ min: 0, max: 3 }),
      branch,
      branch,
      async (inFork, shared, a, b) => {
        const { number, created, withdrawal } = newStream(100_000n);
        const grow = (
          parent: Pick<TestBlock, 'hash' | 'height'>,
          branchOf: readonly (readonly number[])[],
        ) => {
          const blocks: TestBlock[] = [];
          for (const sums of branchOf)
            blocks.push(
              blockOn(blocks.at(-1) ?? parent, ...sums.map((sats) => transaction(withdrawal(BigInt(sats))))),
            );
          return blocks;
        };
        const creation = transaction(created);
        const trunk = blockOn(root(), ...(inFork ? [] : [creation]));
        const withCreation = (blocks: TestBlock[]) =>
          inFork
            ? blocks.map((block, n) => (n === 0 ? { ...block, txs: [creation, ...block.txs] } : block))
            : blocks;
        const [forkA, forkB] = [withCreation(grow(trunk, a)), grow(trunk, b)];
        await deliver(app(), 'streams', applied(trunk, ...forkA));
        await deliver(app(), 'streams', applied(...forkA.slice(shared)));
        await deliver(app(), 'streams', reorganised([...forkA].reverse(), forkB), 'v1-raw');
        await deliver(app(), 'streams', applied(...forkA));
        await processed();
        const [inB] = await rowsOf(number);
        const sum = (blocks: readonly (readonly number[])[]) =>
          blocks.flat().reduce((total, n) => total + n, 0);
        expect(inB).toMatchObject(
          inFork ? { undone: true, withdrawn: 0, state: 'CANCELLED' } : { undone: false, withdrawn: sum(b) },
        );
        await deliver(app(), 'streams', reorganised([...forkB].reverse(), forkA), 'v2');
        await processed();
        expect(await rowsOf(number)).toMatchObject([{ undone: false, withdrawn: sum(a) }]);
        const told = (await app().services.feeds.log.readPage(`stream:${inB?.id}`, 0, 1_000)).map(
          ({ event }) => event,
        );
        const undone = told
          .filter(({ type }) => type === 'StreamReorganised')
          .map(({ facts }) => facts.rolledBack);
        expect(new Set(undone).size).toBe(undone.length);
        const standing = told.filter(({ id, type }) => type === 'StreamWithdrawn' && !undone.includes(id));
        expect(standing.map(({ facts }) => facts.amountSats)).toEqual(a.flat());
      },
    ),
    { numRuns: 15 },
  );
  expect(await app().services.db.query('SELECT 1 FROM transfers')).toEqual([]);
}, 180_000);
