import { beforeAll, describe, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import {
  activityOf,
  doCommand,
  keptOf,
  readStream,
  refusalOf,
  type StreamCommand,
  typesOf,
  watchSettlements,
  watchStream,
} from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser, walletOf } from '../support/wallets.ts';

const hourMs = 3_600_000;
const clock = standingClock();
const app = useTestApp({}, { clock });

interface Person extends As {
  readonly id: string;
}

let service: As;
beforeAll(async () => {
  service = { token: await app().token('a settler', ['SERVICE'], 365 * 86_400) };
});

let made = 0;
/** A user whom no other test knows. */
async function person(name: string, sats = 0, roles = ['USER']): Promise<Person> {
  made += 1;
  return createUser(app(), `${name} ${made}`, sats, roles);
}

const inHours = (hours: number) => new Date(clock.now() + hours * hourMs).toISOString();

/** A stream of a thousand sats in ten hours, with both its parties watching. */
async function running(input: object = {}, amountSats = 1_000) {
  const [sender, recipient] = [await person('sender', 2_000), await person('recipient')];
  const stream = await doCommand(
    app(),
    'createStream',
    { recipientId: recipient.id, amountSats, endsAt: inHours(10), ...input },
    sender,
  );
  const id = stream.id as string;
  const watching = [sender, recipient].map((as) => app().watch(watchStream, { id }, as));
  for (const watched of watching) await watched.event('StreamSnapshot');
  const settlements = app().watch(watchSettlements, { id, after: 'START' }, recipient);
  const [seenBySender, seenByRecipient] = watching as [(typeof watching)[0], (typeof watching)[0]];
  const run = (command: StreamCommand, as: As, further: object = {}): Promise<Json> =>
    doCommand(app(), command, { streamId: id, ...further }, as);
  const refuse = (command: StreamCommand, as: As, further: object = {}) =>
    refusalOf(app(), command, { streamId: id, ...further }, as);
  return { id, stream, sender, recipient, seenBySender, seenByRecipient, settlements, run, refuse };
}

