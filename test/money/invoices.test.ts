import { beforeEach, describe, expect, it } from 'vitest';
import {
  byHashes,
  byIds,
  checkWork,
  createInvoices,
  type Invoice,
  type Invoices,
} from '../../src/money/invoices.ts';
import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import { createStubLightning, type StubLightning } from '../../src/money/lightning/stub.ts';
import { newId } from '../../src/platform/ids.ts';
import { createWorkQueue, type LeasedWork } from '../../src/platform/work/queue.ts';
import { type MovableClock, standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';
import { type FaultyLightning, faultyLightning } from '../support/lightning.ts';
import { until } from '../support/until.ts';

const hourMs = 3_600_000;
const expirySeconds = 600;

const db = useDatabase();
let clock: MovableClock;
let stub: StubLightning;
let line: FaultyLightning;
let invoices: Invoices;
let failures: unknown[];
/** What the domain has been told, in order. */
let heard: Array<{ what: 'PAID' | 'EXPIRED'; before: Invoice; receivedSats?: bigint }>;

beforeEach(async () => {
  // What an earlier test left open is none of this one's.
  await db().query(`UPDATE invoices SET state = 'PAID' WHERE state = 'OPEN'`);
  clock = standingClock();
  stub = createStubLightning({ db: db(), clock });
  line = faultyLightning();
  failures = [];
  heard = [];
  invoices = createInvoices({
    db: db(),
    clock,
    lightning: line.wrap(stub),
    queue: createWorkQueue({ db: db(), clock }),
    expirySeconds,
    onError: (error) => failures.push(error),
  });
  invoices.handle('job.eval', {
    async paid(_tx, before, receivedSats) {
      heard.push({ what: 'PAID', before, receivedSats });
    },
    async expired(_tx, before) {
      heard.push({ what: 'EXPIRED', before });
    },
  });
});

async function makeInvoice(objectId: string = newId('job')): Promise<Invoice> {
  const draft = await invoices.draft(100n, 'For a test.');
  await db().transaction((tx) => invoices.insert(tx, draft, 'job.eval', { userId: 'usr_a', objectId }));
  return read(draft.paymentHash);
}

async function read(paymentHash: string): Promise<Invoice> {
  return (await byHashes(db(), [paymentHash]))[0]!;
}

/** Does the work that is due for an invoice; answers when it is due again. */
const check = ({ paymentHash }: Invoice) =>
  invoices.checks.run({ key: paymentHash } as LeasedWork, new AbortController().signal);

const checkDueAt = async ({ paymentHash }: Invoice) =>
  (
    await db().query<{ dueAt: Date }>('SELECT due_at AS "dueAt" FROM work WHERE kind = $1 AND key = $2', [
      checkWork,
      paymentHash,
    ])
  )[0]?.dueAt;

describe('making an invoice', () => {
  it('stores it open, and has it looked up when its time is up', async () => {
    const invoice = await makeInvoice('job_of_this');
    expect(invoice).toMatchObject({
      id: expect.stringMatching(/^inv_/),
      bolt11: expect.stringMatching(/^lnbcrt1u1/),
      amountSats: 100n,
      receivedSats: null,
      memo: 'For a test.',
      state: 'OPEN',
      kind: 'job.eval',
      objectId: 'job_of_this',
      ownerUser: 'usr_a',
      createdAt: new Date(clock.now()),
      expiresAt: new Date(clock.now() + expirySeconds * 1000),
      paidAt: null,
    });
    expect(await byIds(db(), [invoice.id, 'inv_none'])).toEqual([invoice]);
    expect(await checkDueAt(invoice)).toEqual(invoice.expiresAt);
  });

  it('is UNAVAILABLE, with a time to try again, while the node does not answer', async () => {
    line.refuseInvoices = new LightningUnavailableError('The line is cut.');
    await expect(invoices.draft(100n, 'x')).rejects.toMatchObject({
      name: 'PublicError',
      code: 'UNAVAILABLE',
      details: { retryAfterMs: 5_000 },
    });
  });

  it('lets a bug be a bug', async () => {
    line.refuseInvoices = new TypeError('a bug');
    await expect(invoices.draft(100n, 'x')).rejects.toBe(line.refuseInvoices);
  });
});

describe('a settled invoice', () => {
  it('is booked once, however often it is heard of', async () => {
    const invoice = await makeInvoice();
    await stub.pay(invoice.paymentHash, 100n);
    await Promise.all([
      ...Array.from({ length: 5 }, () => invoices.confirm(invoice.paymentHash)),
      stub.pay(invoice.paymentHash, 100n),
      check(invoice),
      invoices.lookUpOpen(),
    ]);
    expect(await invoices.confirm(invoice.paymentHash)).toBe(true);
    expect(heard).toEqual([{ what: 'PAID', before: invoice, receivedSats: 100n }]);
    expect(await read(invoice.paymentHash)).toEqual({
      ...invoice,
      state: 'PAID',
      receivedSats: 100n,
      paidAt: new Date(clock.now()),
    });
    expect(await checkDueAt(invoice)).toBeUndefined();
    expect(failures).toEqual([]);
  });

  it('is booked with all that was received', async () => {
    const invoice = await makeInvoice();
    await stub.pay(invoice.paymentHash, 163n);
    await until('the booking', () => heard.length === 1);
    expect(heard[0]).toMatchObject({ what: 'PAID', receivedSats: 163n });
    expect(await read(invoice.paymentHash)).toMatchObject({ amountSats: 100n, receivedSats: 163n });
  });

  it('keeps the time of its payment, not that of our hearing of it', async () => {
    const invoice = await makeInvoice();
    line.silent = true;
    await stub.pay(invoice.paymentHash, 100n);
    const paidAt = new Date(clock.now());
    clock.advance(5 * hourMs);
    await check(invoice);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'PAID', paidAt });
  });

  it('is booked also after it has expired', async () => {
    const invoice = await makeInvoice();
    clock.advance(expirySeconds * 1000);
    await check(invoice);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'EXPIRED' });
    line.silent = true;
    await stub.pay(invoice.paymentHash, 100n);
    clock.advance(hourMs);
    expect(await check(invoice)).toBeUndefined();
    expect(heard.map(({ what, before }) => [what, before.state])).toEqual([
      ['EXPIRED', 'OPEN'],
      ['PAID', 'EXPIRED'],
    ]);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'PAID', receivedSats: 100n });
  });

  it('is booked also after it was withdrawn', async () => {
    const invoice = await makeInvoice();
    await db().transaction((tx) => invoices.cancelOpen(tx, invoice.objectId));
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'CANCELLED' });
    await stub.pay(invoice.paymentHash, 100n);
    await until('the booking', () => heard.length === 1);
    expect(heard[0]).toMatchObject({ what: 'PAID', before: { state: 'CANCELLED' } });
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'PAID' });
  });

  it('is not booked, and said to be wrong, when the node took less than was asked', async () => {
    const invoice = await makeInvoice();
    await stub.pay(invoice.paymentHash, 99n);
    await until('the failure', () => failures.length > 0);
    expect(String(failures[0])).toMatch(/took less/);
    await expect(check(invoice)).rejects.toThrow(/took less/);
    expect(heard).toEqual([]);
    expect(await read(invoice.paymentHash)).toEqual(invoice);
  });

  it('is not booked when its domain cannot, and is once it can', async () => {
    const invoice = await makeInvoice();
    let broken = true;
    invoices.handle('job.eval', {
      async paid(_tx, before, receivedSats) {
        if (broken) throw new Error('broken');
        heard.push({ what: 'PAID', before, receivedSats });
      },
      async expired() {},
    });
    await stub.pay(invoice.paymentHash, 100n);
    await until('the failure', () => failures.length > 0);
    expect(await read(invoice.paymentHash)).toEqual(invoice);
    expect(await checkDueAt(invoice)).toEqual(invoice.expiresAt);
    broken = false;
    await check(invoice);
    expect(heard).toMatchObject([{ what: 'PAID' }]);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'PAID' });
  });

  it('is nothing to us when no object was ever made for it', async () => {
    const { paymentHash } = await invoices.draft(100n, 'Never stored.');
    await stub.pay(paymentHash, 100n);
    expect(await invoices.confirm(paymentHash)).toBe(true);
    expect(await invoices.checks.run({ key: paymentHash } as LeasedWork, new AbortController().signal)).toBe(
      undefined,
    );
    expect(await invoices.confirm('0'.repeat(64))).toBe(false);
    expect(heard).toEqual([]);
    expect(failures).toEqual([]);
  });
});

