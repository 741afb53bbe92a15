import { describe, expect, it } from 'vitest';
import { startTestApp, useTestApp } from '../../support/app.ts';
import type { Json } from '../../support/clients.ts';
import { movableClock } from '../../support/clock.ts';
import { expectMoneyAddsUp } from '../../support/money.ts';
import { closeSession, key, openSession } from '../../support/operations.ts';
import {
  claimRefundMutation,
  type Fate,
  fatefulPayer,
  foreignInvoice,
  paidAtOnce,
  payOut,
  payoutMutation,
  readPayout,
} from '../../support/payouts.ts';
import { until } from '../../support/until.ts';
import { createUser, walletOf } from '../../support/wallets.ts';

const clock = movableClock();
const fates = new Map<string, Fate>();
const { payer, lightning } = fatefulPayer((paymentHash) => fates.get(paymentHash) ?? paidAtOnce);
const app = useTestApp({ AGENT: 'external', PAYOUT_MAX_SATS: '50000' }, { clock, lightning });

const deposit = `mutation ($input: DepositInput!) {
  deposit(input: $input) { invoice { paymentHash bolt11 amountSats state } }
}`;
const activity = `subscription { activity(after: "START") {
  __typename
  ... on WalletEvent { balanceAfter }
  ... on WalletCredited { amountSats reason }
  ... on WalletDebited { amountSats reason }
  ... on PayoutSettled { payout { id state feeSats } }
  ... on PayoutFailed { payout { id state failureReason } }
} }`;

const state = async (id: string, as: { readonly token: string }): Promise<Json> =>
  (await app().ask(readPayout, { id }, as)).node;
const ended = (id: string, as: { readonly token: string }): Promise<Json> =>
  until('the payout to end', async () => {
    const payout = await state(id, as);
    return payout.state === 'PENDING' ? undefined : payout;
  });
const invoice = (amountSats: number, fate: Partial<Fate> = {}) => {
  const made = foreignInvoice(clock.now(), amountSats);
  fates.set(made.paymentHash, { ...paidAtOnce, ...fate });
  return made;
};

describe('a deposit', () => {
  it('adds what was paid to the wallet, and asking again makes no other invoice', async () => {
    const alice = await createUser(app(), 'a depositor');
    const watched = app().watch(activity, {}, alice);
    const input = { amountSats: 700, idempotencyKey: key() };
    const made = (await app().ask(deposit, { input }, alice)).deposit.invoice;
    expect(made).toMatchObject({ amountSats: 700, state: 'OPEN' });
    expect((await app().ask(deposit, { input }, alice)).deposit.invoice).toEqual(made);
    await app().pay(made.paymentHash);
    expect(await watched.event('WalletCredited')).toMatchObject({
      amountSats: 700,
      reason: 'DEPOSIT',
      balanceAfter: 700,
    });
    expect(await walletOf(app(), alice.id)).toBe(700);
  });

  it('is credited in full when it is paid late and more than asked', async () => {
    const user = await createUser(app(), 'a late depositor');
    const input = { amountSats: 100, idempotencyKey: key() };
    const { paymentHash } = (await app().ask(deposit, { input }, user)).deposit.invoice;
    await app().services.stubLightning?.pay(paymentHash, 150n);
    await app().services.invoices.confirm(paymentHash);
    expect(await walletOf(app(), user.id)).toBe(150);
    await expectMoneyAddsUp(app().services.db);
  });

  it('is refused outside its bounds, and to who has no wallet', async () => {
    const user = await createUser(app(), 'a bounded depositor');
    for (const amountSats of [0, -1, 1_000_001]) {
      const { errors } = await app().send(deposit, { input: { amountSats, idempotencyKey: key() } }, user);
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    }
    const { errors } = await app().send(deposit, { input: { amountSats: 5, idempotencyKey: key() } });
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  });
});

