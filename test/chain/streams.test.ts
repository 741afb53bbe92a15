import { expect, it, onTestFinished } from 'vitest';
import { startTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { startCore } from '../support/core.ts';
import { doCommand, readStream } from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser, walletOf } from '../support/wallets.ts';

it('has streams by blocks vest, and end, as the chain grows', async () => {
  const core = await startCore();
  onTestFinished(() => core.stop());
  core.mine(10);
  const app = await startTestApp(core.env);
  await until('the tip', async () => (await app.send('{ chainTip { hash } }')).data);
  const [sender, recipient] = [await createUser(app, 'sender', 1_000), await createUser(app, 'recipient')];
  const { id } = await doCommand(
    app,
    'createStream',
    { recipientId: recipient.id, amountSats: 400, clock: 'BLOCK', startBlock: 10, endBlock: 14 },
    sender,
  );
  const shown = async (): Promise<Json> => (await app.ask(readStream, { id }, recipient)).stream;
  core.mine();
  await until('a quarter', async () => (await shown()).vestedSats === 100);
  // What a reorganisation takes off was vested all the same.
  core.mine();
  await until('a half', async () => (await shown()).vestedSats === 200);
  core.reorganise(2, 0);
  core.mine(4);
  await until('the end', async () => (await walletOf(app, recipient.id)) === 400);
  expect(await shown()).toMatchObject({ state: 'DEPLETED' });
});
