import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { freePort } from '../../scripts/lib/server.ts';
import type { Role } from '../../src/platform/auth/tokens.ts';
import { createTokenIssuer } from '../../src/platform/auth/tokens.ts';
import { type Clock, systemClock } from '../../src/platform/clock.ts';
import { startTestApp, type TestApp, temporaryFolder } from './app.ts';
import type { As } from './clients.ts';
import type { LnbitsVersion } from './lnbits/shapes.ts';
import { type FakeLnbits, startLnbits } from './lnbits.ts';
import { createTestDatabase } from './postgres.ts';

/** Servers with a wallet of a fake LNbits, on one database however often they are started. */
export interface LnbitsWorld {
  readonly lnbits: FakeLnbits;
  /** What a server's environment needs for it, but for a database. */
  readonly env: Readonly<Record<string, string>>;
  /** Starts a server, with changes of its environment. */
  start(changes?: Readonly<Record<string, string>>): Promise<TestApp>;
  /** The credentials of a user; there are no development tokens here. */
  as(subject: string, roles?: readonly Role[]): Promise<As>;
  /** What must never be logged: keys, preimages, and the tokens of webhooks. */
  secrets(): string[];
}

interface Options {
  readonly version?: LnbitsVersion;
  readonly clock?: Clock;
  readonly env?: Readonly<Record<string, string>>;
}

export async function createLnbitsWorld(options: Options = {}): Promise<LnbitsWorld> {
  const { version = '1.5', clock = systemClock, env = {} } = options;
  const [lnbits, database, port] = await Promise.all([
    startLnbits({ version, clock }),
    createTestDatabase(),
    freePort(),
  ]);
  onTestFinished(async () => {
    await lnbits.close();
    await database.drop();
  });
  const secret = randomBytes(32).toString('hex');
  const issuer = createTokenIssuer({ secret: Buffer.from(secret), clock });
  const all = {
    LNBITS_URL: lnbits.url,
    LNBITS_INVOICE_KEY: lnbits.invoiceKey,
    LNBITS_ADMIN_KEY: lnbits.adminKey,
    JWT_SECRET: secret,
    ...env,
  };
  return {
    lnbits,
    env: all,
    start: async (changes = {}) =>
      startTestApp(
        {
          ...all,
          ...changes,
          DATABASE_URL: database.url,
          DATA_DIR: await temporaryFolder(),
          PORT: String(port),
          PUBLIC_URL: `http://127.0.0.1:${port}`,
        },
        { clock },
      ),
    async as(subject, roles = ['USER']) {
      return { token: await issuer.issue({ subject, roles, expiresInSeconds: 30 * 86_400 }) };
    },
    secrets: () => [
      lnbits.invoiceKey,
      lnbits.adminKey,
      secret,
      ...[...lnbits.invoices.values()].flatMap(({ preimage, webhook }) => [
        preimage,
        ...(webhook ? [new URL(webhook).pathname.split('/').at(-1) as string] : []),
      ]),
    ],
  };
}
