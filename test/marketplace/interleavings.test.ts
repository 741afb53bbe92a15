import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ListingAction, type ListingState, nextState } from '../../src/marketplace/machine.ts';
import { type Listing, listingsByIds } from '../../src/marketplace/queries.ts';
import type { LogRow } from '../../src/platform/log/event.ts';
import { type Stream, streamsByIds } from '../../src/streams/queries.ts';
import { useTestApp } from '../support/app.ts';
import { standingClock } from '../support/clock.ts';
import {
  buyListing,
  cancelListing,
  cancelStream,
  createListing,
  newPerson,
  type Person,
  pauseStream,
  resumeStream,
  settleStream,
  startStream,
  updateListing,
  withdrawFromStream,
} from '../support/marketplace.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import { until } from '../support/until.ts';

const clock = standingClock(Math.floor(Date.now() / 1_000) * 1_000);
const app = useTestApp({ AGENT: 'external' }, { clock });

const amountSats = 300;
const traders = 4;

/** What is done at the same time as the rest of its batch: `who` trades, on a stream; twice, if so, with one key. */
interface Command {
  readonly do: (typeof kinds)[number];
  readonly who: number;
  readonly on: number;
  readonly sats: number;
  readonly twice: boolean;
}

const kinds = ['list', 'update', 'unlist', 'buy', 'withdraw', 'settle', 'pause', 'resume', 'cancel'] as const;
const weights = {
  list: 8,
  update: 3,
  unlist: 2,
  buy: 10,
  withdraw: 5,
  settle: 2,
  pause: 2,
  resume: 3,
  cancel: 1,
};

const command: fc.Arbitrary<Command> = fc.record({
  do: fc.oneof(...kinds.map((kind) => ({ weight: weights[kind], arbitrary: fc.constant(kind) }))),
  who: fc.nat(traders - 1),
  on: fc.nat(1),
  sats: fc.integer({ min: 1, max: 120 }),
  twice: fc.boolean(),
});

/** What is done at once, and how long nothing is done before that. */
const batch = fc.record({
  seconds: fc.nat(4),
  commands: fc.array(command, { minLength: 1, maxLength: 7, size: 'max' }),
});

/** Which event each command makes. */
const eventOf: Record<Command['do'], string> = {
  list: 'ListingCreated',
  update: 'ListingUpdated',
  unlist: 'ListingCancelled',
  buy: 'ListingSold',
  withdraw: 'StreamWithdrawn',
  settle: 'StreamSettled',
  pause: 'StreamPaused',
  resume: 'StreamResumed',
  cancel: 'StreamCancelled',
};

/** Every event that was ever seen: what is never reached is not shown either. */
const reached = new Set<string>();

/** All rows of a topic, which must be numbered without a gap and hold each event once. */
async function rowsOf(topic: string): Promise<LogRow[]> {
  const rows = await app().services.feeds.log.readPage(topic, 0, 100_000);
  expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, n) => n + 1));
  expect(new Set(rows.map(({ event }) => event.id)).size).toBe(rows.length);
  return rows;
}

