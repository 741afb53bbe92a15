import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { Json, Received } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { doCommand, reach, typesOf, watchStream } from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser } from '../support/wallets.ts';

const hourMs = 3_600_000;
const clock = standingClock();
const app = useTestApp({}, { clock });

const ticksOf = ({ events }: Received): Json[] =>
  events.filter(({ __typename }) => __typename === 'StreamUpdated');

let made = 0;
async function running(input: object = {}) {
  made += 1;
  const sender = await createUser(app(), `sender ${made}`, 1_000);
  const recipient = await createUser(app(), `recipient ${made}`);
  const endsAt = new Date(clock.now() + 10 * hourMs).toISOString();
  const whole = { recipientId: recipient.id, amountSats: 1_000, endsAt, ...input };
  const { id } = await doCommand(app(), 'createStream', whole, sender);
  return { id: id as string, sender, recipient };
}

/** Waits until a stream that is told of has been told of again, so that others could have been, too. */
async function aRoundLater(witness: Received): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    const before = ticksOf(witness).length;
    clock.advance(hourMs / 100);
    await until('another round', () => ticksOf(witness).length > before);
  }
}

/** A stream of a million sats, which has something to tell each second. */
async function witnessed(): Promise<Received> {
  made += 1;
  const sender = await createUser(app(), `witness ${made}`, 1_000_000);
  const recipient = await createUser(app(), `witness's ${made}`);
  const endsAt = new Date(clock.now() + 100 * hourMs).toISOString();
  const { id } = await doCommand(
    app(),
    'createStream',
    { recipientId: recipient.id, amountSats: 1_000_000, endsAt },
    sender,
  );
  const watched = app().watch(watchStream, { id }, recipient);
  await watched.event('StreamUpdated');
  return watched;
}

it('tells how far a stream has vested, once for all who watch, and only what is news', async () => {
  const witness = await witnessed();
  const { id, sender, recipient } = await running();
  const admin = await createUser(app(), 'watching admin', 0, ['ADMIN']);
  const watching = [sender, recipient, recipient, admin].map((as) => app().watch(watchStream, { id }, as));
  for (const watched of watching) await watched.event('StreamUpdated');
  clock.advance(hourMs);
  for (const watched of watching) await until('a tick', () => ticksOf(watched).length === 2);
  const [first] = watching as [Received];
  expect(ticksOf(first)[1]).toMatchObject({
    withdrawableSats: 100,
    percentComplete: 10,
    stream: { id, withdrawableSats: 100, percentComplete: 10 },
  });
  // The same event for all, made once; its cursor is that of the event before.
  for (const watched of watching) expect(ticksOf(watched)[1]?.id).toBe(ticksOf(first)[1]?.id);
  expect(ticksOf(first)[1]?.cursor).toBe(first.events[0]?.cursor);
  await aRoundLater(witness);
  const before = ticksOf(first).length;
  const withdrawn = await doCommand(app(), 'withdrawFromStream', { streamId: id, amountSats: 40 }, recipient);
  await until('a tick behind the withdrawal', () => ticksOf(first).length > before);
  expect(ticksOf(first).at(-1)).toMatchObject({ withdrawableSats: withdrawn.withdrawableSats });
  expect(first.events.map(({ __typename }) => __typename).at(-2)).toBe('StreamWithdrawn');
  // None of it is kept.
  const rows = await app().services.feeds.log.readPage(`stream:${id}`, 0, 100);
  expect(rows.map(({ event }) => event.type)).toEqual(['StreamCreated', 'StreamWithdrawn']);
});

it('tells nothing while nothing vests: before the start, in a pause, and behind the end', async () => {
  const witness = await witnessed();
  const startsAt = new Date(clock.now() + 5 * hourMs).toISOString();
  const scheduled = await running({ startsAt });
  const { id, sender } = await running();
  const [early, watched] = [
    app().watch(watchStream, { id: scheduled.id }, scheduled.sender),
    app().watch(watchStream, { id }, sender),
  ];
  await watched.event('StreamUpdated');
  await doCommand(app(), 'pauseStream', { streamId: id }, sender);
  await watched.event('StreamPaused');
  const before = ticksOf(watched).length;
  clock.advance(hourMs);
  await aRoundLater(witness);
  expect(ticksOf(watched)).toHaveLength(before);
  expect(ticksOf(early)).toEqual([]);
  await doCommand(app(), 'resumeStream', { streamId: id }, sender);
  await until('a tick', () => ticksOf(watched).length > before);
  await doCommand(app(), 'cancelStream', { streamId: id }, sender);
  await watched.event('StreamCancelled');
  const last = ticksOf(watched).length;
  await aRoundLater(witness);
  expect(ticksOf(watched)).toHaveLength(last);
  expect(typesOf(watched)).toEqual(['StreamPaused', 'StreamResumed', 'StreamCancelled']);
});

it('reads and makes nothing while nobody watches', async () => {
  const witness = await witnessed();
  const { id, sender } = await running();
  const watched = app().watch(watchStream, { id }, sender);
  await watched.event('StreamUpdated');
  const topics = () => [...app().hub.watched('stream')].map(({ topic }) => topic);
  expect(topics()).toContain(`stream:${id}`);
  watched.unsubscribe();
  await until('it to have left', () => !topics().includes(`stream:${id}`));
  const told = watched.events.length;
  await aRoundLater(witness);
  expect(watched.events).toHaveLength(told);
});

it('tells of a stream by blocks when one has come', async () => {
  const witness = await witnessed();
  await reach(app(), 100);
  const { id, recipient } = await running({ clock: 'BLOCK', endsAt: null, endBlock: 110 });
  const watched = app().watch(watchStream, { id }, recipient);
  await watched.event('StreamUpdated');
  clock.advance(hourMs);
  await aRoundLater(witness);
  expect(ticksOf(watched)).toHaveLength(1);
  await reach(app(), 103);
  await until('a tick', () => ticksOf(watched).length === 2);
  expect(ticksOf(watched)[1]).toMatchObject({ withdrawableSats: 300, percentComplete: 30 });
});