describe('creating', () => {
  it('locks the amount, and tells both parties', async () => {
    const { id, stream, sender, recipient } = await running();
    expect(stream).toMatchObject({
      id: expect.stringMatching(/^str_/),
      state: 'ACTIVE',
      origin: 'SATWIRE',
      clock: 'TIME',
      amountSats: 1_000,
      vestedSats: 0,
      withdrawableSats: 0,
      percentComplete: 0,
      rateSatsPerSecond: 1_000 / 36_000,
      rateSatsPerBlock: null,
      startsAt: new Date(clock.now()).toISOString(),
      endsAt: inHours(10),
      startBlock: null,
      endBlock: null,
      sender: { id: sender.id },
      recipient: { id: recipient.id },
    });
    expect(await walletOf(app(), sender.id)).toBe(1_000);
    expect(await activityOf(app(), sender.id)).toEqual(['WalletCredited', 'WalletDebited', 'StreamCreated']);
    expect(await activityOf(app(), recipient.id)).toEqual(['StreamCreated']);
    const past = app().watch(watchStream, { id, after: 'START' }, recipient);
    expect(await past.event('StreamCreated')).toMatchObject({ amountSats: 1_000, stream: { id } });
  });

  it.each([
    ['nothing', { amountSats: 0 }, { code: 'BAD_USER_INPUT', argument: 'amountSats' }],
    ['more than is there', { amountSats: 101 }, { code: 'INSUFFICIENT_FUNDS' }],
    ['no end', { endsAt: null }, { code: 'BAD_USER_INPUT', argument: 'endsAt' }],
    [
      'an end at its start',
      { startsAt: inHours(1), endsAt: inHours(1) },
      { code: 'BAD_USER_INPUT', argument: 'endsAt' },
    ],
    ['a start that is over', { startsAt: inHours(-1) }, { code: 'BAD_USER_INPUT', argument: 'startsAt' }],
    [
      'an end in another century',
      { endsAt: inHours(101 * 8_760) },
      { code: 'BAD_USER_INPUT', argument: 'endsAt' },
    ],
    ['a start on the other clock', { startBlock: 1 }, { code: 'BAD_USER_INPUT', argument: 'startBlock' }],
    ['an end on the other clock', { endBlock: 1 }, { code: 'BAD_USER_INPUT', argument: 'endBlock' }],
    ['blocks before there was one', { clock: 'BLOCK', endsAt: null, endBlock: 9 }, { code: 'UNAVAILABLE' }],
    ['no such recipient', { recipientId: 'usr_AAAAAAAAAAAAAAAAAAAAAA' }, { code: 'FORBIDDEN' }],
    ['a recipient of another kind', { recipientId: 'str_AAAAAAAAAAAAAAAAAAAAAA' }, { code: 'FORBIDDEN' }],
    ['a recipient that is no id', { recipientId: "' OR true --" }, { code: 'FORBIDDEN' }],
    ['a key that is none', { idempotencyKey: '' }, { code: 'BAD_USER_INPUT' }],
  ])('refuses %s, and moves nothing', async (_what, input, refusal) => {
    const [sender, recipient] = [await person('hesitant', 100), await person('unpaid')];
    const whole = { recipientId: recipient.id, amountSats: 100, endsAt: inHours(10), ...input };
    expect(await refusalOf(app(), 'createStream', whole, sender)).toMatchObject(refusal);
    expect(await walletOf(app(), sender.id)).toBe(100);
    expect(await activityOf(app(), recipient.id)).toEqual([]);
  });

  it('refuses a stream to oneself, and one of nobody', async () => {
    const sender = await person('alone', 100);
    const input = { recipientId: sender.id, amountSats: 100, endsAt: inHours(1) };
    expect(await refusalOf(app(), 'createStream', input, sender)).toMatchObject({ argument: 'recipientId' });
    expect(await refusalOf(app(), 'createStream', input, {})).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('refuses a recipient who is known by an address alone: it becomes somebody else’s', async () => {
    const sender = await person('early', 100);
    const { db } = app().services;
    await db.query("INSERT INTO users (id, created_at) VALUES ('usr_BBBBBBBBBBBBBBBBBBBBBA', now())");
    const input = { recipientId: 'usr_BBBBBBBBBBBBBBBBBBBBBA', amountSats: 100, endsAt: inHours(1) };
    expect(await refusalOf(app(), 'createStream', input, sender)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await walletOf(app(), sender.id)).toBe(100);
  });

  it('takes a start that is over by what the way here takes, and one that is still to come', async () => {
    const late = await running({ startsAt: new Date(clock.now() - 60_000).toISOString() }, 600);
    expect(late.stream).toMatchObject({ state: 'ACTIVE', vestedSats: 0 });
    const { stream } = await running({ startsAt: inHours(1) });
    expect(stream).toMatchObject({ state: 'SCHEDULED', rateSatsPerSecond: 0, startsAt: inHours(1) });
  });
});

describe('a repeated request', () => {
  it('makes nothing twice, and is answered the same', async () => {
    const [sender, recipient] = [await person('repeats', 2_000), await person('paid once')];
    const create = {
      recipientId: recipient.id,
      amountSats: 1_000,
      endsAt: inHours(10),
      idempotencyKey: key(),
    };
    const all = await Promise.all(
      Array.from({ length: 3 }, () => doCommand(app(), 'createStream', create, sender)),
    );
    const [{ id }] = all;
    expect(new Set(all.map((stream) => stream.id))).toEqual(new Set([id]));
    expect(await walletOf(app(), sender.id)).toBe(1_000);
    expect(await refusalOf(app(), 'createStream', { ...create, amountSats: 1 }, sender)).toMatchObject({
      reason: 'IDEMPOTENCY_KEY_REUSED',
    });

    clock.advance(hourMs);
    const steps: ReadonlyArray<readonly [StreamCommand, Person, object]> = [
      ['withdrawFromStream', recipient, { amountSats: 30 }],
      ['settleStream', sender, {}],
      ['pauseStream', sender, {}],
      ['resumeStream', sender, {}],
      ['cancelStream', sender, {}],
    ];
    const answers: Json[] = [];
    const inputs = steps.map(([, , further]) => ({ streamId: id, idempotencyKey: key(), ...further }));
    for (const [n, [command, as]] of steps.entries()) {
      const both = await Promise.all([1, 2].map(() => doCommand(app(), command, inputs[n] as object, as)));
      expect(both[0]).toEqual(both[1]);
      answers.push(both[0]);
    }
    expect(answers.map(({ state }) => state)).toEqual(['ACTIVE', 'ACTIVE', 'PAUSED', 'ACTIVE', 'CANCELLED']);
    // Also once another state would refuse it, each is answered, and by what is there now.
    for (const [n, [command, as]] of steps.entries())
      expect(await doCommand(app(), command, inputs[n] as object, as)).toEqual(answers.at(-1));
    const rows = await app().services.feeds.log.readPage(`stream:${id}`, 0, 100);
    expect(rows.map(({ event }) => event.type)).toEqual([
      'StreamCreated',
      'StreamWithdrawn',
      'StreamSettled',
      'StreamPaused',
      'StreamResumed',
      'StreamCancelled',
    ]);
    expect(await walletOf(app(), recipient.id)).toBe(100);
    const other = { ...(inputs[0] as object), amountSats: 31 };
    expect(await refusalOf(app(), 'withdrawFromStream', other, recipient)).toMatchObject({
      reason: 'IDEMPOTENCY_KEY_REUSED',
    });
  });
});

describe('withdrawing', () => {
  it('pays the recipient a part of what has vested, and not one sat more', async () => {
    const { id, sender, recipient, run, refuse, seenBySender, seenByRecipient } = await running();
    clock.advance(2.5 * hourMs);
    expect(await refuse('withdrawFromStream', recipient, { amountSats: 251 })).toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
    expect(await refuse('withdrawFromStream', recipient, { amountSats: 0 })).toMatchObject({
      code: 'BAD_USER_INPUT',
      argument: 'amountSats',
    });
    expect(await refuse('withdrawFromStream', sender, { amountSats: 1 })).toMatchObject({
      code: 'FORBIDDEN',
    });
    expect(await run('withdrawFromStream', recipient, { amountSats: 100 })).toMatchObject({
      state: 'ACTIVE',
      vestedSats: 250,
      withdrawnSats: 100,
      withdrawableSats: 150,
      percentComplete: 25,
    });
    for (const seen of [seenBySender, seenByRecipient])
      expect(await seen.event('StreamWithdrawn')).toMatchObject({
        amountSats: 100,
        totalWithdrawnSats: 100,
        remainingSats: 900,
        stream: { withdrawnSats: 100 },
      });
    await run('withdrawFromStream', recipient, { amountSats: 150 });
    expect(await refuse('withdrawFromStream', recipient, { amountSats: 1 })).toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
    expect(await walletOf(app(), recipient.id)).toBe(250);
    expect(await app().services.ledger.balance(app().services.db, `stream:${id}`)).toBe(750n);
  });
});

describe('settling', () => {
  it('pays all that has vested, for the recipient, the sender, or a service', async () => {
    const { id, recipient, sender, run, refuse, settlements, seenBySender } = await running();
    expect(await refuse('settleStream', recipient)).toMatchObject({
      code: 'CONFLICT',
      reason: 'INVALID_STATE',
    });
    for (const [n, as] of [recipient, sender, service].entries()) {
      clock.advance(hourMs);
      expect(await run('settleStream', as)).toMatchObject({
        withdrawnSats: (n + 1) * 100,
        withdrawableSats: 0,
      });
      expect((await settlements.count(n + 1))[n]).toEqual({
        __typename: 'StreamSettled',
        id: expect.stringMatching(/^evt_/),
        cursor: expect.any(String),
        settledSats: 100,
        transaction: null,
        stream: { id, state: 'ACTIVE' },
      });
    }
    await seenBySender.event('StreamSettled');
    const stranger = await person('stranger');
    const admin = await person('admin', 0, ['ADMIN']);
    for (const as of [stranger, admin])
      expect(await refuse('settleStream', as)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await walletOf(app(), recipient.id)).toBe(300);
  });

  it('that another system reports is done once, with its transaction', async () => {
    const { id, recipient, settlements } = await running();
    clock.advance(hourMs);
    const { db, streams } = app().services;
    const report = { streamId: id, transaction: '0xabc', by: 'a queue', key: '7' };
    const settle = (changed: object = {}) =>
      db.transaction((tx) => streams.settleReported(tx, { ...report, ...changed }));
    await Promise.all([settle(), settle(), settle()]);
    expect(await settlements.event('StreamSettled')).toMatchObject({
      settledSats: 100,
      transaction: '0xabc',
    });
    await settle();
    await expect(settle({ key: '8' })).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(settle({ streamId: 'str_none' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(await walletOf(app(), recipient.id)).toBe(100);
    expect(settlements.events).toHaveLength(1);
  });
});

describe('pausing', () => {
  it('stops the vesting, and resuming moves the end', async () => {
    const { recipient, sender, run, refuse, seenByRecipient } = await running();
    clock.advance(2 * hourMs);
    expect(await refuse('resumeStream', sender)).toMatchObject({ reason: 'INVALID_STATE' });
    expect(await refuse('pauseStream', recipient)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await run('pauseStream', sender)).toMatchObject({
      state: 'PAUSED',
      vestedSats: 200,
      rateSatsPerSecond: 0,
    });
    expect(await seenByRecipient.event('StreamPaused')).toMatchObject({ vestedSats: 200 });
    clock.advance(20 * hourMs);
    expect(await refuse('pauseStream', sender)).toMatchObject({ reason: 'INVALID_STATE' });
    expect(await refuse('resumeStream', recipient)).toMatchObject({ code: 'FORBIDDEN' });
    // What has vested can be paid out meanwhile.
    expect(await run('withdrawFromStream', recipient, { amountSats: 50 })).toMatchObject({
      state: 'PAUSED',
      withdrawableSats: 150,
    });
    expect(await run('settleStream', recipient)).toMatchObject({ state: 'PAUSED', withdrawableSats: 0 });
    const endsAt = inHours(8);
    expect(await run('resumeStream', sender)).toMatchObject({ state: 'ACTIVE', vestedSats: 200, endsAt });
    expect(await seenByRecipient.event('StreamResumed')).toMatchObject({ endsAt });
    clock.advance(4 * hourMs);
    expect(await run('settleStream', sender)).toMatchObject({ vestedSats: 600, withdrawnSats: 600 });
    await until('the second settlement to be told', () => typesOf(seenByRecipient).length === 5);
    expect(typesOf(seenByRecipient)).toEqual([
      'StreamPaused',
      'StreamWithdrawn',
      'StreamSettled',
      'StreamResumed',
      'StreamSettled',
    ]);
  });
});

describe('cancelling', () => {
  it('pays the recipient what has vested, and gives the rest back less the fee', async () => {
    const { id, recipient, sender, run, refuse, seenBySender, seenByRecipient } = await running();
    const treasuryBefore = await app().services.ledger.balance(app().services.db, 'treasury');
    clock.advance(2.5 * hourMs);
    await run('withdrawFromStream', recipient, { amountSats: 100 });
    expect(await refuse('cancelStream', recipient)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await refuse('cancelStream', service)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await run('cancelStream', sender)).toMatchObject({
      state: 'CANCELLED',
      vestedSats: 250,
      withdrawnSats: 250,
      withdrawableSats: 0,
      refundedSats: 743,
      feeSats: 7,
      percentComplete: 25,
    });
    for (const seen of [seenBySender, seenByRecipient])
      expect(await seen.event('StreamCancelled')).toMatchObject({
        vestedSats: 250,
        unvestedSats: 750,
        feeSats: 7,
        cancelledBy: { id: sender.id },
        stream: { state: 'CANCELLED' },
      });
    expect(await walletOf(app(), recipient.id)).toBe(250);
    expect(await walletOf(app(), sender.id)).toBe(1_743);
    const { db, ledger } = app().services;
    expect(await ledger.balance(db, `stream:${id}`)).toBe(0n);
    expect((await ledger.balance(db, 'treasury')) - treasuryBefore).toBe(7n);
    for (const command of ['pauseStream', 'resumeStream', 'cancelStream', 'settleStream'] as const)
      expect(await refuse(command, sender)).toMatchObject({ reason: 'INVALID_STATE' });
    expect(await refuse('withdrawFromStream', recipient, { amountSats: 1 })).toMatchObject({
      reason: 'INVALID_STATE',
    });
    await expectMoneyAddsUp(db);
  });

  it('of a paused one counts what had vested; of one that has not begun, nothing', async () => {
    const paused = await running();
    clock.advance(5 * hourMs);
    await paused.run('pauseStream', paused.sender);
    clock.advance(hourMs);
    expect(await paused.run('cancelStream', paused.sender)).toMatchObject({
      withdrawnSats: 500,
      refundedSats: 495,
      feeSats: 5,
    });
    const scheduled = await running({ startsAt: inHours(1) });
    for (const command of ['settleStream', 'pauseStream'] as const)
      expect(await scheduled.refuse(command, scheduled.sender)).toMatchObject({ reason: 'INVALID_STATE' });
    expect(await scheduled.run('cancelStream', scheduled.sender)).toMatchObject({
      withdrawnSats: 0,
      refundedSats: 990,
      feeSats: 10,
      percentComplete: 0,
    });
    expect(await walletOf(app(), scheduled.recipient.id)).toBe(0);
  });

  it('of a single sat costs nothing', async () => {
    const { run, sender } = await running({}, 1);
    expect(await run('cancelStream', sender)).toMatchObject({ refundedSats: 1, feeSats: 0 });
  });
});

it('tells the same to both parties, in the same order, and again from any cursor', async () => {
  const { id, recipient, sender, run, seenBySender, seenByRecipient } = await running();
  clock.advance(hourMs);
  await run('withdrawFromStream', recipient, { amountSats: 10 });
  await run('settleStream', service);
  await run('pauseStream', sender);
  await run('cancelStream', sender);
  for (const seen of [seenBySender, seenByRecipient]) await seen.event('StreamCancelled');
  const ids = keptOf(seenBySender).map((event) => event.id);
  expect(ids).toHaveLength(4);
  expect(keptOf(seenByRecipient).map((event) => event.id)).toEqual(ids);
  const [first] = keptOf(seenByRecipient);
  const again = app().watch(watchStream, { id, after: first.cursor }, recipient);
  await again.count(3);
  expect(again.events.map((event) => event.id)).toEqual(ids.slice(1));
  const { stream: past } = await app().ask(
    'query ($id: ID!) { stream(id: $id) { events(first: 10) { edges { node { id } } } } }',
    { id },
    recipient,
  );
  expect(past.events.edges.slice(1).map(({ node }: Json) => node.id)).toEqual(ids);
  const { stream: read } = await app().ask(readStream, { id }, sender);
  expect(read.state).toBe('CANCELLED');
});
