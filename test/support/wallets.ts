import type { TestApp } from './app.ts';
import type { Json } from './clients.ts';

/** Gives a user sats, as if they had been deposited. */
export async function fund(
  { services }: Pick<TestApp, 'services'>,
  userId: string,
  sats: number,
): Promise<void> {
  const { db, ledger } = services;
  made += 1;
  const key = `test:${process.pid}:${made}:${userId}`;
  await db.transaction((tx) =>
    ledger.transfer(tx, {
      key,
      from: 'lightning',
      to: `wallet:${userId}`,
      amount: BigInt(sats),
      reason: 'DEPOSIT',
    }),
  );
}

let made = 0;

/** A user of their own with a token that lasts for a year, as clocks of tests jump, and sats in the wallet. */
export async function createUser(
  app: Pick<TestApp, 'services' | 'token' | 'ask'>,
  name: string,
  sats = 0,
  roles: readonly string[] = ['USER'],
): Promise<{ readonly id: string; readonly token: string }> {
  const token = await app.token(name, roles, 365 * 86_400);
  const { viewer }: Json = await app.ask('{ viewer { user { id } } }', {}, { token });
  if (sats > 0) await fund(app, viewer.user.id, sats);
  return { id: viewer.user.id, token };
}

/** What is in a user's wallet; sats. */
export async function walletOf({ services }: Pick<TestApp, 'services'>, userId: string): Promise<number> {
  return Number(await services.ledger.balance(services.db, `wallet:${userId}`));
}
