import { describe, expect, it } from 'vitest';
import { startTestApp, type TestApp, temporaryFolder, useTestApp } from '../support/app.ts';
import type { As } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { onPostgres } from '../support/postgres.ts';
import {
  activityOf,
  doCommand,
  reach,
  readStream,
  refusalOf,
  typesOf,
  watchSettlements,
  watchStream,
} from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser, walletOf } from '../support/wallets.ts';

const hourMs = 3_600_000;
const clock = standingClock();
const app = useTestApp({}, { clock });

const inHours = (hours: number) => new Date(clock.now() + hours * hourMs).toISOString();

let made = 0;
/** A stream of a thousand sats with its parties, who watch it. */
async function running(input: object, on: TestApp = app()) {
  made += 1;
  const sender = await createUser(on, `sender ${made}`, 1_000);
  const recipient = await createUser(on, `recipient ${made}`);
  const whole = { recipientId: recipient.id, amountSats: 1_000, ...input };
  const { id } = await doCommand(on, 'createStream', whole, sender);
  const watched = on.watch(watchStream, { id }, recipient);
  await watched.event('StreamSnapshot');
  return { id: id as string, sender, recipient, watched };
}

const read = async (id: string, as: As, on: TestApp = app()) => (await on.ask(readStream, { id }, as)).stream;

const stored = async (id: string) =>
  (await app().services.db.query<{ state: string }>('SELECT state FROM streams WHERE id = $1', [id]))[0]
    ?.state;

