import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jobsByIds } from '../../src/jobs/queries.ts';
import { reconcileWork } from '../../src/money/reconciler.ts';
import { sessionsByIds } from '../../src/sessions/queries.ts';
import { type TestApp, useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { type Action, action } from '../support/money-actions.ts';
import {
  createMoneyModel,
  type Fate,
  type ModelInvoice,
  type ModelInvoiceKind,
  type ModelJob,
  type ModelSession,
  type Purse,
} from '../support/money-model.ts';
import {
  closeSession,
  createJob,
  debitSession,
  key,
  openSession,
  topUpSession,
} from '../support/operations.ts';
import { until } from '../support/until.ts';

// Whatever is done is done in an even second, so that in an odd one only idle sessions end: what happens in
// the same second happens in no order that the model could know.
const idleSeconds = 86_401;
const invoiceSeconds = 3_600;
const limits = { evalPrice: 10, workPrice: 50, minimum: 20, idleMs: idleSeconds * 1000 };
const yearSeconds = 365 * 24 * 3_600;

const clock = standingClock(Math.floor(Date.now() / 2_000) * 2_000);
const app = useTestApp(
  {
    SESSION_IDLE_SECONDS: String(idleSeconds),
    SESSION_MINIMUM_SATS: String(limits.minimum),
    INVOICE_EXPIRY_SECONDS: String(invoiceSeconds),
  },
  { clock },
);

const prompts: Record<Fate, string> = { COMPLETE: 'Count.', REJECTED: 'reject: no', FAILED: 'fail: no' };

/** Waits until the server has nothing more to do at this moment. */
async function settled({ services }: TestApp): Promise<void> {
  await until('a server with nothing to do', async () => {
    const due = await services.db.query('SELECT 1 FROM work WHERE due_at <= $1 AND kind <> $2 LIMIT 1', [
      new Date(clock.now()),
      reconcileWork,
    ]);
    return due.length === 0;
  });
}

/** Moves the clock, and has the server notice, which it else does within a second: an invoice is scheduled. */
async function moveTo({ services }: TestApp, time: number): Promise<void> {
  clock.advance(time - clock.now());
  const draft = await services.invoices.draft(1n, 'Nobody pays this.');
  await services.db.transaction((tx) =>
    services.invoices.insert(tx, draft, 'session.topUp', { userId: null, objectId: 'nobody' }),
  );
  await settled(app());
}

/** One run: what is done to the server is done to the model, and in the end they must agree. */
async function createRun(isUser: boolean) {
  const model = createMoneyModel(limits);
  const service: As = { token: await app().token('a service', ['SERVICE'], yearSeconds) };
  const owner: As = isUser ? { token: await app().token(`owner ${key()}`, ['USER'], yearSeconds) } : {};
  const wallet: Purse = { sats: 0 };
  const purseOf = (): Purse => (isUser ? wallet : { sats: 0 });
  const jobs: Array<ModelJob & { as: As }> = [];
  const sessions: Array<ModelSession & { as: As }> = [];
  const { db, ledger, stubLightning, invoices, feeds } = app().services;
  const revenueBefore = (await ledger.all(db)).get('revenue') ?? 0n;

  /** One of all items, or more often one of those that something can still become of. */
  function chosen<Item>(
    items: readonly Item[],
    n: number,
    isAlive: (item: Item) => boolean,
  ): Item | undefined {
    const alive = items.filter(isAlive);
    const among = n % 4 === 0 || alive.length === 0 ? items : alive;
    return among[n % among.length];
  }
  const everything = () => [...jobs, ...sessions];
  const known = () =>
    everything().flatMap((object) => object.invoices.map((invoice) => ({ object, invoice })));

  const invoiceOf = (paymentHash: string, kind: ModelInvoiceKind, amount: number): ModelInvoice => ({
    paymentHash,
    kind,
    amount,
    expiresAt: clock.now() + invoiceSeconds * 1000,
    state: 'OPEN',
  });

  /** The work invoice of a job is made by the agent: the model is told its payment hash. */
  async function learnWorkInvoice(job: ModelJob): Promise<void> {
    if (job.state !== 'AWAITING_WORK_PAYMENT' || job.invoices.length > 1) return;
    const [row] = await db.query<{ hash: string }>(
      'SELECT work_invoice AS hash FROM agent_jobs WHERE id = $1',
      [job.id],
    );
    job.invoices.push(invoiceOf(row!.hash, 'work', limits.workPrice));
  }

  async function heardOf(object: ModelJob | ModelSession, invoice: ModelInvoice, sats: number) {
    model.paid(object, invoice, sats, clock.now());
    await settled(app());
    if (object.type === 'job') await learnWorkInvoice(object);
  }

  /** Lets time pass, from one moment at which something happens to the next. */
  async function wait(seconds: number): Promise<void> {
    const target = clock.now() + Math.ceil(seconds / 2) * 2_000;
    for (let next = Number.NEGATIVE_INFINITY; next < target; ) {
      const awaited = known().filter(
        ({ invoice }) => invoice.state === 'OPEN' || invoice.unheard !== undefined,
      );
      const due = await db.query<{ key: string; at: Date }>(
        'SELECT key, due_at AS at FROM work WHERE due_at <= $1 AND key = ANY($2::text[])',
        [
          new Date(target),
          [...awaited.map(({ invoice }) => invoice.paymentHash), ...sessions.map(({ id }) => id)],
        ],
      );
      next = Math.min(target, ...due.map(({ at }) => at.getTime()));
      await moveTo(app(), next);
      const lookedUp = new Set(due.filter(({ at }) => at.getTime() <= next).map((row) => row.key));
      for (const { object, invoice } of awaited)
        if (lookedUp.has(invoice.paymentHash)) {
          if (invoice.unheard !== undefined) await heardOf(object, invoice, invoice.unheard);
          else model.expired(object, invoice);
        }
      for (const session of sessions)
        if (session.idleEnd !== undefined && session.idleEnd <= clock.now()) model.idle(session);
    }
  }

  async function act(action: Action): Promise<void> {
    clock.advance(2_000);
    const number = 'pick' in action ? action.pick : 0;
    const session = chosen(sessions, number, ({ state }) => state === 'ACTIVE' || state === 'PAUSED');
    const paid = chosen(known(), number, ({ invoice }) => invoice.state !== 'PAID');
    if (action.do === 'wait') await wait(action.seconds);

    if (action.do === 'createJob') {
      const { job, as } = await createJob(app(), prompts[action.fate], owner);
      const invoice = invoiceOf(job.evalInvoice.paymentHash, 'eval', limits.evalPrice);
      jobs.push({
        type: 'job',
        id: job.id,
        as,
        fate: action.fate,
        state: 'AWAITING_EVAL_PAYMENT',
        purse: purseOf(),
        invoices: [invoice],
        events: [],
      });
    }

    if (action.do === 'openSession') {
      const { session: opened, as } = await openSession(app(), action.deposit, owner);
      sessions.push({
        type: 'session',
        id: opened.id,
        as,
        state: 'AWAITING_PAYMENT',
        balance: 0,
        idleEnd: undefined,
        purse: purseOf(),
        invoices: [invoiceOf(opened.depositInvoice.paymentHash, 'deposit', action.deposit)],
        events: [],
      });
    }

    if (action.do === 'topUp' && session) {
      const input = { sessionId: session.id, amountSats: action.sats, idempotencyKey: key() };
      const { data, errors } = await app().send(topUpSession, { input }, session.as);
      expect(errors?.[0]?.extensions.code).toBe(model.takesTopUps(session) ? undefined : 'CONFLICT');
      const hash = data?.topUpSession?.invoice.paymentHash;
      if (hash) session.invoices.push(invoiceOf(hash, 'topUp', action.sats));
    }

    if (action.do === 'debit' && session) {
      const code = await debit(session, action.sats);
      expect(code).toBe(model.debit(session, action.sats, clock.now()));
    }

    if (action.do === 'debitAtOnce' && session) {
      const codes = await Promise.all(action.all.map((sats) => debit(session, sats)));
      // The balance only falls, so the order of those that were done decides nothing but what is seen of them.
      const order = (await history(session.id))
        .slice(session.events.length)
        .flatMap(({ facts }) => (facts.debitedSats === undefined ? [] : [Number(facts.debitedSats)]));
      expect([...order].sort()).toEqual(action.all.filter((_, n) => codes[n] === undefined).sort());
      for (const sats of order) expect(model.debit(session, sats, clock.now())).toBeUndefined();
      action.all.forEach((sats, n) => {
        if (codes[n] !== undefined) expect(codes[n]).toBe(model.debit(session, sats, clock.now()));
      });
    }

    if (action.do === 'close' && session) {
      const input = { sessionId: session.id, idempotencyKey: key() };
      const { errors } = await app().send(closeSession, { input }, session.as);
      expect(errors?.[0]?.extensions.code).toBe(model.close(session));
    }

    if (action.do === 'pay' && paid) {
      const { object, invoice } = paid;
      const sats = invoice.amount + action.surplus;
      await Promise.all(
        Array.from({ length: action.times }, async () => {
          await stubLightning?.pay(invoice.paymentHash, BigInt(sats));
          await invoices.confirm(invoice.paymentHash);
        }),
      );
      await heardOf(object, invoice, sats);
    }

    if (action.do === 'payUnheard' && paid) {
      const { object, invoice } = paid;
      // Two that are found in the same second are found in no order that the model could know.
      if (invoice.state === 'PAID' || object.invoices.some(({ unheard }) => unheard !== undefined)) return;
      invoice.unheard = invoice.amount + action.surplus;
      // Neither does the reconciler get to it before its time is up.
      await db.query(`UPDATE open_invoices SET next_poll_at = 'infinity' WHERE payment_hash = $1`, [
        invoice.paymentHash,
      ]);
      await db.query('UPDATE stub_invoices SET received_sats = $2, paid_at = $3 WHERE payment_hash = $1', [
        invoice.paymentHash,
        invoice.unheard,
        new Date(clock.now()),
      ]);
    }
  }

  async function debit({ id }: ModelSession, amountSats: number): Promise<string | undefined> {
    const input = { sessionId: id, amountSats, idempotencyKey: key() };
    return (await app().send(debitSession, { input }, service)).errors?.[0]?.extensions.code;
  }

  const topicOf = (id: string) => `${id.startsWith('job_') ? 'job' : 'session'}:${id}`;

  /** The log of an object, from its first row. */
  async function history(id: string): Promise<Array<{ id: string; type: string; facts: Json }>> {
    const rows = await feeds.log.readPage(topicOf(id), 0, 1_000);
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, n) => n + 1));
    return rows.map(({ event }) => event);
  }

  async function compare(): Promise<void> {
    const seen = new Set<string>();
    for (const object of everything()) {
      const account = `${object.type}:${object.id}` as const;
      const balance = Number(await ledger.balance(db, account));
      if (object.type === 'job') {
        const [job] = await jobsByIds(db, [object.id]);
        expect({ state: job?.state, balance }).toEqual({ state: object.state, balance: 0 });
      } else {
        const [session] = await sessionsByIds(db, [object.id]);
        expect({ state: session?.state, idleEnd: session?.expiresAt?.getTime(), balance }).toEqual({
          state: object.state,
          idleEnd: object.idleEnd,
          balance: object.balance,
        });
      }
      const events = await history(object.id);
      expect(events.map(({ type }) => type)).toEqual(object.events.map(([type]) => type));
      expect(events.map(({ facts }) => facts)).toMatchObject(object.events.map(([, facts]) => facts));
      for (const event of events) seen.add(event.id);
      const refund = Number(await ledger.balance(db, `refund:${object.id}`));
      expect(refund).toBe(isUser ? 0 : object.purse.sats);
      const invoiceStates = await db.query<{ hash: string; state: string }>(
        'SELECT payment_hash AS hash, state FROM invoices WHERE object_id = $1 ORDER BY 1',
        [object.id],
      );
      expect(invoiceStates).toEqual(
        object.invoices
          .map(({ paymentHash, state: invoiceState }) => ({ hash: paymentHash, state: invoiceState }))
          .sort((a, b) => (a.hash < b.hash ? -1 : 1)),
      );
    }
    expect(Number(((await ledger.all(db)).get('revenue') ?? 0n) - revenueBefore)).toBe(model.revenue);
    if (isUser) {
      const { viewer } = await app().ask('{ viewer { user { id } wallet { balanceSats } } }', {}, owner);
      expect(viewer.wallet.balanceSats).toBe(wallet.sats);
      const rows = await feeds.log.readPage(`user:${viewer.user.id}`, 0, 10_000);
      expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, n) => n + 1));
      // The wallet's own events come on top: their last one says what is in it.
      const ofWallet = rows.filter(({ event }) => event.type.startsWith('Wallet'));
      expect(ofWallet.at(-1)?.event.facts.balanceAfter ?? 0).toBe(wallet.sats);
      const ofObjects = rows.filter((row) => !ofWallet.includes(row));
      expect(ofObjects.map(({ event }) => event.id).sort()).toEqual([...seen].sort());
    }
    await expectMoneyAddsUp(db);
  }

  return { act, wait, compare };
}

it('agrees with plain arithmetic, however payments, debits, top-ups, closings and expiries interleave', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(action, { minLength: 20, maxLength: 60, size: 'max' }),
      async (isUser, actions) => {
        const run = await createRun(isUser);
        for (const next of actions) await run.act(next);
        await run.compare();
        // What was paid and not heard of is found, what nobody pays expires, and what is left is given back.
        await run.wait(2 * idleSeconds);
        await run.compare();
      },
    ),
    // What fails is made smaller for as long, and then printed with its seed.
    { numRuns: 15, interruptAfterTimeLimit: 120_000, markInterruptAsFailure: true },
  );
}, 180_000);
