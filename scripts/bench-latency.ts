import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { createTokenIssuer } from '../src/platform/auth/tokens.ts';
import { systemClock } from '../src/platform/clock.ts';
import { createClients } from '../test/support/clients.ts';
import { startLnbits } from '../test/support/lnbits.ts';
import { openSession } from '../test/support/operations.ts';
import { until } from '../test/support/until.ts';
import { distribution } from './lib/distribution.ts';
import { smallestQueryMs } from './lib/smallest-query.ts';
import { startTwoNodes } from './lib/two-nodes.ts';

/**
 * How long after LNbits has booked a payment its event is on a WebSocket of the other node: when LNbits pushes
 * it, when it posts the webhook alone, and when it says nothing and the reconciler finds it, with 10 invoices
 * open all the time.
 */
const PAYMENTS = 100;
const OPEN_AT_A_TIME = 10;

const lnbits = await startLnbits();
const secret = randomBytes(32).toString('hex');
const nodes = await startTwoNodes((port) => ({
  LNBITS_URL: lnbits.url,
  LNBITS_INVOICE_KEY: lnbits.invoiceKey,
  JWT_SECRET: secret,
  PUBLIC_URL: `http://127.0.0.1:${port}`,
}));
const [one, two] = [nodes.one, nodes.two].map(({ url }) =>
  createClients(`${url}/graphql`, `${url.replace('http', 'ws')}/graphql`),
) as [ReturnType<typeof createClients>, ReturnType<typeof createClients>];
const issuer = createTokenIssuer({ secret: Buffer.from(secret), clock: systemClock });
const as = { token: await issuer.issue({ subject: 'latency', roles: ['USER'], expiresInSeconds: 3_600 }) };
await until('the push to be open', () => lnbits.sockets.count(lnbits.invoiceKey) > 0);

/** Opens a session and watches it on the other node; answers what pays it and measures until its event. */
async function openWatched() {
  const { session } = await openSession(one, 1_000, as);
  let arrived = (_at: number) => {};
  const arrival = new Promise<number>((resolve) => {
    arrived = resolve;
  });
  let isWatching = false;
  const stop = two.socket(as, { lazy: false }).subscribe<{ sessionUpdated: { __typename: string } }>(
    {
      query: 'subscription ($id: ID!) { sessionUpdated(id: $id) { __typename } }',
      variables: { id: session.id },
    },
    {
      next({ data }) {
        const { __typename } = data?.sessionUpdated ?? {};
        if (__typename === 'SessionActivated') arrived(performance.now());
        isWatching = true;
      },
      error: (error) => console.error(error),
      complete: () => {},
    },
  );
  await until('the subscription', () => isWatching);
  return async (how: { push: boolean; webhook: boolean }): Promise<number> => {
    const paid = performance.now();
    lnbits.pay(session.depositInvoice.paymentHash, how).catch(console.error);
    const took = (await arrival) - paid;
    stop();
    return took;
  };
}

async function measure(how: { push: boolean; webhook: boolean }): Promise<number[]> {
  const waiting = [];
  for (let n = 0; n < OPEN_AT_A_TIME; n += 1) waiting.push(await openWatched());
  const times: number[] = [];
  while (times.length < PAYMENTS) {
    // Any moment between two rounds of the reconciler is as likely as another.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 250));
    times.push((await waiting.shift()?.(how)) as number);
    waiting.push(await openWatched());
  }
  for (const pay of waiting) await pay({ push: true, webhook: true });
  return times;
}

const base = await smallestQueryMs(one);
const rows = [];
for (const [what, how] of [
  ['LNbits pushes', { push: true, webhook: false }],
  ['LNbits posts its webhook', { push: false, webhook: true }],
  ['the reconciler alone', { push: false, webhook: false }],
] as const)
  rows.push(distribution(what, await measure(how), base));
console.log(`the smallest query: ${base.toFixed(1)} ms`);
console.table(rows);
await Promise.all([one.dispose(), two.dispose()]);
await nodes.stop();
await lnbits.close();
