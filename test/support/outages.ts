import { randomUUID } from 'node:crypto';
import type { RedisServer } from '../../scripts/lib/redis-server.ts';
import type { As, Clients, Json } from './clients.ts';
import { debitSession, openSession } from './operations.ts';
import { until } from './until.ts';

/** A way in which Redis fails, for as long as it is told to. */
export interface Outage {
  readonly name: string;
  /** Begins it; answers how to end it. */
  begin(redis: RedisServer): Promise<() => Promise<void>>;
}

/** Every way in which Redis fails that shows different things to its clients. */
export const outages: readonly Outage[] = [
  {
    name: 'Redis killed and restarted',
    async begin(redis) {
      await redis.kill();
      return () => redis.start();
    },
  },
  {
    name: 'Redis paused',
    async begin(redis) {
      redis.pause();
      return async () => redis.resume();
    },
  },
  {
    name: 'subscriber connections killed, again and again',
    async begin(redis) {
      let killing: Promise<unknown> = redis.killSubscribers();
      const again = setInterval(() => {
        killing = killing.then(() => redis.killSubscribers());
      }, 100);
      return async () => {
        clearInterval(again);
        await killing;
      };
    },
  },
];

/** What subscribers of both nodes saw of debits that were made on one of them. */
export interface Watched {
  readonly sessionId: string;
  readonly as: As;
  /** What each subscriber got, in the order in which it came. */
  readonly seen: ReadonlyArray<{ readonly node: 'same' | 'other'; readonly events: readonly Json[] }>;
  /** From sending the debit to its event on the other node, by when it was sent; ms. */
  readonly delays: {
    readonly before: readonly number[];
    readonly during: readonly number[];
    readonly after: readonly number[];
  };
}

interface Where {
  /** The node that the debits are sent to. */
  readonly writing: Clients;
  readonly other: Clients;
  readonly redis: RedisServer;
}

const debitsPerSecond = 100;
/** How long it is watched with Redis there, before and after; ms. */
const calmMs = 1_000;

/** Debits a session 100 times a second, before, during and after an outage, and watches it on both nodes. */
export async function watchThrough(
  { writing, other, redis }: Where,
  outage: Outage,
  forMs: number,
): Promise<Watched> {
  const as = { token: await writing.token('walter') };
  const service = { token: await writing.token('meter', ['SERVICE']) };
  const { session } = await openSession(writing, 10_000, as);
  await writing.pay(session.depositInvoice.paymentHash);

  const delays = { before: [] as number[], during: [] as number[], after: [] as number[] };
  const sent = new Map<string, { at: number; phase: keyof typeof delays }>();
  const watch = (node: 'same' | 'other', { socket }: Clients) => {
    const events: Json[] = [];
    const query = `subscription ($id: ID!) { sessionUpdated(id: $id, after: "START") {
      id cursor ... on SessionDebited { memo }
    } }`;
    const stop = socket(as).subscribe(
      { query, variables: { id: session.id } },
      {
        next({ data }) {
          const event: Json = data?.sessionUpdated;
          events.push(event);
          const debit = sent.get(event.memo);
          if (debit && node === 'other') delays[debit.phase].push(performance.now() - debit.at);
        },
        error: (error) => events.push(error),
        complete: () => {},
      },
    );
    return { node, events, stop };
  };
  const subscribers = [watch('same', writing), watch('other', other)];
  await until('both to be there', () => subscribers.every(({ events }) => events.length > 0));

  let phase: keyof typeof delays = 'before';
  const answers: Array<Promise<unknown>> = [];
  const debiting = setInterval(() => {
    const memo = String(answers.length);
    sent.set(memo, { at: performance.now(), phase });
    const input = { sessionId: session.id, amountSats: 1, memo, idempotencyKey: randomUUID() };
    answers.push(writing.ask(debitSession, { input }, service));
  }, 1_000 / debitsPerSecond);
  const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  await pass(calmMs);
  phase = 'during';
  const end = await outage.begin(redis);
  await pass(forMs);
  await end();
  phase = 'after';
  await pass(calmMs);
  clearInterval(debiting);
  await Promise.all(answers);
  await until('the last debit everywhere', () =>
    subscribers.every(({ events }) => events.length > answers.length),
  );
  for (const { stop } of subscribers) stop();
  return { sessionId: session.id, as, seen: subscribers, delays };
}