describe('a payout', () => {
  it('holds the amount and a reserve, is paid, and gives back what the fee did not use', async () => {
    const user = await createUser(app(), 'a payee', 5_000);
    const watched = app().watch(activity, {}, user);
    const { bolt11, paymentHash } = invoice(1_000, { feeMsats: 2_001n });
    const payout = await payOut(app(), bolt11, user);
    expect(payout).toMatchObject({ paymentHash, amountSats: 1_000 });
    expect(await ended(payout.id, user)).toMatchObject({ state: 'PAID', feeSats: 3, failureReason: null });
    expect(await walletOf(app(), user.id)).toBe(5_000 - 1_003);
    await watched.event('PayoutSettled');
    expect(
      watched.events.map(({ __typename, amountSats, balanceAfter }) => [
        __typename,
        amountSats,
        balanceAfter,
      ]),
    ).toEqual([
      ['WalletCredited', 5_000, 5_000],
      ['WalletDebited', 1_010, 3_990],
      ['WalletCredited', 7, 3_997],
      ['PayoutSettled', undefined, 3_997],
    ]);
    const { viewer } = await app().ask('{ viewer { payouts { edges { node { id state } } } } }', {}, user);
    expect(viewer.payouts.edges).toEqual([{ node: { id: payout.id, state: 'PAID' } }]);
  });

  it('costs no more than its reserve, whatever the fee was', async () => {
    const user = await createUser(app(), 'a payee far away', 5_000);
    const { bolt11 } = invoice(1_000, { feeMsats: 25_000n });
    const { id } = await payOut(app(), bolt11, user);
    expect(await ended(id, user)).toMatchObject({ state: 'PAID', feeSats: 10 });
    expect(await walletOf(app(), user.id)).toBe(3_990);
    await expectMoneyAddsUp(app().services.db);
  });

  it('comes back whole when it has failed for sure', async () => {
    const user = await createUser(app(), 'a payee without a route', 5_000);
    const watched = app().watch(activity, {}, user);
    const { bolt11 } = invoice(1_000, { answer: 'REFUSED', ends: 'FAILED', pendingLookUps: 1 });
    const { id } = await payOut(app(), bolt11, user);
    expect(await ended(id, user)).toMatchObject({
      state: 'FAILED',
      feeSats: 0,
      failureReason: 'PAYMENT_FAILED',
    });
    expect(await watched.event('PayoutFailed')).toMatchObject({ payout: { id }, balanceAfter: 5_000 });
    expect(await walletOf(app(), user.id)).toBe(5_000);
  });

  it('whose answer was lost is only looked up, and paid once', async () => {
    const user = await createUser(app(), 'a payee behind a bad line', 5_000);
    const { bolt11, paymentHash } = invoice(1_000, { answer: 'LOST', failedLookUps: 1, pendingLookUps: 1 });
    const { id } = await payOut(app(), bolt11, user);
    expect(await ended(id, user)).toMatchObject({ state: 'PAID' });
    expect(payer.sent.filter((hash) => hash === paymentHash)).toHaveLength(1);
  });

  it('that the node has never heard of stays locked until an hour behind the end of its invoice', async () => {
    const user = await createUser(app(), 'a payee nobody knows', 5_000);
    const { bolt11, paymentHash } = invoice(1_000, { answer: 'LOST', ends: 'UNKNOWN' });
    const { id } = await payOut(app(), bolt11, user);
    await until('it to be sent', () => payer.sent.includes(paymentHash));
    clock.advance(7_100_000);
    expect(await state(id, user)).toMatchObject({ state: 'PENDING', feeSats: 10 });
    expect(await walletOf(app(), user.id)).toBe(3_990);
    clock.advance(200_000);
    const payout = await until('it to fail', async () => {
      clock.advance(60_000);
      const present = await state(id, user);
      return present.state === 'PENDING' ? undefined : present;
    });
    expect(payout).toMatchObject({ state: 'FAILED', failureReason: 'NEVER_PAID' });
    expect(await walletOf(app(), user.id)).toBe(5_000);
    expect(payer.sent.filter((hash) => hash === paymentHash)).toHaveLength(1);
  });

  it('waits for a node that is away or has too little, and is not sent behind the end of its invoice', async () => {
    const user = await createUser(app(), 'a patient payee', 5_000);
    const { bolt11, paymentHash } = invoice(1_000);
    payer.balance = 0n;
    const { id } = await payOut(app(), bolt11, user);
    await until('it to wait', () =>
      app().logged.some((line) => line.includes(`too little for payout ${id}`)),
    );
    payer.isAway = true;
    clock.advance(20_000);
    expect(await state(id, user)).toMatchObject({ state: 'PENDING' });
    clock.advance(3_600_000);
    const payout = await until('it to fail', async () => {
      clock.advance(60_000);
      const present = await state(id, user);
      return present.state === 'PENDING' ? undefined : present;
    });
    expect(payout).toMatchObject({ state: 'FAILED', failureReason: 'NOT_SENT' });
    expect(payer.sent).not.toContain(paymentHash);
    expect(await walletOf(app(), user.id)).toBe(5_000);
    payer.balance = 1_000_000_000_000n;
    payer.isAway = false;
  });

  it('of an invoice of our own is settled in the ledger, and costs nothing', async () => {
    const [payee, from] = [await createUser(app(), 'who is paid'), await createUser(app(), 'who pays', 900)];
    const input = { amountSats: 500, idempotencyKey: key() };
    const own = (await app().ask(deposit, { input }, payee)).deposit.invoice;
    const { id } = await payOut(app(), own.bolt11, from);
    expect(await ended(id, from)).toMatchObject({ state: 'PAID', feeSats: 0, amountSats: 500 });
    expect([await walletOf(app(), from.id), await walletOf(app(), payee.id)]).toEqual([400, 500]);
    expect(payer.sent).not.toContain(own.paymentHash);
    // Lightning does not know: who pays it once more finds it back with the owner.
    await app().services.stubLightning?.pay(own.paymentHash, 500n);
    await app().services.invoices.confirm(own.paymentHash);
    await app().services.invoices.confirm(own.paymentHash);
    expect(await walletOf(app(), payee.id)).toBe(1_000);
    await expectMoneyAddsUp(app().services.db);
    const again = await app().send(
      payoutMutation,
      { input: { bolt11: own.bolt11, idempotencyKey: key() } },
      from,
    );
    expect(again.errors).toMatchObject([{ extensions: { code: 'CONFLICT', reason: 'INVALID_STATE' } }]);
  });

  it('of an invoice of our own that was paid meanwhile comes back', async () => {
    const other = await startTestApp({}, { clock, lightning });
    const [payee, from] = [await createUser(other, 'a payee'), await createUser(other, 'a payer', 900)];
    const input = { amountSats: 500, idempotencyKey: key() };
    const own = (await other.ask(deposit, { input }, payee)).deposit.invoice;
    const [asked] = await Promise.all([payOut(other, own.bolt11, from), other.pay(own.paymentHash)]);
    await until('it to end', async () => {
      const { node } = await other.ask(readPayout, { id: asked.id }, from);
      return node.state !== 'PENDING';
    });
    await other.services.invoices.confirm(own.paymentHash);
    await expectMoneyAddsUp(other.services.db);
    // Whichever came first, the payee has one payment or, of a second one, both.
    const [left, received] = [await walletOf(other, from.id), await walletOf(other, payee.id)];
    expect([`900 500`, `400 1000`]).toContain(`${left} ${received}`);
  });

  it('is made once: of one request sent many times, and of one invoice ever', async () => {
    const [user, other] = [
      await createUser(app(), 'eager', 5_000),
      await createUser(app(), 'also eager', 5_000),
    ];
    const { bolt11, paymentHash } = invoice(100);
    const input = { bolt11, idempotencyKey: key() };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => app().ask(payoutMutation, { input }, user)),
    );
    expect(new Set(answers.map(({ payout }) => payout.payout.id)).size).toBe(1);
    const repeated = await app().send(payoutMutation, { input: { bolt11, idempotencyKey: key() } }, other);
    expect(repeated.errors).toMatchObject([{ extensions: { code: 'CONFLICT', reason: 'INVALID_STATE' } }]);
    await ended(answers[0].payout.payout.id, user);
    expect(payer.sent.filter((hash) => hash === paymentHash)).toHaveLength(1);
    expect(await walletOf(app(), other.id)).toBe(5_000);
  });

  it('is refused at once for what cannot be paid', async () => {
    const user = await createUser(app(), 'mistaken', 5_000);
    const now = clock.now();
    const cases = [
      ['no invoice', 'BAD_USER_INPUT'],
      [foreignInvoice(now, 100, { network: 'bitcoin' }).bolt11, 'BAD_USER_INPUT'],
      [foreignInvoice(now - 7_200_000, 100).bolt11, 'BAD_USER_INPUT'],
      [foreignInvoice(now, 50_001).bolt11, 'BAD_USER_INPUT'],
      [foreignInvoice(now, 4_995).bolt11, 'INSUFFICIENT_FUNDS'],
      [`${foreignInvoice(now, 100).bolt11.slice(0, -1)}q`, 'BAD_USER_INPUT'],
      ['x'.repeat(5_000), 'BAD_USER_INPUT'],
    ] as const;
    for (const [bolt11, code] of cases) {
      const { errors } = await app().send(payoutMutation, { input: { bolt11, idempotencyKey: key() } }, user);
      expect(errors, bolt11).toMatchObject([
        { extensions: code === 'BAD_USER_INPUT' ? { code, argument: 'bolt11' } : { code } },
      ]);
    }
    expect(await walletOf(app(), user.id)).toBe(5_000);
  });

  it('is shown to its owner, SERVICE and ADMIN alone', async () => {
    const [user, stranger] = [
      await createUser(app(), 'an owner', 500),
      await createUser(app(), 'a stranger'),
    ];
    const { id } = await payOut(app(), invoice(100).bolt11, user);
    for (const role of ['SERVICE', 'ADMIN'])
      expect(await state(id, { token: await app().token(role, [role]) })).toMatchObject({ id });
    const foreign = await app().send(readPayout, { id }, stranger);
    expect(foreign.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    const guessed = await app().send(readPayout, { id: 'pay_AAAAAAAAAAAAAAAAAAAAAA' }, stranger);
    expect(guessed).toEqual(foreign);
  });
});

