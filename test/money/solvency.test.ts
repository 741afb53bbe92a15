import { expect, it } from 'vitest';
import { createLedger } from '../../src/money/ledger.ts';
import { createSolvency } from '../../src/money/solvency.ts';
import { standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';
import { fatefulPayer, paidAtOnce } from '../support/payouts.ts';

const db = useDatabase();
const clock = standingClock();

it('tells what is held beside what is owed, and asks the Lightning node at most every 10 seconds', async () => {
  const { payer } = fatefulPayer(() => paidAtOnce);
  const solvency = createSolvency({ db: db(), clock, payer });
  const ledger = createLedger({ clock, onEntry: () => {} });
  await db().transaction((tx) =>
    ledger.transfer(
      tx,
      { key: 'in', from: 'lightning', to: 'wallet:usr_one', amount: 700n, reason: 'DEPOSIT' },
      { key: 'fee', from: 'wallet:usr_one', to: 'treasury', amount: 200n, reason: 'FEE' },
    ),
  );
  expect(await solvency.liabilitiesSats()).toBe(700);
  payer.balance = 700_999n;
  expect(await solvency.backendBalanceSats()).toBe(700);
  payer.balance = 1_000n;
  clock.advance(9_999);
  expect(await solvency.backendBalanceSats()).toBe(700);
  clock.advance(1);
  expect(await solvency.backendBalanceSats()).toBe(1);
});

it('does not know what a node holds that is away, does not answer, or is not there', async () => {
  const { payer } = fatefulPayer(() => paidAtOnce);
  payer.isAway = true;
  const silent = { ...payer, balanceMsats: () => new Promise<bigint>(() => {}) };
  for (const node of [payer, silent, undefined])
    expect(await createSolvency({ db: db(), clock, payer: node }).backendBalanceSats()).toBeNaN();
});
