import { describe, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { openSocket } from '../support/raw-socket.ts';
import {
  activityOf,
  doCommand,
  keptOf,
  readStream,
  refusalOf,
  transferClaim,
  typesOf,
  watchSettlements,
  watchStream,
} from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser, walletOf } from '../support/wallets.ts';
import { bearer } from '../support/watching.ts';

const hourMs = 3_600_000;
const clock = standingClock();
const app = useTestApp({}, { clock });

let made = 0;
async function running(hours = 10) {
  made += 1;
  const [sender, seller, buyer] = await Promise.all([
    createUser(app(), `sender ${made}`, 100_000),
    createUser(app(), `seller ${made}`),
    createUser(app(), `buyer ${made}`),
  ]);
  const endsAt = new Date(clock.now() + hours * hourMs).toISOString();
  const input = { recipientId: seller.id, amountSats: 100_000, endsAt };
  const { id } = await doCommand(app(), 'createStream', input, sender);
  return { id: id as string, sender, seller, buyer };
}

const settle = (id: string, as: As) => doCommand(app(), 'settleStream', { streamId: id }, as);

/** Watches a stream, and has its place. */
async function watching(id: string, as: As) {
  const watched = app().watch(watchStream, { id }, as);
  await watched.event('StreamSnapshot');
  return watched;
}

const forbidden = [{ extensions: { code: 'FORBIDDEN' } }];