describe('a refund', () => {
  it('is claimed by whoever has the access token, out of what came back', async () => {
    const { session, as } = await openSession(app(), 500);
    await app().pay(session.depositInvoice.paymentHash);
    await app().ask(closeSession, { input: { sessionId: session.id, idempotencyKey: key() } }, as);
    const tooMuch = { id: session.id, bolt11: invoice(495).bolt11, idempotencyKey: key() };
    expect((await app().send(claimRefundMutation, { input: tooMuch }, as)).errors).toMatchObject([
      { extensions: { code: 'INSUFFICIENT_FUNDS' } },
    ]);
    const input = {
      id: session.id,
      bolt11: invoice(490, { feeMsats: 10_000n }).bolt11,
      idempotencyKey: key(),
    };
    const { payout } = (await app().ask(claimRefundMutation, { input }, as)).claimRefund;
    expect((await app().ask(claimRefundMutation, { input }, as)).claimRefund.payout.id).toBe(payout.id);
    expect(await ended(payout.id, as as { token: string })).toMatchObject({ state: 'PAID', feeSats: 10 });
    const balance = await app().services.ledger.balance(app().services.db, `refund:${session.id}`);
    expect(balance).toBe(0n);
    await expectMoneyAddsUp(app().services.db);
  });

  it('is nobody else’s, and a guessed id is answered alike', async () => {
    const { session } = await openSession(app(), 500);
    const { as } = await openSession(app(), 500);
    const user = await createUser(app(), 'a claimer');
    for (const id of [session.id, 'ses_AAAAAAAAAAAAAAAAAAAAAA', 'nothing'])
      for (const who of [as, user]) {
        const input = { id, bolt11: invoice(10).bolt11, idempotencyKey: key() };
        const { errors } = await app().send(claimRefundMutation, { input }, who);
        expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
      }
  });
});
