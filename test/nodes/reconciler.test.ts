import { expect, it, onTestFinished } from 'vitest';
import { createClients } from '../support/clients.ts';
import { createLnbitsWorld } from '../support/lnbits-app.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { startNodes } from '../support/nodes.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { until } from '../support/until.ts';

it('is on one node, and moves to another when that is killed', async () => {
  const world = await createLnbitsWorld();
  const { one, two, db } = await startNodes({ ...world.env, AGENT: 'external' });
  world.lnbits.faults.noPush = true;
  world.lnbits.faults.noWebhook = true;
  const as = await world.as('alice');
  const { lnbits } = world;

  const jobs = [];
  for (let n = 0; n < 4; n += 1) jobs.push((await createJob(one, 'Wait.', as)).job);
  const lookUps = () => lnbits.requests.filter(({ method }) => method === 'GET').length;
  const holders = async () =>
    (
      await db.query<{ holder: string | null }>(
        `SELECT holder FROM work WHERE kind = 'invoice.reconcile' AND leased_until > now()`,
      )
    ).map(({ holder }) => holder);

  /** Has a payment that nobody is told of found by whichever node reconciles. */
  async function payUnheard(job: { id: string; evalInvoice: { paymentHash: string } }, on: typeof one) {
    const clients = createClients(on.url, on.webSocketUrl);
    onTestFinished(() => clients.dispose());
    const watched = clients.watch(watchJob, { id: job.id, after: 'START' }, as);
    await lnbits.pay(job.evalInvoice.paymentHash);
    await watched.event('JobPaymentConfirmed');
  }

  await payUnheard(jobs[0], one);
  await payUnheard(jobs[1], two);
  const [first] = await until('one holder', async () => {
    const found = await holders();
    return found.length === 1 ? found : undefined;
  });
  // Whichever it is, one of the two kills takes it away from its node.
  await one.kill();
  await payUnheard(jobs[2], two);
  await one.start();
  await two.kill();
  await payUnheard(jobs[3], one);
  expect((await holders())[0]).not.toBe(first);
  expect(lookUps()).toBeGreaterThan(0);
  await expectMoneyAddsUp(db);
}, 120_000);
