import { expect, it } from 'vitest';
import { createClients } from '../support/clients.ts';
import { historyOf } from '../support/history.ts';
import { debitSession, key, openSession, watchSession } from '../support/operations.ts';
import { serverProcess } from '../support/process.ts';
import { seededRandom } from '../support/random.ts';
import { resumingEventSource, resumingSocket } from '../support/resuming.ts';
import { expectDebitedOnce, expectToldExactly } from '../support/told.ts';
import { until } from '../support/until.ts';

const kills = 5;

it(`tells a subscriber exactly the log, though the server is killed ${kills} times while it is written`, async (context) => {
  const random = seededRandom(context);
  const server = await serverProcess();
  await server.start();
  const clients = createClients(server.url, server.webSocketUrl);
  const as = { token: await clients.token('walter') };
  const service = { token: await clients.token('meter', ['SERVICE']) };
  const { session } = await openSession(clients, 10_000, as);
  await clients.pay(session.depositInvoice.paymentHash);
  const subscribers = [
    resumingSocket(clients, watchSession, session.id, as),
    await resumingEventSource(clients, server.url, watchSession, session.id, as),
  ];

  /** Sends a debit until the server has acknowledged it; the key makes it one, however often it is sent. */
  async function debit(memo: string): Promise<void> {
    const input = { sessionId: session.id, amountSats: 1, memo, idempotencyKey: key() };
    const result = await until(`debit ${memo}`, () =>
      clients.send(debitSession, { input }, service).catch(() => undefined),
    );
    expect(result.errors).toBeUndefined();
  }

  const acknowledged: string[] = [];
  let stopped = false;
  async function keepDebiting(writer: string): Promise<void> {
    for (let n = 0; !stopped; n += 1) {
      await debit(`${writer} ${n}`);
      acknowledged.push(`${writer} ${n}`);
    }
  }
  const writers = [keepDebiting('one'), keepDebiting('two')];

  for (let kill = 0; kill < kills; kill += 1) {
    const enough = acknowledged.length + 2 + random.below(40);
    await until('some debits', () => acknowledged.length >= enough);
    await server.kill();
    await server.start();
    // The next kill waits until everyone is back, so that each is one more cut for each.
    for (const { resumedBehind } of subscribers)
      await until('the subscribers are back', () => resumedBehind.length > kill);
  }
  const settled = acknowledged.length + 20;
  await until('debits after the last kill', () => acknowledged.length >= settled);
  stopped = true;
  await Promise.all(writers);

  const history = await historyOf(clients, 'session', session.id, as);
  expectDebitedOnce(history, 10_000, acknowledged);
  await expectToldExactly(subscribers, history);
  for (const { resumedBehind } of subscribers) expect(resumedBehind.length).toBeGreaterThanOrEqual(kills);
  await clients.dispose();
}, 120_000);
