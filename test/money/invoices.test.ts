import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { byHashes, byIds, type Invoice } from '../../src/money/invoice-queries.ts';
import { checkWork, createInvoices, type Invoices } from '../../src/money/invoices.ts';
import { createLedger } from '../../src/money/ledger.ts';
import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import { createStubLightning, type StubLightning } from '../../src/money/lightning/stub.ts';
import { createOpenInvoices, type OpenInvoices } from '../../src/money/open-invoices.ts';
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
let openInvoices: OpenInvoices;
let invoices: Invoices;
let failures: unknown[];
/** What the domain has been told, in order. */
let heard: Array<{ what: 'PAID' | 'EXPIRED'; before: Invoice; receivedSats?: bigint }>;

beforeEach(async () => {
  // What an earlier test left open is none of this one's.
  await db().query(`UPDATE invoices SET state = 'PAID' WHERE state = 'OPEN'`);
  await db().query('DELETE FROM open_invoices');
  clock = standingClock();
  stub = createStubLightning({ db: db(), clock });
  line = faultyLightning();
  failures = [];
  heard = [];
  openInvoices = createOpenInvoices({ db: db(), clock, maximum: 2 });
  invoices = create();
});

function create(webhooksUrl?: URL): Invoices {
  const made = createInvoices({
    db: db(),
    clock,
    ledger: createLedger({ clock, onEntry: () => {} }),
    lightning: line.wrap(stub),
    queue: createWorkQueue({ db: db(), clock }),
    openInvoices,
    expirySeconds,
    webhooksUrl,
    onError: (error) => failures.push(error),
  });
  made.handle('job.eval', {
    async paid(_tx, before, receivedSats) {
      heard.push({ what: 'PAID', before, receivedSats });
    },
    async expired(_tx, before) {
      heard.push({ what: 'EXPIRED', before });
    },
  });
  return made;
}

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

  it('asks nothing of the node for who has as many open as may be', async () => {
    const requester = { caller: 'usr_full', address: null };
    const store = async () => {
      const draft = await invoices.draft(100n, 'For a test.', requester);
      await db().transaction((tx) =>
        invoices.insert(tx, draft, 'job.eval', { userId: 'usr_full', objectId: newId('job') }),
      );
      return draft;
    };
    await store();
    const last = await store();
    const limited = { code: 'RATE_LIMITED', details: { retryAfterMs: expirySeconds * 1000 } };
    await expect(store()).rejects.toMatchObject(limited);
    expect(line.requested).toHaveLength(2);
    // Nobody else is held up, and nobody who pays.
    await invoices.draft(100n, 'For another.', { caller: 'usr_other', address: null });
    await invoices.draft(100n, 'For nobody.');
    line.silent = true;
    await stub.pay(last.paymentHash, 100n);
    await invoices.confirm(last.paymentHash);
    await store();
    expect(line.requested).toHaveLength(5);
  });

  it('stores no more than may be, of several that are made at once', async () => {
    const requester = { caller: 'usr_edge', address: null };
    const owner = { userId: 'usr_edge', objectId: newId('job') };
    const drafts = await Promise.all([1, 2, 3].map(() => invoices.draft(100n, 'For a test.', requester)));
    const stored = await Promise.allSettled(
      drafts.map((draft) => db().transaction((tx) => invoices.insert(tx, draft, 'job.eval', owner))),
    );
    expect(stored.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { code: 'RATE_LIMITED' } },
    ]);
    expect(
      await byHashes(
        db(),
        drafts.map(({ paymentHash }) => paymentHash),
      ),
    ).toHaveLength(2);
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

  it('is looked up ever more rarely for 24 hours more, and then no longer', async () => {
    const invoice = await makeInvoice();
    const lateMs: number[] = [];
    for (let due: Date | undefined = invoice.expiresAt; due; due = await check(invoice)) {
      clock.advance(due.getTime() - clock.now());
      lateMs.push(clock.now() - invoice.expiresAt.getTime());
    }
    expect(line.lookedUp).toEqual(Array(lateMs.length).fill(invoice.paymentHash));
    const seconds = lateMs.map((ms) => ms / 1000);
    expect(seconds.slice(0, 11)).toEqual([0, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120]);
    const pauses = seconds.slice(10).map((at, n) => at - (seconds[n + 9] as number));
    expect(pauses.slice(1, -1)).toEqual(Array(pauses.length - 2).fill(3600));
    expect(seconds.at(-1)).toBe(24 * 3600);
    expect(heard).toMatchObject([{ what: 'EXPIRED' }]);
  });

  it('is looked up for as long when it was withdrawn, which is no expiry', async () => {
    const invoice = await makeInvoice();
    await db().transaction((tx) => invoices.cancelOpen(tx, invoice.objectId));
    clock.advance(expirySeconds * 1000);
    expect(await check(invoice)).toEqual(new Date(clock.now() + 10_000));
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

describe('a hint', () => {
  /** Has the node answer nothing until it is let. */
  function slowNode() {
    const answers: Array<() => void> = [];
    line.beforeLookUp = () => new Promise<void>((resolve) => answers.push(resolve));
    return {
      letAnswer() {
        line.beforeLookUp = async () => {};
        for (const answer of answers) answer();
      },
    };
  }

  const payUnheard = async ({ paymentHash }: Invoice) => {
    line.silent = true;
    await stub.pay(paymentHash, 100n);
  };

  /** Waits until a hint that came after all others has led to its booking. */
  async function untilHintsAreHeard(): Promise<void> {
    const last = await makeInvoice();
    await payUnheard(last);
    line.hint(last.paymentHash);
    await until('the last hint', () => heard.some(({ before }) => before.id === last.id));
    line.lookedUp.splice(line.lookedUp.indexOf(last.paymentHash), 1);
  }

  it('is one look-up, however often and by how many nodes it is heard at once', async () => {
    create();
    const invoice = await makeInvoice();
    await payUnheard(invoice);
    const node = slowNode();
    for (let n = 0; n < 10; n += 1) line.hint(invoice.paymentHash);
    await until('the look-up', () => line.lookedUp.length > 0);
    node.letAnswer();
    await until('the booking', () => heard.length > 0);
    await untilHintsAreHeard();
    expect(line.lookedUp).toEqual([invoice.paymentHash]);
    expect(failures).toEqual([]);
  });

  it('is worth another look-up after 5 seconds', async () => {
    const invoice = await makeInvoice();
    line.hint(invoice.paymentHash);
    await until('the first', () => line.lookedUp.length === 1);
    clock.advance(4_999);
    line.hint(invoice.paymentHash);
    await untilHintsAreHeard();
    expect(line.lookedUp).toEqual([invoice.paymentHash]);
    clock.advance(1);
    line.hint(invoice.paymentHash);
    await until('the second', () => line.lookedUp.length === 2);
  });

  it('leaves the invoice in front of the reconciler when its look-up fails', async () => {
    const invoice = await makeInvoice();
    clock.advance(1_000);
    await makeInvoice();
    line.unreachable.add('*');
    line.hint(invoice.paymentHash);
    await until('the failure', () => failures.length > 0);
    expect(failures).toMatchObject([{ name: 'LightningUnavailableError' }]);
    expect(await openInvoices.take(1, 'LIKELIEST')).toEqual([invoice.paymentHash]);
    expect(await read(invoice.paymentHash)).toEqual(invoice);
  });

  it.each([
    [
      'EXPIRED',
      async (invoice: Invoice) => {
        clock.advance(expirySeconds * 1000);
        await check(invoice);
      },
    ],
    ['CANCELLED', (invoice: Invoice) => db().transaction((tx) => invoices.cancelOpen(tx, invoice.objectId))],
  ])('at an invoice that is %s is looked up, and booked', async (state, end) => {
    const invoice = await makeInvoice();
    await end(invoice);
    await payUnheard(invoice);
    line.hint(invoice.paymentHash);
    await until('the booking', () => heard.some(({ what }) => what === 'PAID'));
    expect(heard.at(-1)).toMatchObject({ what: 'PAID', before: { state } });
    await until('the end', async () => (await read(invoice.paymentHash)).state === 'PAID');
  });

  it('at one that has expired is looked up soon again when its look-up fails', async () => {
    const invoice = await makeInvoice();
    clock.advance(expirySeconds * 1000 + hourMs);
    await check(invoice);
    line.unreachable.add('*');
    line.hint(invoice.paymentHash);
    await until('the failure', () => failures.length > 0);
    expect(await checkDueAt(invoice)).toEqual(new Date(clock.now()));
  });

  it('at one that is paid, or that nobody has made, costs no look-up', async () => {
    const paid = await makeInvoice();
    await stub.pay(paid.paymentHash, 100n);
    await until('the booking', async () => (await read(paid.paymentHash)).state === 'PAID');
    line.lookedUp.length = 0;
    clock.advance(hourMs);
    for (const paymentHash of [paid.paymentHash, '0'.repeat(64), 'no hash', '']) line.hint(paymentHash);
    await untilHintsAreHeard();
    expect(line.lookedUp).toEqual([]);
    expect(failures).toEqual([]);
  });

  it('is left to the reconciler while there are 50 others under way', async () => {
    const made = await Promise.all(Array.from({ length: 55 }, () => makeInvoice()));
    const node = slowNode();
    for (const { paymentHash } of made) line.hint(paymentHash);
    await until('all to be noted', async () => {
      const hinted = await db().query('SELECT 1 FROM open_invoices WHERE hinted_at IS NOT NULL');
      return hinted.length === 55;
    });
    await until('the look-ups', () => line.lookedUp.length >= 50);
    expect(line.lookedUp).toHaveLength(50);
    node.letAnswer();
    await untilHintsAreHeard();
    expect(line.lookedUp).toHaveLength(50);
    const left = made.map(({ paymentHash }) => paymentHash).filter((each) => !line.lookedUp.includes(each));
    expect(await openInvoices.take(100, 'LIKELIEST')).toEqual(expect.arrayContaining(left));
  });

  it('that cannot be noted is a failure that is said, and nothing more', async () => {
    const invoice = await makeInvoice();
    await db().query('ALTER TABLE open_invoices RENAME TO open_invoices_away');
    line.hint(invoice.paymentHash);
    await until('the failure', () => failures.length > 0);
    await db().query('ALTER TABLE open_invoices_away RENAME TO open_invoices');
    expect(String(failures[0])).toMatch(/open_invoices/);
  });
});

describe('a webhook', () => {
  const webhooksUrl = new URL('https://satwire.example/pay/webhooks/lnbits/');

  /** The token that the node was given with its last invoice. */
  const lastToken = () => line.requested.at(-1)?.webhookUrl?.slice(webhooksUrl.href.length) as string;

  const storedHash = async ({ paymentHash }: Invoice) =>
    (
      await db().query<{ hash: string | null }>(
        'SELECT webhook_hash AS hash FROM invoices WHERE payment_hash = $1',
        [paymentHash],
      )
    )[0]?.hash;

  it('has a URL of its own for each invoice, which cannot be guessed', async () => {
    invoices = create(webhooksUrl);
    await makeInvoice();
    await makeInvoice();
    const urls = line.requested.map(({ webhookUrl }) => webhookUrl as string);
    expect(new Set(urls).size).toBe(2);
    for (const url of urls)
      expect(url).toMatch(/^https:\/\/satwire\.example\/pay\/webhooks\/lnbits\/[\w-]{43}$/);
  });

  it('has none when nobody can reach this server', async () => {
    const invoice = await makeInvoice();
    expect(line.requested).toEqual([{ amountSats: 100n, memo: 'For a test.', expirySeconds }]);
    expect(await storedHash(invoice)).toBeNull();
    expect(await invoices.hearWebhook('')).toBe(false);
  });

  it('with a token that is known is a hint at its invoice', async () => {
    invoices = create(webhooksUrl);
    const invoice = await makeInvoice();
    const token = lastToken();
    await makeInvoice();
    line.silent = true;
    await stub.pay(invoice.paymentHash, 100n);
    // Whoever posts does not wait for the look-up.
    let answer = () => {};
    line.beforeLookUp = () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      });
    expect(await invoices.hearWebhook(token)).toBe(true);
    await until('the look-up', () => line.lookedUp.length === 1);
    answer();
    await until('the booking', () => heard.length === 1);
    expect(heard).toMatchObject([{ what: 'PAID', before: { id: invoice.id } }]);
    expect(line.lookedUp).toEqual([invoice.paymentHash]);
    // Also later, and when it is no longer of use.
    expect(await invoices.hearWebhook(token)).toBe(true);
  });

  it('is not believed: the node is asked', async () => {
    invoices = create(webhooksUrl);
    const invoice = await makeInvoice();
    expect(await invoices.hearWebhook(lastToken())).toBe(true);
    await until('the look-up', () => line.lookedUp.length === 1);
    expect(await read(invoice.paymentHash)).toEqual(invoice);
  });

  it('whose look-up fails is answered all the same, and the failure said', async () => {
    invoices = create(webhooksUrl);
    await makeInvoice();
    line.unreachable.add('*');
    expect(await invoices.hearWebhook(lastToken())).toBe(true);
    await until('the failure', () => failures.length === 1);
    expect(failures).toMatchObject([{ name: 'LightningUnavailableError' }]);
  });

  it('with another token is none, be it the one that is stored', async () => {
    invoices = create(webhooksUrl);
    const invoice = await makeInvoice();
    const stored = await storedHash(invoice);
    expect(stored).toBe(createHash('sha256').update(lastToken()).digest('hex'));
    for (const token of ['', 'x', stored as string, invoice.paymentHash, `${lastToken()}x`, '\0', '/', '%'])
      expect(await invoices.hearWebhook(token)).toBe(false);
    expect(line.lookedUp).toEqual([]);
  });
});