describe('by time', () => {
  it('is settled by itself at its end, which leaves it DEPLETED', async () => {
    const { id, sender, recipient, watched } = await running({ endsAt: inHours(10) });
    const settlements = app().watch(watchSettlements, { id, after: 'START' }, sender);
    clock.advance(4 * hourMs);
    await doCommand(app(), 'withdrawFromStream', { streamId: id, amountSats: 150 }, recipient);
    clock.advance(6 * hourMs);
    expect(await watched.event('StreamSettled')).toMatchObject({
      settledSats: 850,
      transaction: null,
      stream: { state: 'DEPLETED', withdrawnSats: 1_000, withdrawableSats: 0, percentComplete: 100 },
    });
    expect(await settlements.count(1)).toMatchObject([{ settledSats: 850, stream: { state: 'DEPLETED' } }]);
    expect(await walletOf(app(), recipient.id)).toBe(1_000);
    for (const command of ['settleStream', 'pauseStream', 'cancelStream'] as const)
      expect(await refusalOf(app(), command, { streamId: id }, sender)).toMatchObject({
        reason: 'INVALID_STATE',
      });
    await expectMoneyAddsUp(app().services.db);
  });

  it('is settled once, whoever comes first when it has vested: its timer, or one of those who may', async () => {
    const { id, sender, recipient, watched } = await running({ endsAt: inHours(1) });
    const { streams } = app().services;
    clock.advance(hourMs);
    const refusals = await Promise.all([
      refusalOf(app(), 'settleStream', { streamId: id }, recipient),
      refusalOf(app(), 'settleStream', { streamId: id }, sender),
      streams.move(id).then(() => undefined),
    ]);
    for (const refusal of refusals) if (refusal) expect(refusal).toMatchObject({ reason: 'INVALID_STATE' });
    await watched.event('StreamSettled');
    expect(await streams.move(id)).toBeNull();
    expect(await activityOf(app(), recipient.id)).toEqual([
      'StreamCreated',
      'WalletCredited',
      'StreamSettled',
    ]);
    expect(await walletOf(app(), recipient.id)).toBe(1_000);
  });

  it('begins by itself when its time has come', async () => {
    const { id, sender, watched } = await running({ startsAt: inHours(1), endsAt: inHours(11) });
    expect(await read(id, sender)).toMatchObject({ state: 'SCHEDULED', vestedSats: 0 });
    expect(await stored(id)).toBe('SCHEDULED');
    clock.advance(hourMs);
    await until('it to be stored', async () => (await stored(id)) === 'ACTIVE');
    expect(await read(id, sender)).toMatchObject({ state: 'ACTIVE', vestedSats: 0 });
    clock.advance(10 * hourMs);
    expect(await watched.event('StreamSettled')).toMatchObject({ settledSats: 1_000 });
  });

  it('is not settled while it is paused, but at the end that resuming has moved', async () => {
    const { id, sender, watched } = await running({ endsAt: inHours(10) });
    const witness = await running({ endsAt: inHours(11) });
    await doCommand(app(), 'pauseStream', { streamId: id }, sender);
    clock.advance(11 * hourMs);
    // The other one has ended by now; this one was not touched.
    await witness.watched.event('StreamSettled');
    expect(await read(id, sender)).toMatchObject({ state: 'PAUSED', withdrawableSats: 0 });
    expect(await doCommand(app(), 'resumeStream', { streamId: id }, sender)).toMatchObject({
      endsAt: inHours(10),
    });
    clock.advance(10 * hourMs - 1);
    expect(await read(id, sender)).toMatchObject({ state: 'ACTIVE', withdrawableSats: 999 });
    clock.advance(1);
    expect(await watched.event('StreamSettled')).toMatchObject({ settledSats: 1_000 });
    expect(typesOf(watched)).toEqual(['StreamPaused', 'StreamResumed', 'StreamSettled']);
  });

  it('is left alone by its timer once it was cancelled', async () => {
    const { id, sender, recipient, watched } = await running({ endsAt: inHours(10) });
    const witness = await running({ endsAt: inHours(10) });
    clock.advance(hourMs);
    await doCommand(app(), 'cancelStream', { streamId: id }, sender);
    clock.advance(9 * hourMs);
    await witness.watched.event('StreamSettled');
    expect(await app().services.streams.move(id)).toBeNull();
    expect(typesOf(watched)).toEqual(['StreamCancelled']);
    expect(await walletOf(app(), recipient.id)).toBe(100);
  });

  it('is settled at the next start when its end went by while the server was down', async () => {
    const env = { DATA_DIR: await temporaryFolder() };
    const itsClock = standingClock(clock.now());
    const before = await startTestApp(env, { clock: itsClock });
    const endsAt = new Date(itsClock.now() + 10 * hourMs).toISOString();
    const { id, recipient } = await running({ endsAt }, before);
    await before.stop();
    itsClock.advance(30 * hourMs);
    const after = await startTestApp(env, { clock: itsClock });
    const watched = after.watch(watchStream, { id, after: 'START' }, recipient);
    expect(await watched.event('StreamSettled')).toMatchObject({
      settledSats: 1_000,
      stream: { state: 'DEPLETED' },
    });
    expect(typesOf(watched)).toEqual(['StreamCreated', 'StreamSettled']);
    expect(await walletOf(after, recipient.id)).toBe(1_000);
    expect(await activityOf(after, recipient.id)).toEqual([
      'StreamCreated',
      'WalletCredited',
      'StreamSettled',
    ]);
  });
});

