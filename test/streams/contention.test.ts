import { beforeAll, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import type { Result } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { newPerson, type Person, startStream, withdrawFromStream } from '../support/marketplace.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import { fund, walletOf } from '../support/wallets.ts';

const clock = standingClock(Math.floor(Date.now() / 1_000) * 1_000);
const app = useTestApp({ AGENT: 'external', LIMIT_MUTATIONS_PER_MINUTE: '0' }, { clock });

let sender: Person;
let recipient: Person;
beforeAll(async () => {
  sender = await newPerson(app(), 1_000_000);
  recipient = await newPerson(app(), 5);
});

/** A stream of 1,000 sats, of which half has vested. */
const start = () =>
  startStream(app(), sender, recipient.id, {
    amountSats: 1_000,
    startsAt: new Date(clock.now() - 50_000),
    endsAt: new Date(clock.now() + 50_000),
  });

const take = (streamId: string, amountSats: number) =>
  app().send(withdrawFromStream, { input: { streamId, amountSats, idempotencyKey: key() } }, recipient);

const isDone = ({ errors }: Result) => errors === undefined;

it('is paid out to the last sat that has vested by many at once, while other money comes into the wallet', async () => {
  const streams = await Promise.all([start(), start(), start()]);
  const before = await walletOf(app(), recipient.id);
  const funded = Array.from({ length: 20 }, () => fund(app(), recipient.id, 7));
  const answers = await Promise.all(
    streams.flatMap((streamId) => Array.from({ length: 60 }, () => take(streamId, 10))),
  );
  await Promise.all(funded);
  expect(answers.filter(isDone)).toHaveLength(150);
  expect(await walletOf(app(), recipient.id)).toBe(before + 3 * 500 + 20 * 7);
  await expectMoneyAddsUp(app().services.db);
  // Each transfer has found on the wallet what the one before it has left there.
  const rows = await app().services.db.query<{ after: bigint; change: bigint }>(
    `SELECT CASE WHEN to_account = $1 THEN to_balance ELSE from_balance END AS after,
       CASE WHEN to_account = $1 THEN amount_sats ELSE -amount_sats END AS change
     FROM transfers WHERE $1 IN (from_account, to_account) ORDER BY id`,
    [`wallet:${recipient.id}`],
  );
  let balance = 0n;
  for (const { after, change } of rows) {
    balance += change;
    expect(after).toBe(balance);
  }
});
