import { type App, startApp } from './app.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { ManifestError } from './graphql/trusted-documents.ts';
import { WrongWalletError } from './money/lightning/payer.ts';
import { FolderLockedError } from './platform/database/folder-lock.ts';
import { DatabaseTooNewError } from './platform/database/migrate.ts';
import { PublicError } from './platform/errors.ts';
import { createLogger, type Logger } from './platform/telemetry/logger.ts';

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const logger = createLogger(config.logLevel);
  const app = await startApp(config, logger);
  announce(app, config);
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      stop(app, logger, signal);
    });
}

function stop(app: App, logger: Logger, signal: string): void {
  logger.info({ signal }, 'draining');
  app.stop().then(
    () => process.exit(0),
    (error) => {
      logger.fatal({ err: error }, 'the shutdown failed');
      process.exit(1);
    },
  );
}

/** Says, to whoever sits in front of it, what runs here, and that its money is not real. */
function announce({ url, webSocketUrl, agent }: App, config: Config): void {
  const base = url.replace(/graphql$/, '');
  const lines = [
    '',
    '  Satwire is ready.',
    '',
    `  GraphQL    ${url}   (GraphiQL in a browser)`,
    `  WebSocket  ${webSocketUrl ?? 'switched off'}`,
    `  Health     ${base}health  ${base}ready  ${base}metrics`,
    `  Database   ${config.databaseUrl === undefined ? `embedded, in ${config.dataDir}` : 'Postgres'}`,
    `  Bus        ${config.redisUrl === undefined ? 'this process' : 'Redis'}`,
    `  Lightning  ${config.lnbitsUrl ? `LNbits at ${config.lnbitsUrl.origin}` : 'stub'}`,
    `  Agent      ${agent}`,
    '',
    ...(config.stubMode ? stubLines(base) : []),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function stubLines(base: string): string[] {
  return [
    '  *** STUB MODE: Lightning is simulated. No payment is real, and anyone can have any token. ***',
    '',
    '  A development token:',
    `    curl -s ${base}dev/token -H 'content-type: application/json' -d '{"sub":"alice","roles":["USER"]}'`,
    '  Pay an invoice:',
    `    curl -s -X POST ${base}dev/stub/pay/<paymentHash>`,
    '',
  ];
}

/** What keeps the server from starting: in a line for what can happen to anyone, else with its stack. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof PublicError) return `${error.message} ${codeOf(error.cause)}`;
  const expected = [
    ConfigError,
    FolderLockedError,
    DatabaseTooNewError,
    ManifestError,
    WrongWalletError,
  ].some((kind) => error instanceof kind);
  return expected ? error.message : String(error.stack);
}

const codeOf = (cause: unknown) => String((cause as { code?: unknown } | undefined)?.code ?? cause);

main().catch((error: unknown) => {
  process.stderr.write(`${describe(error)}\n`);
  process.exit(1);
});
