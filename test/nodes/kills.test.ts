import { expect, it } from 'vitest';
import { createClients } from '../support/clients.ts';
import { historyOf } from '../support/history.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { type Node, startNodes } from '../support/nodes.ts';
import { createJob, debitSession, key, openSession, watchSession } from '../support/operations.ts';
import { seededRandom } from '../support/random.ts';
import { startRelay } from '../support/relay.ts';
import { resumingEventSource, resumingSocket } from '../support/resuming.ts';
import { expectDebitedOnce, expectToldExactly } from '../support/told.ts';
import { until } from '../support/until.ts';

const kills = 4;

it('goes on with one node when the other is killed in the middle of everything', async (context) => {
  const random = seededRandom(context);
  const { one, two, db } = await startNodes({ AGENT_STUB_STEP_MS: '60' });
  const alive: Node[] = [one, two];
  // In front of the nodes, as a load balancer is: new connections go to whichever lives.
  const balancer = await startRelay(() => alive[random.below(alive.length)]?.port as number);
  context.onTestFinished(() => balancer.close());
  const url = balancer.through(one.url);
  const clients = createClients(url, balancer.through(one.webSocketUrl));
  context.onTestFinished(() => clients.dispose());

  /** Sends until there is an answer; a key makes it one request, however often it is sent. */
  const insist = <Answer>(what: string, send: () => Promise<Answer>) =>
    until(what, () => send().catch(() => undefined));

  const as = { token: await one.token('walter') };
  const service = { token: await one.token('meter', ['SERVICE']) };
  const { session } = await openSession(clients, 10_000, as);
  await clients.pay(session.depositInvoice.paymentHash);
  const subscribers = [
    ...Array.from({ length: 4 }, () => resumingSocket(clients, watchSession, session.id, as)),
    await resumingEventSource(clients, url, watchSession, session.id, as),
  ];

  const acknowledged: string[] = [];
  const jobs: string[] = [];
  let stopped = false;
  context.onTestFinished(() => {
    stopped = true;
  });
  async function keepDebiting(writer: string): Promise<void> {
    for (let n = 0; !stopped; n += 1) {
      const memo = `${writer} ${n}`;
      const input = { sessionId: session.id, amountSats: 1, memo, idempotencyKey: key() };
      const { errors } = await insist(memo, () => clients.send(debitSession, { input }, service));
      expect(errors).toBeUndefined();
      acknowledged.push(memo);
    }
  }
  async function keepCreatingJobs(): Promise<void> {
    while (!stopped) {
      const { job } = await insist('a job', () => createJob(clients, 'Take your time.', service));
      await insist('its payment', () => clients.pay(job.evalInvoice.paymentHash).then(() => true));
      const workInvoice = await until('its evaluation', () => workInvoiceOf(job.id));
      await insist('its payment', () => clients.pay(workInvoice).then(() => true));
      jobs.push(job.id);
    }
  }
  async function workInvoiceOf(id: string): Promise<string | null | undefined> {
    const rows = await db.query<{ hash: string | null }>(
      'SELECT work_invoice AS hash FROM agent_jobs WHERE id = $1',
      [id],
    );
    return rows[0]?.hash;
  }
  const writers = [keepDebiting('one'), keepDebiting('two'), keepCreatingJobs(), keepCreatingJobs()];

  for (let kill = 0; kill < kills; kill += 1) {
    const enough = acknowledged.length + 20 + random.below(40);
    await until('some debits', () => acknowledged.length >= enough);
    const victim = kill % 2 === 0 ? one : two;
    alive.splice(alive.indexOf(victim), 1);
    await victim.kill();
    const goingOn = acknowledged.length + 20;
    await until('debits with the other alone', () => acknowledged.length >= goingOn);
    await victim.start();
    alive.push(victim);
  }
  stopped = true;
  await Promise.all(writers);

  const history = await historyOf(clients, 'session', session.id, as);
  expectDebitedOnce(history, 10_000, acknowledged);
  await expectToldExactly(subscribers, history);
  expect(subscribers.some(({ resumedBehind }) => resumedBehind.length > 0)).toBe(true);

  // What a dead node had begun is done by the other; each job was paid for, and done, once.
  expect(jobs.length).toBeGreaterThan(0);
  await until('all jobs to be done', async () => {
    const open = await db.query(`SELECT 1 FROM agent_jobs WHERE id = ANY($1) AND state <> 'COMPLETE'`, [
      jobs,
    ]);
    return open.length === 0;
  });
  const done = await db.query<{ topic: string; count: bigint }>(
    `SELECT p.topic, count(*) AS count FROM topic_events p JOIN events e ON e.id = p.event_id
     WHERE e.type = 'JobCompleted' AND p.topic = ANY($1) GROUP BY p.topic`,
    [jobs.map((id) => `job:${id}`)],
  );
  expect(done.map(({ count }) => count)).toEqual(jobs.map(() => 1n));
  await expectMoneyAddsUp(db);
}, 180_000);
