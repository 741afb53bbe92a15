import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from './config.ts';
import type { Services } from './graphql/context.ts';
import type { Agent } from './jobs/agent/agent.ts';
import { createHttpAgent } from './jobs/agent/http.ts';
import { createStubAgent } from './jobs/agent/stub.ts';
import { agentWork, createJobs } from './jobs/commands.ts';
import { createAgentWorker } from './jobs/worker.ts';
import { migrations } from './migrations.ts';
import { checkWork, createInvoices } from './money/invoices.ts';
import { createLedger } from './money/ledger.ts';
import { createStubLightning, type StubLightning } from './money/lightning/stub.ts';
import { createAccessTokens } from './platform/auth/access-tokens.ts';
import { createAuthenticate } from './platform/auth/authenticate.ts';
import { createConnections } from './platform/auth/connections.ts';
import { createRevocations, followRevocations } from './platform/auth/revocations.ts';
import { deriveSecret, loadSecret } from './platform/auth/secrets.ts';
import { createTickets } from './platform/auth/tickets.ts';
import { createTokenIssuer, createTokenVerifier } from './platform/auth/tokens.ts';
import { createInProcessBus } from './platform/bus/in-process.ts';
import { type Clock, systemClock } from './platform/clock.ts';
import { migrate } from './platform/database/migrate.ts';
import { openPglite } from './platform/database/pglite.ts';
import { createHub } from './platform/feed/hub.ts';
import { createIdempotency } from './platform/idempotency.ts';
import { createLog } from './platform/log/log.ts';
import type { Logger } from './platform/telemetry/logger.ts';
import { createMetrics } from './platform/telemetry/metrics.ts';
import { createHousekeeping, housekeepingWork, scheduleHousekeeping } from './platform/work/housekeeping.ts';
import { createWorkQueue } from './platform/work/queue.ts';
import { createWorkRunner, nodeHolderPrefix } from './platform/work/runner.ts';
import { createSessions, expiryWork } from './sessions/commands.ts';
import { developmentRoutes } from './transport/development-routes.ts';
import { createHttpServer } from './transport/http.ts';
import { operationRoutes } from './transport/operation-routes.ts';
import { isOriginAllowed } from './transport/request.ts';
import { createWebSocketTransport, refuse } from './transport/websocket.ts';
import { createGraphqlServer } from './transport/yoga.ts';

/** What a test puts in the place of the real thing. */
export interface Replacements {
  readonly clock?: Clock;
  readonly agent?: Agent;
  /** Stands between the server and the stub Lightning backend. */
  readonly lightning?: (stub: StubLightning) => StubLightning;
  /** A folder made by initdb, copied at the first start. */
  readonly databaseImage?: string;
}

export type App = Awaited<ReturnType<typeof startApp>>;

/**
 * Builds the server from its configuration, and starts it. Everything is made here, once.
 * @throws FolderLockedError, DatabaseTooNewError, or what listening throws.
 */
