import { describe, expect, it, onTestFinished } from 'vitest';
import type { TestApp } from '../support/app.ts';
import { standingClock } from '../support/clock.ts';
import { historyOf } from '../support/history.ts';
import type { LnbitsVersion } from '../support/lnbits/shapes.ts';
import { createLnbitsWorld, type LnbitsWorld } from '../support/lnbits-app.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { createJob, key, openSession, watchJob, watchSession } from '../support/operations.ts';
import { foreignInvoice, payoutMutation } from '../support/payouts.ts';
import { until } from '../support/until.ts';

const versions: readonly LnbitsVersion[] = ['0.12', '1.0', '1.1', '1.4', '1.5'];
const expirySeconds = 600;

/** A started server, which in the end has logged no secret. */
async function begin(options: Parameters<typeof createLnbitsWorld>[0] = {}) {
  const world = await createLnbitsWorld({
    ...options,
    env: { AGENT: 'external', INVOICE_EXPIRY_SECONDS: String(expirySeconds), ...options.env },
  });
  const app = await world.start();
  expectNoSecrets(world, app);
  return { world, lnbits: world.lnbits, app };
}

function expectNoSecrets(world: LnbitsWorld, app: TestApp): void {
  onTestFinished(() => {
    const logged = app.logged.join('');
    for (const secret of world.secrets()) expect(logged).not.toContain(secret);
  });
}

const stateOf = async ({ services }: TestApp, paymentHash: string) =>
  (
    await services.db.query<{ state: string }>('SELECT state FROM invoices WHERE payment_hash = $1', [
      paymentHash,
    ])
  )[0]?.state;

const typesOf = async (app: TestApp, id: string, as: object) =>
  (await historyOf(app, 'job', id, as)).map(({ __typename }) => __typename);

const balanceOf = async (app: TestApp, as: object) =>
  (await app.ask('{ viewer { wallet { balanceSats } } }', {}, as)).viewer.wallet.balanceSats;

describe.each(versions)('LNbits %s', (version) => {
  it('has invoices made, and payments found with and without its word', async () => {
    const { world, lnbits, app } = await begin({ version });
    const as = await world.as('alice');
    const ways = [{ webhook: false }, { push: false }, { push: false, webhook: false }];
    for (const way of ways) {
      const { job } = await createJob(app, 'Count.', as);
      const watched = app.watch(watchJob, { id: job.id, after: 'START' }, as);
      await lnbits.pay(job.evalInvoice.paymentHash, way);
      await watched.event('JobPaymentConfirmed');
      watched.unsubscribe();
    }
    await expectMoneyAddsUp(app.services.db);
  });
});

it('books a payment once that is pushed, posted and found at the same moment', async () => {
  const { world, lnbits, app } = await begin({ env: { LIMIT_OPEN_INVOICES: '0' } });
  const as = await world.as('alice');
  const opened = [];
  for (let n = 0; n < 30; n += 1) opened.push((await openSession(app, 1_000, as)).session);
  await Promise.all(
    opened.flatMap(({ depositInvoice: { paymentHash } }) => [
      lnbits.pay(paymentHash, { sats: 1_005 }),
      app.services.invoices.confirm(paymentHash).catch(() => {}),
    ]),
  );
  for (const { id } of opened) {
    const watched = app.watch(watchSession, { id, after: 'START' }, as);
    expect((await watched.count(2)).map(({ __typename }) => __typename)).toEqual([
      'SessionActivated',
      'SessionPaymentReturned',
    ]);
    watched.unsubscribe();
  }
  expect(await balanceOf(app, as)).toBe(30 * 5);
  await expectMoneyAddsUp(app.services.db);
});

it('believes no message that anybody can send through LNbits', async () => {
  const { world, lnbits, app } = await begin();
  const as = await world.as('alice');
  const { job } = await createJob(app, 'Count.', as);
  const { paymentHash } = job.evalInvoice;
  await until('the push to be open', () => lnbits.sockets.count(lnbits.invoiceKey) > 0);
  const lookedUp = () => lnbits.requests.filter(({ path }) => path.endsWith(paymentHash)).length;
  const before = lookedUp();
  lnbits.sockets.send(
    lnbits.invoiceKey,
    JSON.stringify({
      wallet_balance: 1_000_000,
      payment: { payment_hash: paymentHash, status: 'success', pending: false, amount: 1_000_000 },
    }),
  );
  await until('a look-up', () => lookedUp() > before + 2);
  expect(await stateOf(app, paymentHash)).toBe('OPEN');
  await lnbits.pay(paymentHash);
  await until('the booking', async () => (await stateOf(app, paymentHash)) === 'PAID');
});

