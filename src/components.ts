import { createCore } from './chain/core/core.ts';
import { createSignals } from './chain/core/signals.ts';
import { createDemoChain } from './chain/demo.ts';
import type { ChainSource } from './chain/source.ts';
import type { Config } from './config.ts';
import type { Inbox } from './inbox/inbox.ts';
import type { Agent } from './jobs/agent/agent.ts';
import { createHttpAgent } from './jobs/agent/http.ts';
import { createStubAgent } from './jobs/agent/stub.ts';
import { migrations } from './migrations.ts';
import type { LightningBackend } from './money/lightning/backend.ts';
import { createLnbits } from './money/lightning/lnbits.ts';
import { createLnbitsPayer } from './money/lightning/lnbits-payer.ts';
import type { LightningPayer } from './money/lightning/payer.ts';
import { createStubLightning, type StubLightning } from './money/lightning/stub.ts';
import type { Bus } from './platform/bus/bus.ts';
import { createInProcessBus } from './platform/bus/in-process.ts';
import { createRedisBus } from './platform/bus/redis.ts';
import type { Clock } from './platform/clock.ts';
import type { Database } from './platform/database/database.ts';
import { migrate } from './platform/database/migrate.ts';
import { openPglite } from './platform/database/pglite.ts';
import { openPostgres } from './platform/database/postgres.ts';

/** What a test puts in the place of the real thing. */
export interface Replacements {
  readonly clock?: Clock;
  readonly agent?: Agent;
  /** Stands between the server and the stub Lightning backend. */
  readonly lightning?: (stub: StubLightning) => StubLightning;
  /** A domain that registers with the inbox, before anything is processed. */
  readonly domain?: (inbox: Inbox) => void;
  /** A folder made by initdb, copied at the first start. */
  readonly databaseImage?: string;
}

/** The agent that does jobs here; undefined when services from outside claim them. */
export function configuredAgent(config: Config, secret: Uint8Array, clock: Clock): Agent | undefined {
  if (config.agent === 'external') return undefined;
  if (config.agent === 'http' && config.agentUrl)
    return createHttpAgent({
      url: config.agentUrl,
      secret,
      timeoutMs: config.agentTimeoutSeconds * 1000,
      clock,
    });
  return createStubAgent({ stepMs: config.agentStubStepMs });
}

/** Opens the database, and brings it to the newest form. */
export async function openDatabase(
  { dataDir, databaseUrl: url, databasePoolSize: poolSize }: Config,
  { databaseImage }: Replacements,
  onError: (error: unknown) => void,
): Promise<Database> {
  const db =
    url === undefined ? await openPglite(dataDir, databaseImage) : openPostgres({ url, poolSize, onError });
  const migrating = url === undefined ? db : openPostgres({ url, poolSize: 2, isPatient: true, onError });
  try {
    await migrate(migrating, migrations);
  } catch (error) {
    await db.close();
    throw error;
  } finally {
    if (migrating !== db) await migrating.close();
  }
  return db;
}

/** The bus: nodes of one database are among themselves. */
export async function openBus(
  { redisUrl }: Config,
  db: Database,
  reporting: Omit<Parameters<typeof createRedisBus>[0], 'url' | 'prefix'>,
): Promise<Bus> {
  if (redisUrl === undefined) return createInProcessBus(db.exclusive);
  const [info] = await db.query<{ epoch: string }>('SELECT epoch FROM database_info');
  return createRedisBus({ url: new URL(redisUrl), prefix: `satwire:${info?.epoch}:`, ...reporting });
}

/** The chain that is followed, if any. */
export function openChain(
  { bitcoindRpcUrl: url, bitcoindCookieFile: cookieFile, ...config }: Config,
  clock: Clock,
  reporting: Pick<Parameters<typeof createSignals>[0], 'onGap' | 'onError'>,
): ChainSource | undefined {
  if (config.chain === 'demo') return createDemoChain(clock);
  if (url === undefined) return undefined;
  const { bitcoindZmqHashblock: hashblock, bitcoindZmqSequence: sequence } = config;
  const isTold = (hashblock ?? sequence) !== undefined;
  const watch = isTold ? createSignals({ hashblock, sequence, ...reporting }) : undefined;
  return createCore({ url, cookieFile, watch });
}

interface Lightning {
  readonly lightning: LightningBackend;
  /** Absent where nothing is paid out. */
  readonly payer: LightningPayer | undefined;
  readonly stubLightning: StubLightning | undefined;
}

/** The Lightning backend, under its own type where it is the stub. */
export function openLightning(
  { lnbitsUrl: url, lnbitsInvoiceKey, lnbitsAdminKey: adminKey }: Config,
  db: Database,
  clock: Clock,
  replaced: Replacements,
  onError: (error: unknown) => void,
): Lightning {
  if (url) {
    const invoiceKey = lnbitsInvoiceKey as string;
    return {
      lightning: createLnbits({ url, invoiceKey, clock, onError }),
      payer: adminKey === undefined ? undefined : createLnbitsPayer({ url, invoiceKey, adminKey, clock }),
      stubLightning: undefined,
    };
  }
  const stub = createStubLightning({ db, clock });
  const stubLightning = replaced.lightning?.(stub) ?? stub;
  return { lightning: stubLightning, payer: stubLightning.payer, stubLightning };
}