describe('an unpaid invoice', () => {
  it('does not expire before its time', async () => {
    const invoice = await makeInvoice();
    clock.advance(expirySeconds * 1000 - 1);
    expect(await check(invoice)).toEqual(invoice.expiresAt);
    expect(await read(invoice.paymentHash)).toEqual(invoice);
  });

  it('expires by a look-up that began after its time alone', async () => {
    const invoice = await makeInvoice();
    clock.advance(expirySeconds * 1000 - 1);
    line.beforeLookUp = async () => clock.advance(hourMs);
    expect(await check(invoice)).toEqual(invoice.expiresAt);
    expect(await read(invoice.paymentHash)).toEqual(invoice);
    line.beforeLookUp = async () => {};
    await check(invoice);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'EXPIRED' });
    expect(heard).toEqual([{ what: 'EXPIRED', before: invoice }]);
  });

  it('stays open while look-ups fail', async () => {
    const invoice = await makeInvoice();
    line.unreachable.add(invoice.paymentHash);
    clock.advance(10 * hourMs);
    await expect(check(invoice)).rejects.toMatchObject({ name: 'LightningUnavailableError' });
    await invoices.lookUpOpen();
    expect(failures).toMatchObject([{ name: 'LightningUnavailableError' }]);
    expect(await read(invoice.paymentHash)).toEqual(invoice);
    line.unreachable.clear();
    await check(invoice);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'EXPIRED' });
  });

  it('is paid, not expired, when it is paid between the answer of the node and its arrival', async () => {
    const invoice = await makeInvoice();
    clock.advance(expirySeconds * 1000);
    line.afterLookUp = async () => {
      line.afterLookUp = async () => {};
      await stub.pay(invoice.paymentHash, 100n);
      await until('the booking', () => heard.length === 1);
    };
    await check(invoice);
    expect(heard).toMatchObject([{ what: 'PAID', before: { state: 'OPEN' } }]);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'PAID' });
  });

  it('is looked up every hour for 24 hours more, and then no longer', async () => {
    const invoice = await makeInvoice();
    const lateByMs = 7;
    const lookedUpAfterMs: number[] = [];
    for (let due: Date | undefined = invoice.expiresAt; due; due = await check(invoice)) {
      clock.advance(due.getTime() - clock.now() + lateByMs);
      lookedUpAfterMs.push(clock.now() - invoice.expiresAt.getTime());
    }
    expect(line.lookedUp).toEqual(Array(25).fill(invoice.paymentHash));
    const pauses = lookedUpAfterMs.slice(1).map((at, n) => at - lookedUpAfterMs[n]!);
    expect(pauses.slice(0, 23)).toEqual(Array(23).fill(hourMs + lateByMs));
    expect(lookedUpAfterMs.at(-1)).toBe(24 * hourMs + lateByMs);
    expect(heard).toMatchObject([{ what: 'EXPIRED' }]);
  });

  it('is looked up for as long when it was withdrawn, which is no expiry', async () => {
    const invoice = await makeInvoice();
    await db().transaction((tx) => invoices.cancelOpen(tx, invoice.objectId));
    clock.advance(expirySeconds * 1000);
    expect(await check(invoice)).toEqual(new Date(clock.now() + hourMs));
    expect(heard).toEqual([]);
    expect(await read(invoice.paymentHash)).toMatchObject({ state: 'CANCELLED' });
  });
});

