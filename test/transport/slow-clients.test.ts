import { describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { movableClock } from '../support/clock.ts';
import { createJob, openSession } from '../support/operations.ts';
import { openFrames, type RawFrames } from '../support/raw-frames.ts';
import { waitingFor } from '../support/server-lines.ts';
import { until } from '../support/until.ts';

const watchSession = `subscription ($id: ID!, $after: Cursor) {
  sessionUpdated(id: $id, after: $after) { __typename cursor ... on SessionDebited { balanceAfter memo } }
}`;
const watchDebits = `subscription ($id: ID!, $after: Cursor) {
  sessionDebited(id: $id, after: $after) { cursor balanceAfter memo }
}`;

const memo = 'x'.repeat(1_000);
/** More than a frame of such an event has; bytes. */
const frameBytes = 1_500;
const eventsAtOnce = 100;

/** A session and its owner. */
async function start(env: Record<string, string> = {}) {
  const clock = movableClock();
  const app = await startTestApp(env, { clock });
  const token = await app.token('alice');
  const { session } = await openSession(app, 1_000, { token });
  return { app, clock, token, id: session.id as string };
}

const connect = (app: TestApp, token: string) =>
  openFrames(app.webSocketUrl, { authorization: `Bearer ${token}` });

/** Subscribes five times on one connection, by both of the fields; `after` nothing but the beginning. */
function watch(raw: RawFrames, id: string, after: Readonly<Record<string, string>> = {}): string[] {
  const ids = ['0', '1', '2', '3', '4'];
  raw.say(
    ...ids.map((operation) => ({
      id: operation,
      type: 'subscribe',
      payload: {
        query: Number(operation) % 2 === 0 ? watchSession : watchDebits,
        variables: { id, after: after[operation] ?? 'START' },
      },
    })),
  );
  return ids;
}

const eventsOf = (raw: RawFrames, operation: string): Json[] =>
  raw.of(operation).map(({ payload }) => Object.values(payload.data)[0]);
const numbersOf = (raw: RawFrames, operation: string) =>
  eventsOf(raw, operation).map(({ balanceAfter }) => balanceAfter);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Appends events, numbered, many in each transaction; `between` is called after each of these. */
async function append(
  { services: { db, feeds } }: TestApp,
  sessionId: string,
  first: number,
  last: number,
  between: () => unknown = () => {},
): Promise<void> {
  for (let from = first; from <= last; from += eventsAtOnce) {
    const numbers = Array.from(
      { length: Math.min(eventsAtOnce, last - from + 1) },
      (_, index) => from + index,
    );
    await db.transaction(async (tx) =>
      feeds.log.append(
        tx,
        ...numbers.map((n) => ({
          type: 'SessionDebited',
          facts: { sessionId, debitedSats: 1, balanceAfter: n, memo },
          topics: [`session:${sessionId}`],
        })),
      ),
    );
    await between();
  }
}

async function expectAll(raw: RawFrames, operations: readonly string[], last: number): Promise<void> {
  for (const operation of operations) {
    await until(`all ${last}`, () => raw.of(operation).length >= last);
    expect(numbersOf(raw, operation)).toEqual(upTo(last));
  }
}

describe('a client that stops reading', () => {
  const limit = 65_536;
  const events = 3_000;

  it('has little waiting for it, delays nobody, and gets every event in order when it reads again', async () => {
    const { app, token, id } = await start({ LIMIT_CONNECTION_BYTES: String(limit) });
    const slow = await connect(app, token);
    const neighbour = await connect(app, token);
    const operations = watch(slow, id);
    watch(neighbour, id);
    await append(app, id, 1, 1);
    await expectAll(slow, operations, 1);
    slow.pause();
    const waiting: number[] = [];
    await append(app, id, 2, events, () => waiting.push(waitingFor(slow)));
    await expectAll(neighbour, operations, events);
    waiting.push(waitingFor(slow));
    expect(Math.max(...waiting)).toBeGreaterThan(limit / 2);
    expect(Math.max(...waiting)).toBeLessThanOrEqual(limit + operations.length * frameBytes);
    expect(slow.of('0').length).toBeLessThan(events);
    slow.resume();
    await expectAll(slow, operations, events);
    expect(waitingFor(slow)).toBe(0);
    await append(app, id, events + 1, events + 10);
    for (const raw of [slow, neighbour]) await expectAll(raw, operations, events + 10);
    expect(slow.closeCode).toBeUndefined();
  });

  it('is closed with 1013 when that lasts, and goes on behind its cursors on another connection', async () => {
    const { app, clock, token, id } = await start({ LIMIT_CONNECTION_BYTES: String(limit) });
    const slow = await connect(app, token);
    const operations = watch(slow, id);
    await append(app, id, 1, 1);
    await expectAll(slow, operations, 1);
    const { members } = app.hub.size();
    slow.pause();
    await append(app, id, 2, events);
    await until('it is given up', () => {
      clock.advance(1_000);
      return app.hub.size().members === members - operations.length;
    });
    expect(waitingFor(slow)).toBeLessThanOrEqual(limit + operations.length * frameBytes);
    slow.resume();
    expect(await slow.closed()).toBe(1013);
    await until('it to be counted', async () => {
      const metrics = await fetch(new URL('/metrics', app.url));
      return /^satwire_websocket_dropped_total 1$/m.test(await metrics.text());
    });
    expect(slow.closeReason).toBe('Slow consumer');
    expect(slow.messages.filter(({ type }) => type === 'complete' || type === 'error')).toEqual([]);

    const seen = new Map(operations.map((operation) => [operation, numbersOf(slow, operation)]));
    const cursors = operations.map((operation) => [operation, eventsOf(slow, operation).at(-1)?.cursor]);
    const again = await connect(app, token);
    watch(again, id, Object.fromEntries(cursors));
    for (const operation of operations) {
      const before = seen.get(operation) ?? [];
      expect(before.length).toBeLessThan(events);
      await until('the rest', () => again.of(operation).length >= events - before.length);
      expect([...before, ...numbersOf(again, operation)]).toEqual(upTo(events));
    }
  });

  it('is closed with 1013 when more waits on all sockets than may, and on it the most', async () => {
    const { app, token, id } = await start({
      LIMIT_CONNECTION_BYTES: '0',
      LIMIT_BUFFERED_BYTES: '524288',
    });
    const slow = await connect(app, token);
    const less = await connect(app, token);
    const neighbour = await connect(app, token);
    const operations = watch(slow, id);
    watch(neighbour, id);
    less.say({
      id: '0',
      type: 'subscribe',
      payload: { query: watchSession, variables: { id, after: 'START' } },
    });
    await append(app, id, 1, 1);
    await expectAll(slow, operations, 1);
    slow.pause();
    less.pause();
    await append(app, id, 2, 2_000);
    await expectAll(neighbour, operations, 2_000);
    slow.resume();
    expect(await slow.closed()).toBe(1013);
    less.resume();
    await expectAll(less, ['0'], 2_000);
    expect([less.closeCode, neighbour.closeCode]).toEqual([undefined, undefined]);
  });

  it('gets of events that are not kept the latest, and at most one of those before', async () => {
    const { app, token, id } = await start({ LIMIT_CONNECTION_BYTES: String(limit), AGENT: 'external' });
    const service = { token: await app.token('worker', ['SERVICE']) };
    const { job } = await createJob(app, 'Take your time.', { token });
    await app.pay(job.evalInvoice.paymentHash);
    const claim = 'mutation ($input: ClaimAgentJobInput!) { claimAgentJob(input: $input) { job { id } } }';
    await until('the job is due', async () => {
      const { data } = await app.send(claim, { input: { jobId: job.id } }, service);
      return data?.claimAgentJob?.job;
    });
    const slow = await connect(app, token);
    const operations = watch(slow, id);
    const watchJob =
      'subscription ($id: ID!) { jobUpdated(id: $id) { __typename ... on JobProgressed { percent } } }';
    slow.say({ id: 'job', type: 'subscribe', payload: { query: watchJob, variables: { id: job.id } } });
    await append(app, id, 1, 1);
    await expectAll(slow, operations, 1);
    await until('the snapshot', () => slow.of('job').length === 1);
    slow.pause();
    await append(app, id, 2, 3_000);
    await until('all waits', () => waitingFor(slow) >= limit);
    const report = 'mutation ($input: ReportProgressInput!) { reportProgress(input: $input) { __typename } }';
    for (let percent = 1; percent <= 50; percent += 1)
      await app.ask(report, { input: { jobId: job.id, percent } }, service);
    slow.resume();
    await expectAll(slow, operations, 3_000);
    await until('the progress', () => slow.of('job').length > 1);
    await app.ask(report, { input: { jobId: job.id, percent: 51 } }, service);
    await until('the next', () => eventsOf(slow, 'job').at(-1).percent === 51);
    const [, ...told] = eventsOf(slow, 'job').map(({ percent }) => percent);
    expect(told.slice(-2)).toEqual([50, 51]);
    expect(told.length).toBeLessThanOrEqual(3);
  });
});