async function createRun() {
  const { db, ledger } = app().services;
  const sender = await newPerson(app(), 2 * amountSats);
  const users = await Promise.all(Array.from({ length: traders }, () => newPerson(app(), 400)));
  const first = users[0] as Person;
  const endsAt = new Date(clock.now() + 60_000);
  const soon = new Date(clock.now() + 5_000);
  const streamIds = [
    await startStream(app(), sender, first.id, { amountSats, endsAt }),
    await startStream(app(), sender, first.id, { amountSats, startsAt: soon, endsAt }),
  ];
  /** How many commands of each kind were done, by stream. */
  const done = new Map<string, number>();

  async function request(
    { do: kind, who, sats }: Command,
    streamId: string,
    recipient: string,
    last: Listing | undefined,
  ): Promise<[document: string, input: object, as: Person]> {
    const trader = users[who] as Person;
    // Mostly whoever may; sometimes somebody else.
    const owner = sats % 8 === 0 ? trader : (users.find(({ id }) => id === recipient) as Person);
    const listingId = last?.id ?? 'lst_none';
    const shownPrice = Number(last?.priceSats ?? 1n);
    switch (kind) {
      case 'list':
        return [createListing, { streamId, priceSats: sats }, owner];
      case 'update':
        return [updateListing, { listingId, priceSats: sats }, owner];
      case 'unlist':
        return [cancelListing, { listingId }, owner];
      case 'buy':
        return [buyListing, { listingId, expectedPriceSats: shownPrice, minimumRemainingSats: sats }, trader];
      case 'withdraw':
        return [withdrawFromStream, { streamId, amountSats: Math.ceil(sats / 10) }, owner];
      case 'settle':
        return [settleStream, { streamId }, sats % 2 === 0 ? owner : sender];
      default: {
        const documents = { pause: pauseStream, resume: resumeStream, cancel: cancelStream };
        return [documents[kind], { streamId }, sender];
      }
    }
  }

  async function act(each: Command): Promise<void> {
    const streamId = streamIds[each.on] as string;
    const [stream] = await streamsByIds(db, [streamId]);
    const [newest] = await db.query<{ id: string }>(
      'SELECT id FROM listings WHERE stream_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1',
      [streamId],
    );
    const [last] = newest ? await listingsByIds(db, [newest.id]) : [];
    const [document, input, as] = await request(each, streamId, (stream as Stream).recipient, last);
    const withKey = { input: { ...input, idempotencyKey: key() } };
    const answers = await Promise.all(
      Array.from({ length: each.twice ? 2 : 1 }, () => app().send(document, withKey, as)),
    );
    for (const { errors } of answers)
      if (errors)
        expect(errors[0]?.extensions.code).toBeOneOf(['CONFLICT', 'FORBIDDEN', 'INSUFFICIENT_FUNDS']);
    const name = `${eventOf[each.do]} ${streamId}`;
    if (answers.some(({ errors }) => !errors)) done.set(name, (done.get(name) ?? 0) + 1);
  }

  /** Has each of a stream's events follow from those before it; answers who its recipient became. */
  async function replayStream(stream: Stream): Promise<string[]> {
    const state = { recipient: first.id, paused: false, ended: false, paid: 0 };
    const buyers: string[] = [];
    for (const { event } of await rowsOf(`stream:${stream.id}`)) {
      const { type, facts } = event;
      reached.add(type);
      expect(state.ended).toBe(false);
      if (type === 'StreamTransferred') {
        expect(facts.from).toBe(state.recipient);
        state.recipient = facts.to as string;
        buyers.push(state.recipient);
      } else if (type === 'StreamPaused') {
        expect(state.paused).toBe(false);
        state.paused = true;
      } else if (type === 'StreamResumed') {
        expect(state.paused).toBe(true);
        state.paused = false;
      } else if (type === 'StreamCancelled') {
        state.ended = true;
        state.paid = Number(facts.vestedSats);
      } else if (type === 'StreamWithdrawn' || type === 'StreamSettled') {
        state.paid += Number(facts.amountSats ?? facts.settledSats);
        state.ended = state.paid === amountSats;
      }
    }
    const { recipient, withdrawnSats, refundedSats, feeSats } = stream;
    expect({ recipient, paid: Number(withdrawnSats) }).toEqual({
      recipient: state.recipient,
      paid: state.paid,
    });
    expect(stream.state).toBeOneOf(state.ended ? ['CANCELLED', 'DEPLETED'] : ['PAUSED']);
    const left = stream.amountSats - withdrawnSats - refundedSats - feeSats;
    expect(await ledger.balance(db, `stream:${stream.id}`)).toBe(left);
    return buyers;
  }

  /** Has the listings of a stream go from state to state as the marketplace was told; answers who has bought. */
  async function replayListings(streamId: string, events: readonly LogRow[]): Promise<string[]> {
    const rows = await db.query<{ id: string }>('SELECT id FROM listings WHERE stream_id = $1', [streamId]);
    const listings = await listingsByIds(
      db,
      rows.map(({ id }) => id),
    );
    const known = new Map<string, { state: ListingState; priceSats: bigint; paid: bigint }>();
    const buyers: string[] = [];
    for (const { event } of events) {
      const { type, facts } = event;
      const id = facts.listingId as string;
      if (!listings.some((listing) => listing.id === id)) continue;
      reached.add(typeof facts.reason === 'string' ? facts.reason : type);
      if (type === 'ListingCreated') {
        // One at a time.
        expect([...known.values()].filter(({ state }) => state === 'ACTIVE')).toEqual([]);
        known.set(id, { state: 'ACTIVE', priceSats: BigInt(facts.priceSats as number), paid: 0n });
        continue;
      }
      const actions: Record<string, ListingAction> = {
        ListingUpdated: 'UPDATE',
        ListingSold: 'BUY',
        ListingCancelled: facts.reason === null ? 'CANCEL' : 'END',
      };
      const before = known.get(id) as { state: ListingState; priceSats: bigint; paid: bigint };
      const state = nextState(before.state, actions[type] as ListingAction);
      expect(state).toBeDefined();
      if (type === 'ListingSold') {
        expect(BigInt(facts.priceSats as number)).toBe(before.priceSats);
        buyers.push(facts.buyer as string);
      }
      known.set(id, {
        state: state as ListingState,
        priceSats: BigInt((facts.newPriceSats as number | undefined) ?? Number(before.priceSats)),
        paid: type === 'ListingSold' ? before.priceSats : 0n,
      });
    }
    expect(known.size).toBe(listings.length);
    for (const { id, state, priceSats } of listings) {
      const [booked] = await db.query<{ sats: string }>(
        'SELECT coalesce(sum(amount_sats), 0)::text AS sats FROM transfers WHERE key = ANY($1::text[])',
        [[`sold:${id}:price`, `sold:${id}:fee`]],
      );
      expect({ state, priceSats, paid: BigInt(booked?.sats ?? 0) }).toEqual(known.get(id));
    }
    return buyers;
  }

  /** In a user's own feed stands that nothing was paid out of what they had for sale, and each of their listings' events once. */
  async function replayActivity({ id: userId }: Person, events: readonly LogRow[]): Promise<void> {
    const rows = await rowsOf(`user:${userId}`);
    const sellers = await db.query<{ id: string; streamId: string }>(
      'SELECT id, stream_id AS "streamId" FROM listings WHERE seller = $1',
      [userId],
    );
    const streamOf = new Map(sellers.map(({ id, streamId }) => [id, streamId]));
    const forSale = new Set<string>();
    for (const { event } of rows) {
      const { type, facts } = event;
      const listed = streamOf.get(facts.listingId as string);
      if (listed && type === 'ListingCreated') forSale.add(listed);
      if (listed && (type === 'ListingSold' || type === 'ListingCancelled')) forSale.delete(listed);
      if (type === 'StreamWithdrawn' || type === 'StreamSettled')
        expect(forSale).not.toContain(facts.streamId);
    }
    const ofTheirs = (all: readonly LogRow[]) =>
      all
        .filter(
          ({ event: { type, facts } }) =>
            type.startsWith('Listing') && streamOf.has(facts.listingId as string),
        )
        .map(({ event }) => event.id);
    expect(ofTheirs(rows)).toEqual(ofTheirs(events));
  }

  async function check(): Promise<void> {
    const market = await rowsOf('marketplace');
    const streams = await streamsByIds(db, streamIds);
    expect(streams).toHaveLength(2);
    for (const stream of streams) {
      const buyers = await replayStream(stream);
      expect(await replayListings(stream.id, market)).toEqual(buyers);
    }
    for (const user of users) await replayActivity(user, market);

    // What was answered as done was done, once each; only time has done more.
    const listings = await db.query<{ id: string; streamId: string }>(
      'SELECT id, stream_id AS "streamId" FROM listings WHERE stream_id = ANY($1::text[])',
      [streamIds],
    );
    const streamOf = new Map(listings.map(({ id, streamId }) => [id, streamId]));
    const told = new Map<string, number>();
    const tell = (type: string, streamId: unknown) => {
      const name = `${type} ${streamId}`;
      told.set(name, (told.get(name) ?? 0) + 1);
    };
    for (const { event } of market)
      if (streamOf.has(event.facts.listingId as string) && typeof event.facts.reason !== 'string')
        tell(event.type, streamOf.get(event.facts.listingId as string));
    for (const streamId of streamIds) {
      const rows = await rowsOf(`stream:${streamId}`);
      for (const { event } of rows.slice(1))
        if (event.type !== 'StreamTransferred') tell(event.type, streamId);
      const settled = `StreamSettled ${streamId}`;
      const byTime = (told.get(settled) ?? 0) - (done.get(settled) ?? 0);
      expect(byTime).toBeOneOf([0, 1]);
      told.set(settled, (told.get(settled) ?? 0) - byTime);
    }
    const counted = (map: ReadonlyMap<string, number>) =>
      Object.fromEntries([...map].filter(([, count]) => count > 0).sort());
    expect(counted(told)).toEqual(counted(done));
    await expectMoneyAddsUp(db);
  }

  /** Lets time go on until nothing more happens by itself. */
  async function end(): Promise<void> {
    clock.advance(300_000);
    await until('streams that have ended or are paused', async () =>
      (await streamsByIds(db, streamIds)).every(({ state }) =>
        ['PAUSED', 'CANCELLED', 'DEPLETED'].includes(state),
      ),
    );
  }

  return { act, end, check };
}

it('sells each stream to one buyer after another, however all that can be done to it interleaves', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { minLength: 12, maxLength: 25, size: 'max' }), async (batches) => {
      const run = await createRun();
      for (const { seconds, commands } of batches) {
        clock.advance(seconds * 1_000);
        await Promise.all(commands.map(run.act));
      }
      await run.end();
      await run.check();
    }),
    { numRuns: 12, interruptAfterTimeLimit: 150_000, markInterruptAsFailure: true },
  );
  expect([...reached]).toEqual(
    expect.arrayContaining([
      ...Object.values(eventOf),
      'StreamTransferred',
      'STREAM_CANCELLED',
      'STREAM_VESTED',
    ]),
  );
}, 240_000);