it('withdraws only the open invoices of one object', async () => {
  const [mine, paid, other] = [await makeInvoice('ses_m'), await makeInvoice('ses_m'), await makeInvoice()];
  await stub.pay(paid.paymentHash, 100n);
  await until('the booking', () => heard.length === 1);
  await db().transaction((tx) => invoices.cancelOpen(tx, 'ses_m'));
  const states = await Promise.all([mine, paid, other].map((invoice) => read(invoice.paymentHash)));
  expect(states.map(({ state }) => state)).toEqual(['CANCELLED', 'PAID', 'OPEN']);
});

it('looks every open invoice up at start, whatever becomes of one of them', async () => {
  line.silent = true;
  const made: Invoice[] = [];
  for (let n = 0; n < 203; n += 1) made.push(await makeInvoice('ses_many'));
  const done = made.pop()!;
  await stub.pay(done.paymentHash, 100n);
  await invoices.confirm(done.paymentHash);
  const inOrder = made.map(({ paymentHash }) => paymentHash).sort();
  const [first, second] = inOrder;
  const last = inOrder.at(-1);
  for (const paymentHash of [first, second, last]) await stub.pay(paymentHash!, 100n);
  line.unreachable.add(second!);
  line.lookedUp.length = 0;
  heard.length = 0;

  await invoices.lookUpOpen();
  expect(line.lookedUp).toEqual(inOrder);
  expect(heard.map(({ before }) => before.paymentHash)).toEqual([first, last]);
  expect(failures).toMatchObject([{ name: 'LightningUnavailableError' }]);
  expect(await read(second!)).toMatchObject({ state: 'OPEN' });
});