export async function startApp(config: Config, logger: Logger, replaced: Replacements = {}) {
  const clock = replaced.clock ?? systemClock;
  const onError = (error: unknown) => logger.error({ err: error }, 'background failure');

  const db = await openPglite(config.dataDir, replaced.databaseImage);
  await migrate(db, migrations);

  const generated = await loadSecret(config.dataDir);
  const ownSecret = config.serverSecret ?? config.jwtSecret;
  const secret = ownSecret === undefined ? generated : Buffer.from(ownSecret);
  const jwtSecret =
    config.jwtSecret === undefined ? deriveSecret(generated, 'jwt') : Buffer.from(config.jwtSecret);
  const tokenClaims = {
    ...(config.jwtIssuer !== undefined && { issuer: config.jwtIssuer }),
    ...(config.jwtAudience !== undefined && { audience: config.jwtAudience }),
    clock,
  };
  const verifier = createTokenVerifier({
    ...tokenClaims,
    ...(config.jwksUrl ? { jwksUrl: config.jwksUrl } : { secret: jwtSecret }),
  });

  const bus = createInProcessBus();
  const log = createLog({
    db,
    clock,
    onCommitted(rows) {
      metrics.eventsAppended.inc(rows.length);
      hub.committed(rows);
    },
  });
  const hub = createHub({ log, bus, onError });
  const feeds = { hub, log, clock };
  const connections = createConnections({ clock });
  const metrics = createMetrics({
    connections: () => connections.size,
    feeds: () => hub.size(),
    sockets: () => webSocket?.size ?? 0,
  });

  const accessTokens = createAccessTokens({ secret: deriveSecret(secret, 'access-tokens') });
  const authenticate = createAuthenticate({ db, clock, verifier, accessTokens });
  const tickets = createTickets({ db, clock });
  const revocations = createRevocations({ db, log, clock });
  const idempotency = createIdempotency({ clock });
  const queue = createWorkQueue({ db, clock });
  const ledger = createLedger({ clock });
  const stub = createStubLightning({ db, clock });
  const lightning = replaced.lightning?.(stub) ?? stub;
  const invoices = createInvoices({
    db,
    clock,
    lightning,
    queue,
    expirySeconds: config.invoiceExpirySeconds,
    onError,
  });
  const domain = { db, log, clock, ledger, invoices, queue, idempotency, accessTokens };
  const jobs = createJobs({ ...domain, bus, evalPriceSats: config.evalPriceSats });
  const sessions = createSessions({
    ...domain,
    limits: {
      depositMinSats: config.sessionDepositMinSats,
      depositMaxSats: config.sessionDepositMaxSats,
      minimumSats: config.sessionMinimumSats,
      idleSeconds: config.sessionIdleSeconds,
    },
  });

  const agent = replaced.agent ?? configuredAgent(config, deriveSecret(secret, 'agent'), clock);
  const runner = createWorkRunner({
    queue,
    clock,
    handlers: {
      [checkWork]: invoices.checks,
      [expiryWork]: { concurrency: 4, run: ({ key }) => sessions.expireIdle(key) },
      [housekeepingWork]: createHousekeeping(clock, [
        () => db.transaction((tx) => ledger.fold(tx)),
        () => idempotency.forgetExpired(db),
        () => tickets.forgetExpired(),
      ]),
      ...(agent && {
        [agentWork]: createAgentWorker({ db, jobs, agent, attempts: config.agentAttempts, onError }),
      }),
    },
    onError(error, work) {
      metrics.workFailures.inc();
      logger.error({ err: error, kind: work?.kind, key: work?.key, attempts: work?.attempts }, 'work failed');
    },
  });

  const services: Services = {
    db,
    feeds,
    ledger,
    invoices,
    jobs,
    sessions,
    tickets,
    revocations,
    stubLightning: lightning,
  };
  let draining = false;
  // Known once the servers listen; they are still asked for by what is under way when these listen no longer.
  const ports = { http: 0, webSocket: 0 };
  const yoga = createGraphqlServer({
    services,
    authenticate,
    connections,
    logger,
    webSocket: () =>
      config.websocketEnabled
        ? { path: config.websocketPath, port: webSocketHttp && ports.webSocket }
        : undefined,
    onUnexpected: () => metrics.unexpectedErrors.inc(),
    allowedOrigins: config.allowedOrigins,
    maximumBodyBytes: config.limitBodyBytes,
  });
  const http = createHttpServer(
    {
      '* /graphql': (request, response) => yoga(request, response),
      ...operationRoutes({ db, metrics, metricsToken: config.metricsToken, isDraining: () => draining }),
      ...developmentRoutes({
        db,
        invoices,
        lightning,
        tokenIssuer: config.jwksUrl ? undefined : createTokenIssuer({ ...tokenClaims, secret: jwtSecret }),
      }),
    },
    logger,
    (request) => isOriginAllowed(request, config.allowedOrigins, ports.http),
  );

  const webSocket = config.websocketEnabled
    ? createWebSocketTransport({
        yoga,
        authenticate,
        connections,
        path: config.websocketPath,
        pagePort: () => ports.http,
        allowedOrigins: config.allowedOrigins,
        maximumMessageBytes: config.limitMessageBytes,
        maximumOperations: config.limitSubscriptionsPerConnection,
      })
    : undefined;
  const webSocketHttp =
    config.websocketPort === undefined ? undefined : createServer((_, res) => res.writeHead(426).end());
  webSocket?.attach(webSocketHttp ?? http);
  for (const server of [http, webSocketHttp])
    if (server && server.listenerCount('upgrade') === 0)
      server.on('upgrade', (_, socket) => refuse(socket, '404 Not Found'));

  // What a killed process of this database held is free; what was paid meanwhile is booked before any expires.
  await queue.releaseAll(nodeHolderPrefix);
  await invoices.lookUpOpen();
  await scheduleHousekeeping(db, queue, clock);
  const stopping = new AbortController();
  const following = followRevocations(feeds, connections, stopping.signal, onError);
  runner.start();

  ports.http = await listen(http, config.port, config.host);
  ports.webSocket =
    webSocketHttp === undefined
      ? ports.http
      : await listen(webSocketHttp, config.websocketPort as number, config.host);

  return {
    services,
    hub,
    connections,
    agent: agent === undefined ? 'external' : config.agent,
    /** Where GraphQL is served over HTTP and SSE. */
    url: `http://${urlHost(config.host)}:${ports.http}/graphql`,
    /** Where graphql-transport-ws is served; absent when it is switched off. */
    webSocketUrl: webSocket
      ? `ws://${urlHost(config.host)}:${ports.webSocket}${config.websocketPath}`
      : undefined,

    /** Drains: takes nothing new, ends what is open so that clients resume elsewhere, and closes the database. */
    async stop(): Promise<void> {
      draining = true;
      const closed = [http, webSocketHttp].map(
        (server) => server && closeServer(server, config.drainSeconds),
      );
      connections.endWhere('SHUTDOWN', () => true);
      stopping.abort();
      await webSocket?.close();
      await Promise.all(closed);
      await runner.stop();
      await following;
      await hub.close();
      await bus.close();
      await db.close();
    },
  };
}

function configuredAgent(config: Config, secret: Uint8Array, clock: Clock): Agent | undefined {
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

const urlHost = (host: string) => (host.includes(':') ? `[${host}]` : host);

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** Waits for the requests under way, up to a time. */
function closeServer(server: Server, seconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), seconds * 1000);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
