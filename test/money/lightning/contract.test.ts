import { decode } from 'light-bolt11-decoder';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { LightningBackend } from '../../../src/money/lightning/backend.ts';
import { createLnbits } from '../../../src/money/lightning/lnbits.ts';
import { createStubLightning } from '../../../src/money/lightning/stub.ts';
import { type MovableClock, standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';
import { lnbitsVersions } from '../../support/lnbits/shapes.ts';
import { startLnbits } from '../../support/lnbits.ts';
import { until } from '../../support/until.ts';

/** A backend, and someone who pays its invoices. */
interface Subject {
  readonly backend: LightningBackend;
  pay(paymentHash: string, sats: bigint): Promise<void>;
  /** Resolves once hints can come. */
  listening(): Promise<unknown>;
}

const db = useDatabase();

async function stub(clock: MovableClock): Promise<Subject> {
  const backend = createStubLightning({ db: db(), clock });
  return { backend, pay: backend.pay, listening: async () => {} };
}

const lnbits = (version: (typeof lnbitsVersions)[number]) => async (clock: MovableClock) => {
  const node = await startLnbits({ version, clock });
  const { invoiceKey } = node;
  const errors: unknown[] = [];
  const backend = createLnbits({
    url: new URL(node.url),
    invoiceKey,
    clock,
    onError: (error) => errors.push(error),
  });
  onTestFinished(async () => {
    await backend.close();
    await node.close();
    expect(errors).toEqual([]);
  });
  return {
    backend,
    pay: (paymentHash: string, sats: bigint) => node.pay(paymentHash, { sats: Number(sats) }),
    listening: () => until('it listens', () => node.sockets.count(invoiceKey) === 1),
  };
};

const backends = new Map<string, (clock: MovableClock) => Promise<Subject>>([
  ['the stub', stub],
  ...lnbitsVersions.map((version) => [`LNbits ${version}`, lnbits(version)] as const),
]);

const request = { amountSats: 2_100n, memo: 'Zwei Kaffee', expirySeconds: 900 };

describe.each([...backends])('%s', (_, start) => {
  it('makes invoices that say what was asked', async () => {
    const clock = standingClock();
    const { backend } = await start(clock);
    const { paymentHash, bolt11, expiresAt } = await backend.createInvoice(request);
    expect(paymentHash).toMatch(/^[0-9a-f]{64}$/);
    expect(expiresAt).toEqual(new Date(clock.now() + 900_000));
    const fields = decode(bolt11).sections.map((section) => [
      section.name,
      'value' in section ? section.value : '',
    ]);
    expect(Object.fromEntries(fields)).toMatchObject({
      payment_hash: paymentHash,
      amount: '2100000',
      description: 'Zwei Kaffee',
      expiry: 900,
    });
  });

  it('says of each invoice whether it is paid, with what and when', async () => {
    const clock = standingClock();
    const { backend, pay } = await start(clock);
    const invoices = [await backend.createInvoice(request), await backend.createInvoice(request)];
    const [paid = '', unpaid = ''] = invoices.map(({ paymentHash }) => paymentHash);
    expect(await backend.lookUp(paid)).toEqual({ paid: false, isKnown: true });
    await pay(paid, 2_100n);
    const answer = { paid: true, receivedSats: 2_100n, paidAt: new Date(clock.now()) };
    expect(await backend.lookUp(paid)).toEqual(answer);
    expect(await backend.lookUp(paid)).toEqual(answer);
    expect(await backend.lookUp(unpaid)).toEqual({ paid: false, isKnown: true });
  });

  it('receives more than was asked, after the time, and only once', async () => {
    const clock = standingClock();
    const { backend, pay } = await start(clock);
    const { paymentHash } = await backend.createInvoice(request);
    clock.advance(86_400_000);
    await pay(paymentHash, 5_000n);
    await pay(paymentHash, 7_000n);
    expect(await backend.lookUp(paymentHash)).toMatchObject({ paid: true, receivedSats: 5_000n });
  });

  it('says unpaid of what it does not know', async () => {
    const { backend } = await start(standingClock());
    expect(await backend.lookUp('ab'.repeat(32))).toEqual({ paid: false, isKnown: false });
  });

  it('hints at a payment to all who listen, and to nobody once it is closed', async () => {
    const { backend, pay, listening } = await start(standingClock());
    const heard: string[] = [];
    backend.onHint((paymentHash) => heard.push(`first ${paymentHash}`));
    backend.onHint((paymentHash) => heard.push(`second ${paymentHash}`));
    await listening();
    const [before, after] = [await backend.createInvoice(request), await backend.createInvoice(request)];
    await pay(before.paymentHash, 2_100n);
    await until('both have heard', () => heard.length === 2);
    await backend.close();
    await pay(after.paymentHash, 2_100n);
    expect(heard).toEqual([`first ${before.paymentHash}`, `second ${before.paymentHash}`]);
  });
});