it('books what was paid while the server was down, across the expiry of the invoice', async () => {
  const clock = standingClock();
  const { world, lnbits, app } = await begin({ clock });
  const as = await world.as('alice');
  const { job } = await createJob(app, 'Count.', as);
  const { session } = await openSession(app, 1_000, as);
  const unpaid = await createJob(app, 'Never paid.', as);
  await app.stop();
  await lnbits.pay(job.evalInvoice.paymentHash);
  await lnbits.pay(session.depositInvoice.paymentHash, { sats: 1_100 });
  clock.advance((expirySeconds + 3_600) * 1000);

  const again = await world.start();
  expectNoSecrets(world, again);
  await until(
    'the expiry of the other',
    async () => (await stateOf(again, unpaid.job.evalInvoice.paymentHash)) === 'EXPIRED',
  );
  await until('the bookings', async () => {
    const states = await Promise.all(
      [job.evalInvoice, session.depositInvoice].map(({ paymentHash }) => stateOf(again, paymentHash)),
    );
    return states.every((state) => state === 'PAID');
  });
  expect(await typesOf(again, job.id, as)).toEqual(['JobPaymentConfirmed']);
  expect(await balanceOf(again, as)).toBe(100);
  await expectMoneyAddsUp(again.services.db);
});

it('gives back to its owner what is paid one second after the expiry, and says nothing of it', async () => {
  const clock = standingClock();
  const { world, lnbits, app } = await begin({ clock });
  const [alice, bob] = [await world.as('alice'), await world.as('bob')];
  const { job } = await createJob(app, 'Count.', alice);
  await createJob(app, 'Of somebody else.', bob);
  const { paymentHash } = job.evalInvoice;
  clock.advance(expirySeconds * 1000);
  await until('the expiry', async () => (await stateOf(app, paymentHash)) === 'EXPIRED');
  clock.advance(1_000);
  await lnbits.pay(paymentHash, { push: false, webhook: false });
  clock.advance(10_000);
  await until('the booking', async () => (await stateOf(app, paymentHash)) === 'PAID');
  expect(await typesOf(app, job.id, alice)).toEqual(['JobExpired', 'JobPaymentReturned']);
  expect(await balanceOf(app, alice)).toBe(10);
  expect(await balanceOf(app, bob)).toBe(0);
  await expectMoneyAddsUp(app.services.db);
});

it.each(['error', 'html', 'cut', 'limited'] as const)(
  'lets nothing expire while the last look-up fails (%s), and books what was paid meanwhile',
  async (fault) => {
    const clock = standingClock();
    const { world, lnbits, app } = await begin({ clock });
    const as = await world.as('alice');
    const [paid, unpaid] = [
      (await createJob(app, 'Count.', as)).job,
      (await createJob(app, 'Never paid.', as)).job,
    ];
    lnbits.faults.answers = fault;
    await lnbits.pay(paid.evalInvoice.paymentHash, { push: false, webhook: false });
    clock.advance(expirySeconds * 1000);
    const asked = lnbits.requests.length;
    await until('failed look-ups', () => lnbits.requests.length > asked + 3);
    for (const { evalInvoice } of [paid, unpaid])
      expect(await stateOf(app, evalInvoice.paymentHash)).toBe('OPEN');
    lnbits.faults.answers = 'sound';
    // Time for what waits after its failures.
    await until('the end of both', async () => {
      clock.advance(1_000);
      const states = await Promise.all(
        [paid, unpaid].map(({ evalInvoice }) => stateOf(app, evalInvoice.paymentHash)),
      );
      return states.join() === 'PAID,EXPIRED';
    });
    expect(await typesOf(app, paid.id, as)).toEqual(['JobPaymentConfirmed']);
    await expectMoneyAddsUp(app.services.db);
  },
);

it('books late, to its owner, what LNbits took for unpaid while its own node did not answer', async () => {
  const clock = standingClock();
  const { world, lnbits, app } = await begin({ clock });
  const as = await world.as('alice');
  const { job } = await createJob(app, 'Count.', as);
  const { paymentHash } = job.evalInvoice;
  lnbits.faults.answers = 'backend';
  await lnbits.pay(paymentHash);
  clock.advance(expirySeconds * 1000);
  await until('the expiry', async () => (await stateOf(app, paymentHash)) === 'EXPIRED');
  lnbits.faults.answers = 'sound';
  lnbits.recheck();
  clock.advance(10_000);
  await until('the booking', async () => (await stateOf(app, paymentHash)) === 'PAID');
  expect(await typesOf(app, job.id, as)).toEqual(['JobExpired', 'JobPaymentReturned']);
  expect(await balanceOf(app, as)).toBe(10);
});

