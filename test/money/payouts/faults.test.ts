import fc from 'fast-check';
import { expect, it } from 'vitest';
import { feeReserve } from '../../../src/money/payouts/machine.ts';
import { useTestApp } from '../../support/app.ts';
import type { Json } from '../../support/clients.ts';
import { movableClock } from '../../support/clock.ts';
import { expectMoneyAddsUp } from '../../support/money.ts';
import { key } from '../../support/operations.ts';
import {
  type Fate,
  fatefulPayer,
  foreignInvoice,
  paidAtOnce,
  payoutMutation,
  readPayout,
} from '../../support/payouts.ts';
import { until } from '../../support/until.ts';
import { createUser, walletOf } from '../../support/wallets.ts';

const clock = movableClock();
const fates = new Map<string, Fate>();
const { payer, lightning } = fatefulPayer((paymentHash) => fates.get(paymentHash) ?? paidAtOnce);
const app = useTestApp({ AGENT: 'external' }, { clock, lightning });

const reserve = { basisPoints: 100, minimumSats: 10n };
const fundedSats = 20_000;
const invoiceMs = 3_600_000;

const fate: fc.Arbitrary<Fate> = fc.record({
  answer: fc.constantFrom('TAKEN', 'LOST', 'REFUSED'),
  ends: fc.constantFrom('PAID', 'PAID', 'FAILED', 'UNKNOWN'),
  feeMsats: fc.bigInt(0n, 120_000n),
  pendingLookUps: fc.nat(3),
  failedLookUps: fc.nat(2),
});

/** An invoice that several ask to have paid at once, some of them twice with one key. */
const plan = fc.record({
  amountSats: fc.integer({ min: 1, max: 4_000 }),
  askers: fc.array(fc.record({ who: fc.nat(2), twice: fc.boolean() }), { minLength: 1, maxLength: 4 }),
  fate,
});

/** When the node is away, in looks at what is pending. */
const away = fc.record({ from: fc.nat(3), looks: fc.nat(3) });

it('pays each invoice at most once and loses nothing, whatever the node answers and whoever asks', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 6 }), away, async (plans, { from, looks }) => {
      const people = await Promise.all(
        [0, 1, 2].map((n) => createUser(app(), `payee ${n} ${key()}`, fundedSats)),
      );
      const sentBefore = payer.sent.length;
      const invoices = plans.map((planned) => {
        const made = foreignInvoice(clock.now(), planned.amountSats);
        fates.set(made.paymentHash, planned.fate);
        return { ...planned, ...made };
      });

      const asked = await Promise.all(
        invoices.flatMap(({ askers, bolt11, paymentHash }) =>
          askers.flatMap(({ who, twice }) => {
            const input = { bolt11, idempotencyKey: key() };
            const ask = () => app().send(payoutMutation, { input }, people[who]);
            return (twice ? [ask, ask] : [ask]).map(async (send) => ({
              who,
              paymentHash,
              ...(await send()),
            }));
          }),
        ),
      );
      const payouts = new Map<string, { id: string; who: number }>();
      for (const { who, paymentHash, data, errors } of asked as Json[]) {
        if (errors) {
          expect(errors).toMatchObject([{ extensions: { code: 'CONFLICT', reason: 'INVALID_STATE' } }]);
          continue;
        }
        const { id } = data.payout.payout;
        expect(payouts.get(paymentHash) ?? { id, who }).toEqual({ id, who });
        payouts.set(paymentHash, { id, who });
      }
      // Of those who ask for one invoice one is answered, as everyone has enough.
      expect(payouts.size).toBe(invoices.length);

      let looked = 0;
      const ended = await until('all to have ended', async () => {
        payer.isAway = looked >= from && looked < from + looks;
        looked += 1;
        clock.advance(200_000);
        const all = await Promise.all(
          invoices.map(async (invoice) => {
            const { id, who } = payouts.get(invoice.paymentHash) as { id: string; who: number };
            const { node } = await app().ask(readPayout, { id }, people[who]);
            return { ...invoice, who, node: node as Json };
          }),
        );
        return all.some(({ node }) => node.state === 'PENDING') ? undefined : all;
      });

      const sent = payer.sent.slice(sentBefore);
      expect(new Set(sent).size).toBe(sent.length);
      const spent = [0, 0, 0];
      for (const { paymentHash, node, who, amountSats, fate: told } of ended) {
        const wasSent = sent.includes(paymentHash);
        const failure = told.ends === 'FAILED' ? 'PAYMENT_FAILED' : 'NEVER_PAID';
        const isPaid = wasSent && told.ends === 'PAID';
        expect(node).toMatchObject({
          state: isPaid ? 'PAID' : 'FAILED',
          failureReason: isPaid ? null : wasSent ? failure : 'NOT_SENT',
        });
        // What nobody has heard of comes back only when no node can pay it any more.
        if (node.failureReason === 'NEVER_PAID')
          expect(Date.parse(node.settledAt) - Date.parse(node.createdAt)).toBeGreaterThan(
            invoiceMs * 2 - 2_000,
          );
        const fee = (told.feeMsats + 999n) / 1_000n;
        const most = feeReserve(BigInt(amountSats), reserve);
        const charged = Number(isPaid ? (fee < most ? fee : most) : 0n);
        expect(node.feeSats).toBe(charged);
        if (isPaid) spent[who] = (spent[who] as number) + amountSats + charged;
      }
      expect(await Promise.all(people.map(({ id }) => walletOf(app(), id)))).toEqual(
        spent.map((sats) => fundedSats - sats),
      );
      await expectMoneyAddsUp(app().services.db);
    }),
    { numRuns: 8 },
  );
}, 120_000);