describe('a claim that is passed on', () => {
  it('is told the former recipient as the last, and their subscriptions complete', async () => {
    const { id, sender, seller, buyer } = await running();
    const [bySeller, bySender] = [await watching(id, seller), await watching(id, sender)];
    const settlements = app().watch(watchSettlements, { id, after: 'START' }, seller);
    clock.advance(hourMs);
    await settle(id, seller);
    await settlements.count(1);
    clock.advance(hourMs);
    const claim = await transferClaim(app(), id, buyer.id);
    expect(claim).toMatchObject({
      stream: { id, recipient: seller.id },
      remainingSats: 90_000n,
      withdrawableSats: 10_000n,
    });
    await until('both to end', () => bySeller.ended && settlements.ended);
    expect(bySeller.errors).toBeUndefined();
    expect(settlements.errors).toBeUndefined();
    expect(typesOf(bySeller)).toEqual(['StreamSettled', 'StreamTransferred']);
    expect(bySeller.events.at(-1)).toMatchObject({
      from: { id: seller.id },
      to: { id: buyer.id },
      stream: null,
    });
    expect(settlements.events.map(({ __typename }) => __typename)).toEqual(['StreamSettled']);

    // From then on it is the buyer's: to see, to be paid, and to watch.
    for (const query of [watchStream, watchSettlements]) {
      const refused = app().watch(query, { id }, seller);
      await until('a refusal', () => refused.ended);
      expect(refused.errors).toMatchObject(forbidden);
    }
    expect((await app().send(readStream, { id }, seller)).errors).toMatchObject(forbidden);
    expect(await refusalOf(app(), 'settleStream', { streamId: id }, seller)).toMatchObject({
      code: 'FORBIDDEN',
    });
    const byBuyer = await watching(id, buyer);
    await settle(id, buyer);
    expect(await byBuyer.event('StreamSettled')).toMatchObject({
      settledSats: 10_000,
      stream: { recipient: { id: buyer.id } },
    });
    expect(await walletOf(app(), buyer.id)).toBe(10_000);
    expect(await walletOf(app(), seller.id)).toBe(10_000);
    await until('the sender to be told', () => typesOf(bySender).length === 3);
    expect(bySender.ended).toBe(false);
    expect(keptOf(bySender)[1]).toMatchObject({ __typename: 'StreamTransferred', stream: { id } });
    expect(typesOf(bySeller)).toHaveLength(2);
    // Their activity has the sale, and nothing behind it.
    expect((await activityOf(app(), seller.id)).at(-1)).toBe('StreamTransferred');
    expect(await activityOf(app(), buyer.id)).toEqual([
      'StreamTransferred',
      'WalletCredited',
      'StreamSettled',
    ]);
  });

  it('ends by one complete, behind the sale in the same socket, which lives on', async () => {
    const { id, seller, buyer } = await running();
    const socket = await openSocket(app().webSocketUrl, bearer(seller.token));
    socket.subscribe('all', watchStream, { id });
    socket.subscribe('settlements', watchSettlements, { id });
    await socket.count('all', 1);
    await until('both to watch', () => app().hub.size().members >= 2);
    await transferClaim(app(), id, buyer.id);
    const all = await socket.over('all');
    expect(all.map(({ type }) => type)).toEqual(['next', 'next', 'complete']);
    expect(all[1].payload.data.streamUpdated).toMatchObject({
      __typename: 'StreamTransferred',
      stream: null,
    });
    expect((await socket.over('settlements')).map(({ type }) => type)).toEqual(['complete']);
    socket.subscribe('ask', '{ viewer { roles } }');
    await socket.over('ask');
    expect(socket.of('all')).toHaveLength(3);
  });

  it('ends it also for who is told the past: nothing behind the sale, however much follows', async () => {
    const { id, sender, seller, buyer } = await running(100_000);
    const before = app().watch(watchStream, { id, after: 'START' }, seller);
    const [created] = await before.count(1);
    before.unsubscribe();
    // More than a page, and more behind the sale.
    for (let n = 0; n < 70; n += 1)
      for (const command of ['pauseStream', 'resumeStream'] as const)
        await doCommand(app(), command, { streamId: id }, sender);
    // Who resumes is found to be a party, and stands far behind when the sale comes.
    const socket = await openSocket(app().webSocketUrl, bearer(seller.token));
    const selling = transferClaim(app(), id, buyer.id);
    socket.subscribe('past', watchStream, { id, after: created.cursor });
    await selling;
    for (let n = 0; n < 10; n += 1)
      for (const command of ['pauseStream', 'resumeStream'] as const)
        await doCommand(app(), command, { streamId: id }, sender);
    const messages = await socket.over('past');
    const told = messages.filter(({ type }) => type === 'next');
    // Either the sale came first, and it was refused; or it is told up to there.
    if (messages.at(-1)?.type === 'error') expect(told).toEqual([]);
    else {
      expect(messages.at(-1)?.type).toBe('complete');
      expect(told).toHaveLength(141);
      expect(told.at(-1)?.payload.data.streamUpdated.__typename).toBe('StreamTransferred');
    }
  });

  it('ends nothing of who has bought it back: they are told all, the former sale too', async () => {
    const { id, seller, buyer } = await running();
    const first = await watching(id, seller);
    await transferClaim(app(), id, buyer.id);
    await until('it to end', () => first.ended);
    const byBuyer = await watching(id, buyer);
    await transferClaim(app(), id, seller.id);
    await until('it to end', () => byBuyer.ended);
    expect(typesOf(byBuyer)).toEqual(['StreamTransferred']);
    const again = app().watch(watchStream, { id, after: 'START' }, seller);
    await again.count(3);
    clock.advance(hourMs);
    await settle(id, seller);
    await again.event('StreamSettled');
    expect(typesOf(again)).toEqual([
      'StreamCreated',
      'StreamTransferred',
      'StreamTransferred',
      'StreamSettled',
    ]);
    expect(again.ended).toBe(false);
    await transferClaim(app(), id, buyer.id);
    await until('it to end', () => again.ended);
    expect(typesOf(again).at(-1)).toBe('StreamTransferred');
  });

  it('is refused when it has vested or was cancelled, is not there, or would go to its sender', async () => {
    const { id, sender, seller, buyer } = await running();
    await expect(transferClaim(app(), id, sender.id)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(transferClaim(app(), 'str_none', buyer.id)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const watched = await watching(id, seller);
    await doCommand(app(), 'cancelStream', { streamId: id }, sender);
    await expect(transferClaim(app(), id, buyer.id)).rejects.toMatchObject({
      details: { reason: 'INVALID_STATE' },
    });
    await watched.event('StreamCancelled');
    expect(typesOf(watched)).toEqual(['StreamCancelled']);
    const short = await running(1);
    clock.advance(hourMs);
    await expect(transferClaim(app(), short.id, buyer.id)).rejects.toMatchObject({
      details: { reason: 'INVALID_STATE' },
    });
  });

  it('may be done to one that is scheduled or paused, and changes nothing else of it', async () => {
    const { id, sender, buyer } = await running();
    clock.advance(hourMs);
    const paused: Json = await doCommand(app(), 'pauseStream', { streamId: id }, sender);
    await transferClaim(app(), id, buyer.id);
    const { stream } = await app().ask(readStream, { id }, sender);
    expect(stream).toMatchObject({ ...paused, recipient: { id: buyer.id } });
  });
});

it('a subscription that starts while the sale commits is refused, or told of it as the last', async () => {
  for (let round = 0; round < 10; round += 1) {
    const { id, seller, buyer } = await running();
    const socket = await openSocket(app().webSocketUrl, bearer(seller.token));
    const selling = transferClaim(app(), id, buyer.id);
    for (let n = 0; n < 5; n += 1) {
      socket.subscribe(`all ${n}`, watchStream, { id });
      socket.subscribe(`settlements ${n}`, watchSettlements, { id });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await selling;
    for (let n = 0; n < 5; n += 1) {
      const all = await socket.over(`all ${n}`);
      const settlements = await socket.over(`settlements ${n}`);
      expect(settlements).toHaveLength(1);
      const told = all.filter(({ type }) => type === 'next').map(({ payload }) => payload.data.streamUpdated);
      if (all.at(-1)?.type === 'error') {
        expect(all.at(-1)?.payload).toMatchObject(forbidden);
        expect(told).toEqual([]);
      } else {
        expect(told.at(-1)?.__typename).toBe('StreamTransferred');
        expect(told.filter(({ __typename }) => __typename === 'StreamTransferred')).toHaveLength(1);
      }
    }
    await socket.close();
  }
});