it('lets nothing expire that LNbits does not know, and books it once the right wallet is back', async () => {
  const clock = standingClock();
  const { world, lnbits, app } = await begin({ clock });
  const as = await world.as('alice');
  const { job } = await createJob(app, 'Count.', as);
  const forgotten = await createJob(app, 'Never found again.', as);
  const [hash, lost] = [job.evalInvoice.paymentHash, forgotten.job.evalInvoice.paymentHash];
  await lnbits.pay(hash, { push: false, webhook: false });
  const wallet = new Map(lnbits.invoices);
  lnbits.invoices.clear();
  clock.advance(expirySeconds * 1000);
  await until('it to be said', () => app.logged.some((line) => line.includes('was its wallet changed?')));
  for (const each of [hash, lost]) expect(await stateOf(app, each)).toBe('OPEN');

  lnbits.invoices.set(hash, wallet.get(hash) as NonNullable<ReturnType<typeof wallet.get>>);
  await until('the booking', async () => {
    clock.advance(1_000);
    return (await stateOf(app, hash)) === 'PAID';
  });
  expect(await typesOf(app, job.id, as)).toEqual(['JobPaymentConfirmed']);
  // What nobody has found within a day is not waited for any longer.
  clock.advance(24 * 3_600_000);
  await until('the expiry', async () => {
    clock.advance(60_000);
    return (await stateOf(app, lost)) === 'EXPIRED';
  });
});

it('is UNAVAILABLE, with nothing half made, while LNbits cannot be reached', async () => {
  const { world, lnbits, app } = await begin();
  const as = await world.as('alice');
  const create = 'mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } } }';
  const input = { prompt: 'Count.', idempotencyKey: key() };
  await app.ask('{ viewer { user { id } } }', {}, as);
  await lnbits.close();
  expect((await app.send(create, { input }, as)).errors).toMatchObject([
    { extensions: { code: 'UNAVAILABLE', retryAfterMs: 5_000 } },
  ]);
  const left = await app.services.db.query(
    `SELECT (SELECT count(*) FROM agent_jobs) + (SELECT count(*) FROM invoices) + (SELECT count(*) FROM open_invoices)
      + (SELECT count(*) FROM idempotency_keys) + (SELECT count(*) FROM events) AS rows`,
  );
  expect(left).toEqual([{ rows: 0n }]);
  const metrics = async () => (await fetch(new URL('/metrics', app.url))).text();
  expect(await metrics()).toContain('satwire_lightning_reachable 0');
  expect((await fetch(new URL('/ready', app.url))).status).toBe(200);

  await lnbits.start();
  const { createJob: made } = await app.ask(create, { input }, as);
  expect(await app.ask(create, { input }, as)).toEqual({ createJob: made });
  expect(await metrics()).toContain('satwire_lightning_reachable 1');
});

it('has nothing of stub mode', async () => {
  const { world, app } = await begin();
  const as = await world.as('alice');
  const { job } = await createJob(app, 'Count.', as);
  const { paymentHash } = job.evalInvoice;
  const pay = 'mutation ($hash: ID!) { stubPay(paymentHash: $hash) { state } }';
  expect((await app.send(pay, { hash: paymentHash }, as)).errors).toMatchObject([
    { extensions: { code: 'FORBIDDEN' } },
  ]);
  for (const path of ['/dev/token', `/dev/stub/pay/${paymentHash}`])
    expect((await fetch(new URL(path, app.url), { method: 'POST', body: '{}' })).status).toBe(404);
});

it('does not start with two keys of different wallets, and pays nothing out without the one that pays', async () => {
  const world = await createLnbitsWorld();
  await expect(world.start({ LNBITS_ADMIN_KEY: world.lnbits.otherKey })).rejects.toThrow(
    'LNBITS_ADMIN_KEY cannot pay',
  );
  await expect(world.start({ LNBITS_INVOICE_KEY: world.lnbits.otherKey })).rejects.toThrow(
    'LNBITS_ADMIN_KEY and LNBITS_INVOICE_KEY are of different wallets.',
  );

  const app = await world.start({ LNBITS_ADMIN_KEY: '' });
  const as = await world.as('alice');
  const { bolt11 } = foreignInvoice(Date.now(), 100);
  const { errors } = await app.send(payoutMutation, { input: { bolt11, idempotencyKey: key() } }, as);
  expect(errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE' } }]);
  const { job } = await createJob(app, 'Count.', as);
  await world.lnbits.pay(job.evalInvoice.paymentHash);
  await until('the payment', async () => (await stateOf(app, job.evalInvoice.paymentHash)) === 'PAID');
});
