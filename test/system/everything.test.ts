import fc from 'fast-check';
import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import { attempt } from '../support/change.ts';
import type { Json } from '../support/clients.ts';
import { movableClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import { foreignInvoice } from '../support/payouts.ts';
import { until } from '../support/until.ts';
import { createUser } from '../support/wallets.ts';

// Each domain has a test of its own that knows what its states allow. This one has all of them work on the same
// wallets at once, and asks what must hold across them.

const clock = movableClock();
const app = useTestApp(
  { AGENT: 'external', SESSION_MINIMUM_SATS: '5', TREASURY_PROPOSAL_EXPIRY_SECONDS: '600' },
  { clock },
);

const people = 4;

/** What is made, and by which command. */
const makers = {
  session: 'openSession',
  job: 'postJob',
  stream: 'createStream',
  listing: 'createListing',
  proposal: 'createProposal',
} as const;
type Kind = keyof typeof makers;

/** What a command needs to know of the world. */
interface World {
  readonly sats: number;
  /** A user other than whoever asks. */
  readonly other: string;
  /** One of the objects of a kind, as the command picks it. */
  of(kind: Kind): string;
}

/** Each command: what it sends, what it asks for, and the event that it makes. */
const commands: Record<
  string,
  {
    readonly weight: number;
    /** Of what it is for whoever has made it, mostly; else for anybody. */
    readonly isForMakerOf?: Kind;
    readonly input: (world: World) => object;
    readonly selection: string;
    readonly event?: string;
  }
> = {
  payout: {
    weight: 3,
    input: ({ sats }) => ({ bolt11: foreignInvoice(clock.now(), sats).bolt11 }),
    selection: 'payout { id }',
  },
  openSession: {
    weight: 3,
    input: ({ sats }) => ({ depositSats: 100 + sats }),
    selection: 'session { id depositInvoice { paymentHash amountSats } }',
  },
  topUpSession: {
    weight: 3,
    isForMakerOf: 'session',
    input: ({ sats, of }) => ({ sessionId: of('session'), amountSats: sats }),
    selection: 'invoice { paymentHash amountSats }',
  },
  debitSession: {
    weight: 8,
    input: ({ sats, of }) => ({ sessionId: of('session'), amountSats: sats }),
    selection: 'id',
    event: 'SessionDebited',
  },
  closeSession: {
    weight: 2,
    isForMakerOf: 'session',
    input: ({ of }) => ({ sessionId: of('session') }),
    selection: 'session { id }',
    event: 'SessionClosed',
  },
  postJob: {
    weight: 4,
    input: ({ sats }) => ({
      title: 'A job',
      paySats: sats,
      deadline: new Date(clock.now() + 40_000).toISOString(),
      checklist: ['All of it'],
    }),
    selection: 'job { id }',
    event: 'JobPosted',
  },
  acceptJob: {
    weight: 5,
    input: ({ of }) => ({ jobId: of('job') }),
    selection: 'job { id }',
    event: 'JobAccepted',
  },
  withdrawFromJob: {
    weight: 3,
    input: ({ of }) => ({ jobId: of('job') }),
    selection: 'job { id }',
    event: 'JobWithdrawn',
  },
  updateChecklist: {
    weight: 2,
    input: ({ sats, of }) => ({ jobId: of('job'), itemId: '1', completed: sats % 2 === 0 }),
    // Ticking what is ticked makes no event.
    selection: 'job { id }',
  },
  completeJob: {
    weight: 4,
    isForMakerOf: 'job',
    input: ({ of }) => ({ jobId: of('job') }),
    selection: 'job { id }',
    event: 'JobCompleted',
  },
  cancelJob: {
    weight: 1,
    isForMakerOf: 'job',
    input: ({ of }) => ({ jobId: of('job') }),
    selection: 'job { id }',
    event: 'JobCancelled',
  },
  createStream: {
    weight: 4,
    input: ({ sats, other }) => ({
      recipientId: other,
      amountSats: 3 * sats,
      endsAt: new Date(clock.now() + 30_000).toISOString(),
    }),
    selection: 'stream { id }',
    event: 'StreamCreated',
  },
  withdrawFromStream: {
    weight: 6,
    input: ({ sats, of }) => ({ streamId: of('stream'), amountSats: Math.ceil(sats / 8) }),
    selection: 'stream { id }',
    event: 'StreamWithdrawn',
  },
  settleStream: {
    weight: 3,
    input: ({ of }) => ({ streamId: of('stream') }),
    selection: 'stream { id }',
    event: 'StreamSettled',
  },
  pauseStream: {
    weight: 2,
    isForMakerOf: 'stream',
    input: ({ of }) => ({ streamId: of('stream') }),
    selection: 'stream { id }',
    event: 'StreamPaused',
  },
  resumeStream: {
    weight: 4,
    isForMakerOf: 'stream',
    input: ({ of }) => ({ streamId: of('stream') }),
    selection: 'stream { id }',
    event: 'StreamResumed',
  },
  cancelStream: {
    weight: 1,
    isForMakerOf: 'stream',
    input: ({ of }) => ({ streamId: of('stream') }),
    selection: 'stream { id }',
    event: 'StreamCancelled',
  },
  createListing: {
    weight: 6,
    input: ({ sats, of }) => ({ streamId: of('stream'), priceSats: sats }),
    selection: 'listing { id }',
    event: 'ListingCreated',
  },
  updateListing: {
    weight: 3,
    isForMakerOf: 'listing',
    input: ({ sats, of }) => ({ listingId: of('listing'), priceSats: sats }),
    selection: 'listing { id }',
    event: 'ListingUpdated',
  },
  cancelListing: {
    weight: 2,
    isForMakerOf: 'listing',
    input: ({ of }) => ({ listingId: of('listing') }),
    selection: 'listing { id }',
    event: 'ListingCancelled',
  },
  createProposal: {
    weight: 2,
    input: ({ sats, other }) => ({ recipientId: other, amountSats: Math.ceil(sats / 20), description: 'x' }),
    selection: 'proposal { id }',
    event: 'ProposalCreated',
  },
  approveProposal: {
    weight: 4,
    input: ({ of }) => ({ proposalId: of('proposal') }),
    selection: 'proposal { id }',
    event: 'ProposalApproved',
  },
  executeProposal: {
    weight: 3,
    input: ({ of }) => ({ proposalId: of('proposal') }),
    selection: 'proposal { id }',
    event: 'ProposalExecuted',
  },
};

const step = fc.record({
  // Buying needs what the listing says at the moment.
  name: fc.oneof(
    ...Object.entries(commands).map(([name, { weight }]) => ({ weight, arbitrary: fc.constant(name) })),
    { weight: 8, arbitrary: fc.constant('buyListing') },
  ),
  who: fc.nat(people - 1),
  on: fc.nat(1_000),
  sats: fc.integer({ min: 1, max: 80 }),
  twice: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** What is done at once, and how long nothing is done before that; seconds. */
const batch = fc.record({
  seconds: fc.nat(6),
  steps: fc.array(step, { minLength: 4, maxLength: 12, size: 'max' }),
});

/** Everything that was ever done: what never is shows nothing. */
const everDone = new Set<string>();

async function createRun() {
  const { db, stubLightning, invoices } = app().services;
  const users = await Promise.all(
    Array.from({ length: people }, () =>
      createUser(app(), `person ${key()}`, 1_000, ['USER', 'SERVICE', 'ADMIN']),
    ),
  );
  const objects: Record<Kind, string[]> = { session: [], job: [], stream: [], listing: [], proposal: [] };
  const makerOf = new Map<string, number>();
  /** How often each event must be in the log of whichever objects, because a command was answered as done. */
  const done = new Map<string, number>();
  const count = (name: string) => done.set(name, (done.get(name) ?? 0) + 1);
  const begun = await told();
  const memberIds = users.map(({ id }) => id);
  await attempt(
    app(),
    'setTreasuryMembers',
    { memberIds, threshold: 2 },
    'treasury { threshold }',
    users[0]!,
  );

  /** How many events of each type there are. */
  async function told(): Promise<ReadonlyMap<string, number>> {
    const rows = await db.query<{ type: string; count: bigint }>(
      'SELECT type, count(*) AS count FROM events GROUP BY type',
    );
    return new Map(rows.map((row) => [row.type, Number(row.count)]));
  }

  async function act({ name, who, on, sats, twice }: Step): Promise<void> {
    // Mostly one of the newest, of which something may still become.
    const of = (kind: Kind) =>
      objects[kind].at(-1 - (on % Math.max(1, Math.min(5, objects[kind].length)))) ?? 'none';
    const other = users[(who + 1 + (on % (people - 1))) % people]!.id;
    let input: object;
    let selection = 'listing { id }';
    let event: string | undefined = 'ListingSold';
    let as = who;
    if (name === 'buyListing') {
      const listingId = of('listing');
      const [row] = await db.query<{ sats: bigint }>(
        'SELECT price_sats AS sats FROM listings WHERE id = $1',
        [listingId],
      );
      input = { listingId, expectedPriceSats: Number(row?.sats ?? 1), minimumRemainingSats: 1 };
    } else {
      const command = commands[name]!;
      input = command.input({ sats, other, of });
      ({ selection, event } = command);
      if (command.isForMakerOf && sats % 4 > 0) as = makerOf.get(of(command.isForMakerOf)) ?? who;
    }
    const idempotencyKey = key();
    const send = () => attempt(app(), name, { ...input, idempotencyKey }, selection, users[as]!);
    const outcomes = await Promise.all(twice ? [send(), send()] : [send()]);
    for (const { code } of outcomes)
      if (code) expect(code, name).toBeOneOf(['CONFLICT', 'FORBIDDEN', 'INSUFFICIENT_FUNDS']);
    const answers = outcomes.flatMap(({ answer }) => (answer ? [answer] : []));
    const [answer] = answers;
    if (!answer) return;
    // Who asks twice with one key is answered the same.
    expect(answers.map((each) => Object.values<Json>(each)[0]?.id)).toEqual(
      answers.map(() => Object.values<Json>(answer)[0]?.id),
    );
    everDone.add(name);
    const kind = (Object.keys(makers) as Kind[]).find((each) => makers[each] === name);
    if (kind) {
      objects[kind].push(answer[kind].id);
      makerOf.set(answer[kind].id, as);
    }
    const invoice = answer.session?.depositInvoice ?? answer.invoice;
    if (invoice) {
      await stubLightning?.pay(invoice.paymentHash, BigInt(invoice.amountSats));
      await Promise.all([invoices.confirm(invoice.paymentHash), invoices.confirm(invoice.paymentHash)]);
    } else if (event) count(event);
  }

  /** Lets time go on until nothing more happens by itself, or would wait for somebody who never comes. */
  async function end(): Promise<void> {
    await until('the end of all that time ends', async () => {
      clock.advance(300_000);
      const open = await db.query(
        `SELECT id FROM streams WHERE state IN ('SCHEDULED', 'ACTIVE', 'VESTED')
         UNION ALL SELECT id FROM escrow_jobs WHERE state IN ('OPEN', 'ACCEPTED')
         UNION ALL SELECT id FROM proposals WHERE state IN ('OPEN', 'APPROVED')
         UNION ALL SELECT id FROM payouts WHERE state = 'PENDING'`,
      );
      return open.length === 0;
    });
  }

  /** Every topic numbers its rows without a gap, and has each event once. */
  async function expectOrderlyLog(): Promise<void> {
    const wrong = await db.query(
      `SELECT t.topic FROM topics t LEFT JOIN topic_events e ON e.topic = t.topic GROUP BY t.topic, t.head
       HAVING count(e.seq) <> t.head OR coalesce(max(e.seq), 0) <> t.head OR coalesce(min(e.seq), 1) <> 1
         OR count(DISTINCT e.event_id) <> count(e.event_id)`,
    );
    expect(wrong).toEqual([]);
  }

  /** What a user was told of the wallet leads from nothing to what is in it. */
  async function expectToldWallets(): Promise<void> {
    for (const { id } of users) {
      const { services } = app();
      const rows = await services.feeds.log.readPage(`user:${id}`, 0, 100_000);
      let balance = 0;
      for (const { event } of rows) {
        const { type, facts } = event as { type: string; facts: Json };
        if (type !== 'WalletCredited' && type !== 'WalletDebited') continue;
        balance += type === 'WalletCredited' ? facts.amountSats : -facts.amountSats;
        expect(facts.balanceAfter).toBe(balance);
      }
      expect(Number(await services.ledger.balance(db, `wallet:${id}`))).toBe(balance);
    }
  }

  /** Each account holds what its object says that it has, and nothing when that has ended. */
  async function expectHeld(): Promise<void> {
    const wrong = await db.query(
      `WITH held AS (
         SELECT 'job:' || id AS account, CASE WHEN state IN ('OPEN', 'ACCEPTED') THEN pay_sats ELSE 0 END AS sats
         FROM escrow_jobs
         UNION ALL SELECT 'stream:' || id, amount_sats - withdrawn_sats - refunded_sats - fee_sats FROM streams
         WHERE origin = 'SATWIRE'
       )
       SELECT held.account, held.sats, b.balance_sats FROM held LEFT JOIN balances b USING (account)
       WHERE coalesce(b.balance_sats, 0) <> held.sats
       UNION ALL SELECT account, NULL, balance_sats FROM balances WHERE balance_sats < 0
       UNION ALL SELECT 'session:' || id, NULL, balance_sats FROM sessions JOIN balances ON account = 'session:' || id
       WHERE state IN ('CLOSED', 'EXPIRED') AND balance_sats <> 0
       UNION ALL SELECT 'payout:' || id, NULL, balance_sats FROM payouts JOIN balances ON account = 'payout:' || id
       WHERE balance_sats <> 0`,
    );
    expect(wrong).toEqual([]);
  }

  async function check(): Promise<void> {
    await expectMoneyAddsUp(db);
    await expectOrderlyLog();
    await expectToldWallets();
    await expectHeld();
    const now = await told();
    const grown = (type: string) => (now.get(type) ?? 0) - (begun.get(type) ?? 0);
    for (const [type, times] of done) {
      // Time settles what has vested, and ends what is for sale, once for each.
      if (type === 'StreamSettled' || type === 'ListingCancelled') {
        expect(grown(type), type).toBeGreaterThanOrEqual(times);
        expect(grown(type) - times, type).toBeLessThanOrEqual(objects.stream.length);
      } else expect(grown(type), type).toBe(times);
    }
  }

  return { act, end, check };
}

it('keeps every promise across the domains, however the commands of all of them interleave', async () => {
  const property = fc.asyncProperty(
    fc.array(batch, { minLength: 15, maxLength: 30, size: 'max' }),
    async (batches) => {
      const run = await createRun();
      for (const { seconds, steps } of batches) {
        clock.advance(seconds * 1_000);
        await Promise.all(steps.map(run.act));
      }
      await run.end();
      await run.check();
    },
  );
  const all = [...Object.keys(commands), 'buyListing'].sort();
  // Some are seldom possible: it goes on until each was done.
  for (let round = 0; round < 5 && everDone.size < all.length; round += 1)
    await fc.assert(property, {
      numRuns: 10,
      interruptAfterTimeLimit: 150_000,
      markInterruptAsFailure: true,
    });
  expect([...everDone].sort()).toEqual(all);
}, 240_000);
