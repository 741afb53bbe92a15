import { expect, it, onTestFinished } from 'vitest';
import { createClients } from '../support/clients.ts';
import { createLnbitsWorld } from '../support/lnbits-app.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { startNodes } from '../support/nodes.ts';
import { key } from '../support/operations.ts';
import { foreignInvoice, payOut, readPayout } from '../support/payouts.ts';
import { until } from '../support/until.ts';

const deposit = 'mutation ($input: DepositInput!) { deposit(input: $input) { invoice { paymentHash } } }';
const wallet = '{ viewer { wallet { balanceSats } } }';

/** Two nodes with one wallet at LNbits, and a user who has deposited 10,000 sats. */
async function begin() {
  const world = await createLnbitsWorld();
  const nodes = await startNodes({ ...world.env, AGENT: 'external' });
  const { lnbits } = world;
  const alice = (await world.as('alice')) as { token: string };

  /** The clients of a node as it is now: those that were there when it was killed are not. */
  function clientsOf({ url, webSocketUrl }: typeof nodes.one) {
    const clients = createClients(url, webSocketUrl);
    onTestFinished(() => clients.dispose());
    return clients;
  }
  const [one, two] = [clientsOf(nodes.one), clientsOf(nodes.two)];
  const balance = async () => (await two.ask(wallet, {}, alice)).viewer.wallet.balanceSats as number;
  const { paymentHash } = (
    await one.ask(deposit, { input: { amountSats: 10_000, idempotencyKey: key() } }, alice)
  ).deposit.invoice;
  await lnbits.pay(paymentHash);
  await until('the deposit', async () => (await balance()) === 10_000);
  return {
    ...{ nodes, lnbits, alice, one, two, balance },
    /** How often LNbits was asked to pay an invoice. */
    sendings: (bolt11: string) =>
      lnbits.requests.filter(({ method, body }) => method === 'POST' && body.includes(bolt11)).length,
    ended: (id: string) =>
      until(
        'the payout to end',
        async () => {
          const { node } = await two.ask(readPayout, { id }, alice);
          return node.state === 'PENDING' ? undefined : node;
        },
        60_000,
      ),
  };
}

it('is sent once by two nodes, whatever LNbits answers, and ends as LNbits says', async () => {
  const { nodes, lnbits, alice, one, two, balance, sendings, ended } = await begin();
  const invoices = [];
  for (const [fault, changed] of [
    ['paid', undefined],
    ['untold', undefined],
    ['pending', 'success'],
    ['pending', 'failed'],
    ['failed', undefined],
  ] as const) {
    lnbits.faults.payments = fault;
    const { bolt11, paymentHash } = foreignInvoice(Date.now(), 500);
    const input = { bolt11, idempotencyKey: key() };
    const text = 'mutation ($input: PayoutInput!) { payout(input: $input) { payout { id } } }';
    // The same request through both nodes, as a client asks again whose answer was late.
    const [first, second] = await Promise.all(
      [one, two].map(
        async (clients) => (await clients.ask(text, { input }, alice)).payout.payout.id as string,
      ),
    );
    expect(second).toBe(first);
    const outgoing = await until('it to be sent', () => lnbits.outgoing.get(paymentHash));
    if (changed) {
      const { node } = await two.ask(readPayout, { id: first }, alice);
      expect(node).toMatchObject({ state: 'PENDING', feeSats: 10 });
      outgoing.state = changed;
    }
    const isPaid = outgoing.state === 'success';
    expect(await ended(first as string)).toMatchObject({
      state: isPaid ? 'PAID' : 'FAILED',
      feeSats: isPaid ? 2 : 0,
      failureReason: isPaid ? null : 'PAYMENT_FAILED',
    });
    invoices.push(bolt11);
  }
  expect(invoices.map(sendings)).toEqual([1, 1, 1, 1, 1]);
  expect(await balance()).toBe(10_000 - 3 * 502);
  await expectMoneyAddsUp(nodes.db);
}, 180_000);

it('is not sent again when its node is killed while LNbits pays, and is found paid by the other', async () => {
  const { nodes, lnbits, alice, one, balance, sendings, ended } = await begin();
  await nodes.two.kill();
  const { bolt11, paymentHash } = foreignInvoice(Date.now(), 700);
  // Late answers: LNbits has paid when the node is killed, and the node has not heard of it.
  lnbits.faults.delayMs = 2_000;
  const { id } = await payOut(one, bolt11, alice);
  await until('LNbits to pay', () => lnbits.outgoing.has(paymentHash));
  await nodes.one.kill();
  lnbits.faults.delayMs = 0;
  await nodes.two.start();
  expect(await ended(id)).toMatchObject({ state: 'PAID', feeSats: 2 });
  expect(sendings(bolt11)).toBe(1);
  expect(await balance()).toBe(10_000 - 702);
  await expectMoneyAddsUp(nodes.db);
}, 180_000);

it('waits while LNbits is down, and is sent when that is back', async () => {
  const { nodes, lnbits, alice, one, balance, sendings, ended } = await begin();
  await lnbits.close();
  const { bolt11 } = foreignInvoice(Date.now(), 700);
  const { id, state } = await payOut(one, bolt11, alice);
  expect(state).toBe('PENDING');
  expect(await balance()).toBe(10_000 - 710);
  await lnbits.start();
  expect(await ended(id)).toMatchObject({ state: 'PAID', feeSats: 2 });
  expect(sendings(bolt11)).toBe(1);
  await expectMoneyAddsUp(nodes.db);
}, 180_000);
