import { describe, expect, it, onTestFinished } from 'vitest';
import { LightningUnavailableError } from '../../../src/money/lightning/backend.ts';
import { createLnbitsPayer } from '../../../src/money/lightning/lnbits-payer.ts';
import { WrongWalletError } from '../../../src/money/lightning/payer.ts';
import { standingClock } from '../../support/clock.ts';
import { lnbitsVersions } from '../../support/lnbits/shapes.ts';
import { type FakeLnbits, startLnbits } from '../../support/lnbits.ts';
import { foreignInvoice } from '../../support/payouts.ts';

const clock = standingClock();

describe.each(lnbitsVersions)('LNbits %s', (version) => {
  async function start(keys: (node: FakeLnbits) => object = () => ({})) {
    const node = await startLnbits({ version, clock });
    const { invoiceKey, adminKey } = node;
    const url = new URL(node.url);
    const payer = createLnbitsPayer({ url, invoiceKey, adminKey, clock, timeoutMs: 2_000, ...keys(node) });
    onTestFinished(async () => {
      payer.close();
      await node.close();
    });
    return { node, payer };
  }

  it('tells the network of its wallet, once it is proven that both keys are of it', async () => {
    const { node, payer } = await start();
    expect([await payer.network(), await payer.network()]).toEqual(['bcrt', 'bcrt']);
    expect(node.invoices.size).toBe(1);
  });

  it('is the wrong wallet where the keys differ, or the one is no admin key', async () => {
    for (const keys of [
      (node: FakeLnbits) => ({ invoiceKey: node.otherKey }),
      (node: FakeLnbits) => ({ adminKey: node.invoiceKey }),
    ]) {
      const { payer } = await start(keys);
      await expect(payer.network()).rejects.toBeInstanceOf(WrongWalletError);
    }
  });

  it('pays, and tells the fee of what it has paid; again it pays nothing', async () => {
    const { node, payer } = await start();
    const { bolt11, paymentHash } = foreignInvoice(clock.now(), 300);
    expect(await payer.lookUpPayment(paymentHash)).toEqual({ state: 'UNKNOWN' });
    await payer.pay(bolt11);
    expect(await payer.lookUpPayment(paymentHash)).toEqual({
      state: 'PAID',
      feeMsats: 1_234n,
      paidAt: new Date(clock.now()),
    });
    await expect(payer.pay(bolt11)).rejects.toBeInstanceOf(LightningUnavailableError);
    expect(node.outgoing.size).toBe(1);
    expect(await payer.balanceMsats()).toBe(-301_234n);
  });

  it('says of what it does not know for sure that it is pending', async () => {
    const { node, payer } = await start();
    const { bolt11, paymentHash } = foreignInvoice(clock.now(), 300);
    node.faults.payments = 'pending';
    await payer.pay(bolt11);
    expect(await payer.lookUpPayment(paymentHash)).toEqual({ state: 'PENDING' });
  });

  it('has failed only where it says so; what 0.12 has seen fail it knows no more', async () => {
    const { node, payer } = await start();
    const { bolt11, paymentHash } = foreignInvoice(clock.now(), 300);
    node.faults.payments = 'failed';
    await expect(payer.pay(bolt11)).rejects.toBeInstanceOf(LightningUnavailableError);
    const state = version === '0.12' ? 'UNKNOWN' : 'FAILED';
    expect(await payer.lookUpPayment(paymentHash)).toEqual({ state });
  });

  it('finds what it paid though the answer was lost, and nothing of what it has forgotten', async () => {
    const { node, payer } = await start();
    for (const [fault, state] of [
      ['untold', 'PAID'],
      ['forgotten', 'UNKNOWN'],
    ] as const) {
      const { bolt11, paymentHash } = foreignInvoice(clock.now(), 300);
      node.faults.payments = fault;
      await expect(payer.pay(bolt11)).rejects.toBeInstanceOf(LightningUnavailableError);
      expect(await payer.lookUpPayment(paymentHash)).toMatchObject({ state });
    }
  });

  it.each([
    'error',
    'limited',
    'html',
    'redirect',
    'hang',
    'stall',
    'truncated',
    'cut',
    'oversized',
  ] as const)(
    'knows nothing while answers are %s, and tells no key',
    async (answers) => {
      const { node, payer } = await start(() => ({ timeoutMs: 300 }));
      const { bolt11, paymentHash } = foreignInvoice(clock.now(), 300);
      node.faults.answers = answers;
      // That it was asked is all that an answer to a payment says, whatever its body: a look-up tells the rest.
      const saysAsked = answers === 'html' || answers === 'truncated';
      for (const asked of [
        () => payer.network(),
        ...(saysAsked ? [] : [() => payer.pay(bolt11)]),
        () => payer.lookUpPayment(paymentHash),
        () => payer.balanceMsats(),
      ]) {
        const error = await asked().then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(LightningUnavailableError);
        const { message, cause } = error as Error;
        expect(cause).toBeUndefined();
        for (const secret of [node.adminKey, node.invoiceKey, node.url])
          expect(message).not.toContain(secret);
      }
    },
    60_000,
  );

  it('does not take a payment that came in for one that it made', async () => {
    const { node, payer } = await start();
    await payer.network();
    const [paymentHash] = [...node.invoices.keys()];
    await expect(payer.lookUpPayment(paymentHash as string)).rejects.toBeInstanceOf(
      LightningUnavailableError,
    );
  });

  it('asks nothing more once it is closed', async () => {
    const { payer } = await start();
    payer.close();
    await expect(payer.balanceMsats()).rejects.toBeInstanceOf(LightningUnavailableError);
  });
});