describe('by blocks', () => {
  it('vests by the highest height that was seen: a lower one takes nothing back', async () => {
    await reach(app(), 1_000);
    const { id, recipient, watched } = await running({ clock: 'BLOCK', endBlock: 1_010 });
    expect(await read(id, recipient)).toMatchObject({
      state: 'ACTIVE',
      clock: 'BLOCK',
      startBlock: 1_000,
      endBlock: 1_010,
      startsAt: null,
      endsAt: null,
      rateSatsPerBlock: 100,
      rateSatsPerSecond: null,
    });
    clock.advance(100 * hourMs);
    expect(await read(id, recipient)).toMatchObject({ vestedSats: 0 });
    await reach(app(), 1_004);
    expect(await read(id, recipient)).toMatchObject({ vestedSats: 400, percentComplete: 40 });
    await reach(app(), 1_002);
    await reach(app(), 5_000, 'STACKS');
    expect(await read(id, recipient)).toMatchObject({ vestedSats: 400 });
    await doCommand(app(), 'withdrawFromStream', { streamId: id, amountSats: 400 }, recipient);
    await reach(app(), 1_010);
    expect(await watched.event('StreamSettled')).toMatchObject({
      settledSats: 600,
      stream: { state: 'DEPLETED' },
    });
    expect(await walletOf(app(), recipient.id)).toBe(1_000);
  });

  it('begins and ends by itself, also when one block jumps over both', async () => {
    await reach(app(), 2_000);
    const one = await running({ clock: 'BLOCK', startBlock: 2_005, endBlock: 2_010 });
    const two = await running({ clock: 'BLOCK', startBlock: 2_005, endBlock: 2_010 });
    expect(await read(one.id, one.sender)).toMatchObject({ state: 'SCHEDULED' });
    await doCommand(app(), 'cancelStream', { streamId: two.id }, two.sender);
    await reach(app(), 2_005);
    await until('it to be stored', async () => (await stored(one.id)) === 'ACTIVE');
    const three = await running({ clock: 'BLOCK', startBlock: 2_006, endBlock: 2_007 });
    await reach(app(), 2_050);
    for (const { watched } of [one, three])
      expect(await watched.event('StreamSettled')).toMatchObject({ settledSats: 1_000 });
    expect(typesOf(two.watched)).toEqual(['StreamCancelled']);
  });

  it('pauses by blocks: its end moves by as many as came meanwhile', async () => {
    await reach(app(), 3_000);
    const { id, sender, recipient, watched } = await running({ clock: 'BLOCK', endBlock: 3_010 });
    await reach(app(), 3_005);
    await doCommand(app(), 'pauseStream', { streamId: id }, sender);
    await reach(app(), 3_020);
    expect(await read(id, recipient)).toMatchObject({ state: 'PAUSED', vestedSats: 500, endBlock: 3_010 });
    expect(await doCommand(app(), 'resumeStream', { streamId: id }, sender)).toMatchObject({
      state: 'ACTIVE',
      vestedSats: 500,
      endBlock: 3_025,
    });
    expect(await watched.event('StreamResumed')).toMatchObject({ endsAt: null });
    await reach(app(), 3_025);
    expect(await watched.event('StreamSettled')).toMatchObject({ settledSats: 1_000 });
  });

  it('counts by a height that came while a command waited for the stream', async () => {
    await reach(app(), 4_000);
    const { id, recipient } = await running({ clock: 'BLOCK', endBlock: 4_010 });
    const { db } = app().services;
    const withdrawing = await db.transaction(async (tx) => {
      await tx.query('SELECT 1 FROM streams WHERE id = $1 FOR UPDATE', [id]);
      const begun = { of: doCommand(app(), 'settleStream', { streamId: id }, recipient) };
      begun.of.catch(() => {});
      // It has read the height from before. An embedded database does one thing after the other.
      if (onPostgres)
        await until(
          'it to wait for the lock',
          async () => (await db.query('SELECT 1 FROM pg_locks WHERE NOT granted')).length > 0,
        );
      await app().services.streamHeights.reached(tx, 'BITCOIN', 4_005);
      return begun;
    });
    expect(await withdrawing.of).toMatchObject({ withdrawnSats: 500 });
  });

  it.each([
    ['a beginning that is over', { startBlock: 4_900, endBlock: 5_010 }, 'startBlock'],
    ['no end', {}, 'endBlock'],
    ['an end at its beginning', { startBlock: 5_001, endBlock: 5_001 }, 'endBlock'],
    ['an end that is too far away', { endBlock: 2_000_000_000 }, 'endBlock'],
    ['a time to begin', { startsAt: '2031-01-01T00:00:00Z', endBlock: 5_010 }, 'startsAt'],
    ['a time to end', { endsAt: '2031-01-01T00:00:00Z', endBlock: 5_010 }, 'endsAt'],
  ])('refuses %s', async (_what, input, argument) => {
    await reach(app(), 5_000);
    made += 1;
    const sender = await createUser(app(), `refused ${made}`, 10);
    const recipient = await createUser(app(), `unpaid ${made}`);
    const whole = { recipientId: recipient.id, amountSats: 10, clock: 'BLOCK', ...input };
    expect(await refusalOf(app(), 'createStream', whole, sender)).toMatchObject({
      code: 'BAD_USER_INPUT',
      argument,
    });
  });

  it('takes a beginning one block ago: it may have come meanwhile', async () => {
    await reach(app(), 6_001);
    const { id, sender } = await running({ clock: 'BLOCK', startBlock: 6_000, endBlock: 6_010 });
    expect(await read(id, sender)).toMatchObject({ state: 'ACTIVE', vestedSats: 100 });
  });
});
