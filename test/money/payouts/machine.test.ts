import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { PaymentLookUp } from '../../../src/money/lightning/payer.ts';
import { failureOf, feeReserve, lookUpPauseMs, satsOfMsats } from '../../../src/money/payouts/machine.ts';

const hourMs = 3_600_000;
const paid: PaymentLookUp = { state: 'PAID', feeMsats: 0n, paidAt: new Date(0) };

it('holds a part of the amount for the fee, rounded up, and never less than the minimum', () => {
  const reserve = { basisPoints: 100, minimumSats: 10n };
  expect([1n, 1_000n, 1_001n, 1_100n, 1_000_000n].map((amount) => feeReserve(amount, reserve))).toEqual([
    10n,
    10n,
    11n,
    11n,
    10_000n,
  ]);
  fc.assert(
    fc.property(
      fc.bigInt(1n, 2_100_000_000_000_000n),
      fc.integer({ min: 0, max: 10_000 }),
      (amount, basisPoints) => {
        const held = feeReserve(amount, { basisPoints, minimumSats: 0n });
        expect(held * 10_000n >= amount * BigInt(basisPoints)).toBe(true);
        expect((held - 1n) * 10_000n < amount * BigInt(basisPoints)).toBe(true);
      },
    ),
  );
});

it('rounds a part of a sat up', () => {
  expect([0n, 1n, 999n, 1_000n, 1_001n].map(satsOfMsats)).toEqual([0n, 1n, 1n, 1n, 2n]);
});

it('fails on a definite failure alone: said so, or unknown an hour behind the end of the invoice', () => {
  const expiresAt = new Date(10 * hourMs);
  const certain = 11 * hourMs;
  for (const now of [0, certain - 1, certain, 100 * hourMs]) {
    expect(failureOf(paid, expiresAt, now)).toBeUndefined();
    expect(failureOf({ state: 'PENDING' }, expiresAt, now)).toBeUndefined();
    expect(failureOf({ state: 'FAILED' }, expiresAt, now)).toBe('PAYMENT_FAILED');
  }
  expect(failureOf({ state: 'UNKNOWN' }, expiresAt, certain - 1)).toBeUndefined();
  expect(failureOf({ state: 'UNKNOWN' }, expiresAt, certain)).toBe('NEVER_PAID');
});

it('is looked up ever more rarely, within bounds', () => {
  const pauses = [0, 5_000, 60_000, hourMs, 24 * hourMs].map((now) => lookUpPauseMs(new Date(0), now));
  expect(pauses).toEqual([1_000, 1_000, 6_000, 360_000, 600_000]);
});
