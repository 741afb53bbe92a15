import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { Agent } from '../../src/jobs/agent/agent.ts';
import { useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { historyOf } from '../support/history.ts';
import { createJob, debitSession, key, openSession, watchJob, watchSession } from '../support/operations.ts';
import { seededRandom } from '../support/random.ts';
import { type Relay, startRelay } from '../support/relay.ts';
import { type Resuming, resumingEventSource, resumingSocket } from '../support/resuming.ts';
import { until } from '../support/until.ts';

/** Works for as long as a test wants, and says all the time how far it is. */
const agent: Agent & { finished: Set<string> } = {
  finished: new Set(),
  evaluate: async () => ({ accepted: true, workPriceSats: 50n }),
  async work({ jobId }, onProgress, signal) {
    for (let n = 0; !agent.finished.has(jobId); n += 1) {
      onProgress({ percent: n % 100, message: `Step ${n}.` });
      await pause(4, undefined, { signal });
    }
    return { done: true, result: 'Done.' };
  },
};

const app = useTestApp({}, { agent });
const relays: Relay[] = [];

afterAll(async () => {
  for (const relay of relays) await relay.close();
});

const isKept = ({ __typename }: Json) => __typename !== 'JobProgressed';

/** That a subscriber has been told exactly the history, whatever was not kept beside it. */
async function expectWhole(subscriber: Resuming, history: readonly Json[]): Promise<void> {
  await until('the last event', () => subscriber.events.some(({ id }) => id === history.at(-1).id));
  const places = (events: readonly Json[]) =>
    events.map(({ __typename, id, cursor }) => ({ __typename, id, cursor }));
  expect(places(subscriber.events.filter(isKept))).toEqual(places(history));
  expect(subscriber.failures).toEqual([]);
}

/** An open session of a user, and what debits it until it is told to stop. */
async function busySession(owner: string) {
  const as = { token: await app().token(owner) };
  const service = { token: await app().token('meter', ['SERVICE']) };
  const { session } = await openSession(app(), 10_000, as);
  await app().pay(session.depositInvoice.paymentHash);
  let stopped = false;
  let debits = 0;
  async function debit(): Promise<void> {
    while (!stopped) {
      const input = { sessionId: session.id, amountSats: 1, idempotencyKey: key() };
      await app().ask(debitSession, { input }, service);
      debits += 1;
    }
  }
  const debiting = debit();
  return {
    id: session.id as string,
    as,
    async stop(): Promise<number> {
      stopped = true;
      await debiting;
      return debits;
    },
  };
}

describe.concurrent('a client that is cut off 100 times, and resumes behind its last cursor, misses and repeats nothing', () => {
  it('of the debits of a session, over graphql-ws', async (context) => {
    const random = seededRandom(context);
    const session = await busySession('walter');
    const subscriber = resumingSocket(app(), watchSession, session.id, session.as, {
      random,
      longestMs: 60,
      wanted: () => subscriber.cuts < 100,
    });
    await until('100 cuts', () => subscriber.cuts >= 100, 50_000);
    const debits = await session.stop();
    const history = await historyOf(app(), 'session', session.id, session.as);
    expect(history).toHaveLength(debits + 1);
    await expectWhole(subscriber, history);
    expect(subscriber.events.length).toBeGreaterThan(100);
    subscriber.close();
  });

  it('of jobs, with progress flowing that is not kept, over graphql-ws', async (context) => {
    const random = seededRandom(context);
    let cuts = 0;
    let resumedBehindProgress = 0;
    // What a client has seen last when it is cut off is a matter of luck.
    while (cuts < 100 || resumedBehindProgress <= 20) {
      const { job, as } = await createJob(app(), 'Take your time.');
      const subscriber = resumingSocket(app(), watchJob, job.id, as, {
        random,
        longestMs: 50,
        wanted: () => true,
      });
      const progressSeen = () => subscriber.events.filter((event) => !isKept(event)).length;
      await app().pay(job.evalInvoice.paymentHash);
      const evaluated = () => subscriber.events.find(({ __typename }) => __typename === 'JobEvaluated');
      await app().pay((await until('its evaluation', evaluated)).workInvoice.paymentHash);
      const before = subscriber.cuts;
      await until('some progress between cuts', () => progressSeen() > 20 && subscriber.cuts > before + 10);
      agent.finished.add(job.id);
      await until('its end', () => subscriber.events.at(-1)?.__typename === 'JobCompleted');
      await expectWhole(subscriber, await historyOf(app(), 'job', job.id, as));
      subscriber.close();
      cuts += subscriber.cuts;
      resumedBehindProgress += subscriber.resumedBehind.filter((event) => !isKept(event)).length;
    }
  });

  it('of the debits of a session, over SSE with an EventSource', async (context) => {
    const random = seededRandom(context);
    const relay = await startRelay(Number(new URL(app().url).port));
    relays.push(relay);
    relay.cutAfter = () => (relay.cuts < 100 ? random.below(30_000) : undefined);
    const session = await busySession('eva');
    // An EventSource waits for a second before it reconnects: ten of them are cut off ten times each.
    const subscribers = await Promise.all(
      Array.from({ length: 10 }, () =>
        resumingEventSource(app(), relay.through(app().url), watchSession, session.id, session.as),
      ),
    );
    await until('100 cuts', () => relay.cuts >= 100, 50_000);
    const debits = await session.stop();
    const history = await historyOf(app(), 'session', session.id, session.as);
    expect(history).toHaveLength(debits + 1);
    for (const subscriber of subscribers) {
      await expectWhole(subscriber, history);
      expect(subscriber.cuts).toBeGreaterThanOrEqual(5);
      subscriber.close();
    }
  });
});

it('leaves nothing behind, however its connections ended', async () => {
  // One member follows the revocations.
  await until('all to be forgotten', () => app().connections.size === 0 && app().hub.size().members === 1);
  expect(app().hub.size()).toEqual({ topics: 1, members: 1 });
});
