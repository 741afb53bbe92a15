import { createServer, type IncomingMessage } from 'node:http';
import { createChain } from './chain/chain.ts';
import { followWork, scheduleFollower } from './chain/follow.ts';
import { createTracks } from './chain/tracking/tracks.ts';
import { createChainWork } from './chain/work.ts';
import {
  configuredAgent,
  openBus,
  openChain,
  openDatabase,
  openLightning,
  type Replacements,
} from './components.ts';
import { type Config, isLoopback } from './config.ts';
import type { Services } from './graphql/context.ts';
import { createDelivery } from './graphql/delivery.ts';
import { createMaskError } from './graphql/errors.ts';
import { createBatches } from './graphql/loaders.ts';
import { buildSchema } from './graphql/schema.ts';
import { anyDocuments, readTrustedDocuments } from './graphql/trusted-documents.ts';
import { inboxWork } from './inbox/deliveries.ts';
import { createInbox } from './inbox/inbox.ts';
import { createSettlementQueue, queueWork, scheduleSettlementQueue } from './inbox/settlement-queue.ts';
import { createJobs } from './jobs/commands.ts';
import { createEscrowJobs } from './jobs/escrow/commands.ts';
import { escrowDeadlineWork } from './jobs/escrow/steps.ts';
import { isAnyJobOpen } from './jobs/kinds.ts';
import { agentWork } from './jobs/steps.ts';
import { createAgentWorker } from './jobs/worker.ts';
import { createLimits } from './limits.ts';
import { createMarketplace } from './marketplace/commands.ts';
import { createListingMirror } from './marketplace/mirror.ts';
import { createDeposits } from './money/deposits.ts';
import { checkWork, createInvoices } from './money/invoices.ts';
import { createLedger } from './money/ledger.ts';
import { LightningUnavailableError } from './money/lightning/backend.ts';
import { createOpenInvoices } from './money/open-invoices.ts';
import { createPayouts } from './money/payouts/commands.ts';
import { createPayoutSteps, payoutWork } from './money/payouts/steps.ts';
import { createPayoutWorker } from './money/payouts/worker.ts';
import { createReconciler, reconcileWork, scheduleReconciler } from './money/reconciler.ts';
import { createSolvency } from './money/solvency.ts';
import { walletEvent } from './money/wallet-events.ts';
import { createAccessTokens } from './platform/auth/access-tokens.ts';
import { createAuthenticate } from './platform/auth/authenticate.ts';
import { createConnections } from './platform/auth/connections.ts';
import { createReconnectTickets } from './platform/auth/reconnect-tickets.ts';
import { createRefresh } from './platform/auth/refresh.ts';
import { createRevocations, followRevocations, presentRevocation } from './platform/auth/revocations.ts';
import { deriveSecret, loadSecret, loadSharedSecret } from './platform/auth/secrets.ts';
import { createTicketStreams } from './platform/auth/ticket-streams.ts';
import { createTickets } from './platform/auth/tickets.ts';
import { createTokenIssuer, createTokenVerifier } from './platform/auth/tokens.ts';
import { systemClock } from './platform/clock.ts';
import { createHub } from './platform/feed/hub.ts';
import { createIdempotency } from './platform/idempotency.ts';
import { createLog } from './platform/log/log.ts';
import { createRetention, trimWork } from './platform/log/retention.ts';
import type { Logger } from './platform/telemetry/logger.ts';
import { createMetrics } from './platform/telemetry/metrics.ts';
import { createHousekeeping, housekeepingWork, scheduleHousekeeping } from './platform/work/housekeeping.ts';
import { createWorkQueue } from './platform/work/queue.ts';
import { createWorkRunner, nodeHolderPrefix } from './platform/work/runner.ts';
import { createSessions } from './sessions/commands.ts';
import { isSessionOpen } from './sessions/queries.ts';
import { expiryWork } from './sessions/steps.ts';
import { createStreams } from './streams/commands.ts';
import { createStreamMirror } from './streams/mirror.ts';
import { isStreamOpen } from './streams/queries.ts';
import { streamTimerWork } from './streams/steps.ts';
import { createStreamTicks } from './streams/ticks.ts';
import { createStreamWorkers, streamBlocksWork } from './streams/worker.ts';
import { clientAddress } from './transport/address.ts';
import { developmentRoutes } from './transport/development-routes.ts';
import { createAsk } from './transport/explorer/ask.ts';
import { createAssets } from './transport/explorer/assets.ts';
import { createExplorer } from './transport/explorer/explorer.ts';
import { explorerRoutes } from './transport/explorer/routes.ts';
import { createHttpServer } from './transport/http.ts';
import { inboxRoutes } from './transport/inbox-webhooks.ts';
import { closeServer, listen, urlHost } from './transport/listening.ts';
import { operationRoutes } from './transport/operation-routes.ts';
import { isOriginAllowed } from './transport/request.ts';
import { createSocketHearer } from './transport/socket-hearer.ts';
import { webhookRoutes } from './transport/webhooks.ts';
import { createWebSocketTransport, refuse } from './transport/websocket.ts';
import { createGraphqlServer } from './transport/yoga.ts';
import { createTreasury, proposalExpiryWork } from './treasury/commands.ts';
import { treasuryEntryEvent } from './treasury/events.ts';
import { createTreasuryMirror } from './treasury/mirror.ts';

export type App = Awaited<ReturnType<typeof startApp>>;

/**
 * Builds the server from its configuration, and starts it. Everything is made here, once.
 * @throws FolderLockedError, DatabaseTooNewError, or what listening throws.
 */
export async function startApp(config: Config, logger: Logger, replaced: Replacements = {}) {
  const clock = replaced.clock ?? systemClock;
  const onError = (error: unknown) => logger.error({ err: error }, 'background failure');

  const documents =
    config.trustedDocuments === undefined
      ? anyDocuments
      : await readTrustedDocuments(config.trustedDocuments, buildSchema());
  const db = await openDatabase(config, replaced, onError);
  const generated = await (db.exclusive ? loadSecret(config.dataDir) : loadSharedSecret(db));
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

  const bus = await openBus(config, db, {
    logger,
    onError,
    onPublishFailure: () => metrics.busPublishFailures.inc(),
    onMalformed: () => metrics.busMalformedMessages.inc(),
  });
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
    database: () => db.connections(),
    bus: () => bus.connected,
    lightning: () => lightning.reachable,
    backendBalance: () => solvency.backendBalanceSats(),
    liabilities: () => solvency.liabilitiesSats(),
    connections: () => connections.size,
    feeds: () => hub.size(),
    sockets: () => webSocket?.size ?? 0,
    waitingBytes: () => webSocket?.waitingBytes ?? 0,
    socketMessages: () => webSocket?.messages ?? 0,
  });

  const accessTokens = createAccessTokens({ secret: deriveSecret(secret, 'access-tokens') });
  const authenticate = createAuthenticate({ db, clock, verifier, accessTokens });
  const tickets = createTickets({ db, clock });
  const ticketStreams = await createTicketStreams({ bus, clock });
  const revocations = createRevocations({ db, log, clock });
  const reconnectTickets = createReconnectTickets({ db, clock });
  const refresh = createRefresh({ authenticate });
  const idempotency = createIdempotency({ clock });
  const queue = createWorkQueue({ db, clock });
  const ledger = createLedger({
    clock,
    onEntry(tx, entry) {
      const event = walletEvent(entry) ?? treasuryEntryEvent(entry);
      if (event) log.append(tx, event);
    },
  });
  const openInvoices = createOpenInvoices({ db, clock, maximum: config.limitOpenInvoices });
  const { lightning, payer, stubLightning } = openLightning(config, db, clock, replaced, onError);
  const solvency = createSolvency({ db, clock, payer });
  const invoices = createInvoices({
    db,
    clock,
    ledger,
    lightning,
    queue,
    openInvoices,
    expirySeconds: config.invoiceExpirySeconds,
    webhooksUrl: config.publicUrl && new URL('webhooks/lnbits/', withSlash(config.publicUrl)),
    onError,
  });
  const domain = { db, log, clock, ledger, invoices, queue, idempotency, accessTokens };
  const deposits = createDeposits({ ...domain, maximumSats: config.depositMaxSats });
  const payouts = createPayouts({
    ...domain,
    payer,
    maximumSats: config.payoutMaxSats,
    reserve: {
      basisPoints: config.payoutFeeReserveBasisPoints,
      minimumSats: config.payoutFeeReserveMinSats,
    },
  });
  const jobs = createJobs({ ...domain, bus, evalPriceSats: config.evalPriceSats });
  const escrowJobs = createEscrowJobs({ ...domain, feeBasisPoints: config.escrowFeeBasisPoints });
  const sessions = createSessions({
    ...domain,
    limits: {
      depositMinSats: config.sessionDepositMinSats,
      depositMaxSats: config.sessionDepositMaxSats,
      minimumSats: config.sessionMinimumSats,
      idleSeconds: config.sessionIdleSeconds,
    },
  });

  const streams = createStreams({ ...domain, cancelFeeBasisPoints: config.streamCancelFeeBasisPoints });
  const marketplace = createMarketplace({
    ...domain,
    streams,
    feeBasisPoints: config.marketplaceFeeBasisPoints,
  });
  const treasury = createTreasury({
    ...domain,
    proposalExpirySeconds: config.treasuryProposalExpirySeconds,
  });
  const streamWorkers = createStreamWorkers({ db, clock, queue, streams });
  const streamTicks = createStreamTicks({ db, hub, clock, onError });
  const inbox = createInbox({
    db,
    clock,
    queue,
    contracts: config.chainhookContracts ?? [],
    logger,
    onFailed: () => metrics.inboxFailed.inc(),
    onGap: () => metrics.chainGaps.inc(),
  });
  const followChain = () => {
    inbox.mirror('streams', createStreamMirror({ log, clock }));
    inbox.mirror('marketplace', createListingMirror({ log, clock }));
    inbox.mirror('treasury', createTreasuryMirror({ log, clock }));
    inbox.onSettled(streams.settleReported);
    inbox.onHeight(async (tx, { stacks, bitcoin }) => {
      if (bitcoin !== undefined) await streamWorkers.reached(tx, 'BITCOIN', bitcoin);
      if (stacks !== undefined) await streamWorkers.reached(tx, 'STACKS', stacks);
    });
  };
  (replaced.domain ?? followChain)(inbox);

  const chainSource = openChain(config, clock, {
    onGap(topic) {
      metrics.zmqGaps.inc();
      logger.warn({ topic }, 'messages of Bitcoin Core were lost');
    },
    onError,
  });

  const tracks = createTracks({ db, clock, queue, hub, maximum: config.limitTracked, onError });

  const agent = replaced.agent ?? configuredAgent(config, deriveSecret(secret, 'agent'), clock);
  const runner = createWorkRunner({
    queue,
    clock,
    handlers: {
      [checkWork]: invoices.checks,
      [payoutWork]: createPayoutWorker({ db, clock, steps: createPayoutSteps(domain), payer, onError }),
      [escrowDeadlineWork]: { concurrency: 4, run: ({ key }) => escrowJobs.expire(key) },
      [expiryWork]: { concurrency: 4, run: ({ key }) => sessions.expireIdle(key) },
      [proposalExpiryWork]: {
        concurrency: 4,
        run: async ({ key }) => void (await treasury.expire(key)),
      },
      [streamTimerWork]: streamWorkers.timer,
      [streamBlocksWork]: streamWorkers.blocks,
      [reconcileWork]: createReconciler({
        openInvoices,
        confirm: invoices.confirm,
        clock,
        requestsPerSecond: config.lnbitsRequestsPerSecond,
        onError,
      }),
      [trimWork]: createRetention({
        db,
        clock,
        entities: { job: isAnyJobOpen, session: isSessionOpen, stream: isStreamOpen },
      }),
      [housekeepingWork]: createHousekeeping(clock, [
        () => db.transaction((tx) => ledger.fold(tx)),
        () => idempotency.forgetExpired(db),
        () => inbox.forgetProcessed(),
        () => tickets.forgetExpired(),
        () => reconnectTickets.forgetExpired(),
        () => tracks.forget(),
      ]),
      [inboxWork]: inbox.work,
      ...(chainSource && {
        [followWork]: createChainWork({
          ...{ db, clock, log, bus, source: chainSource, logger },
          onHeight: (tx, height) => streamWorkers.reached(tx, 'BITCOIN', height),
        }),
      }),
      ...(config.settlementQueue !== undefined && {
        [queueWork]: createSettlementQueue({
          db,
          clock,
          url: new URL(config.redisUrl as string),
          name: config.settlementQueue,
          settle: inbox.settle,
          logger,
          onFailed: () => metrics.inboxFailed.inc(),
          onGap: () => metrics.settlementQueueGaps.inc(),
        }),
      }),
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
    batches: createBatches(db),
    feeds,
    ledger,
    invoices,
    deposits,
    payouts,
    jobs,
    escrowJobs,
    sessions,
    streams,
    streamHeights: streamWorkers,
    marketplace,
    treasury,
    chain: createChain({ db, source: chainSource }),
    tracks,
    tickets,
    ticketStreams,
    revocations,
    refresh,
    stubLightning,
  };
  let draining = false;
  // Known once the servers listen; they are still asked for by what is under way when these listen no longer.
  const ports = { http: 0, webSocket: 0 };
  const addressOf = (request: IncomingMessage) => {
    const address = clientAddress(request, config.trustProxy);
    // Whoever tries things out on this machine has them all to themselves.
    return config.stubMode && address !== undefined && isLoopback(address) ? undefined : address;
  };
  const maskError = createMaskError((error) => {
    metrics.unexpectedErrors.inc();
    logger.error({ err: error }, 'unexpected error');
  });
  const delivery = createDelivery({
    services,
    maskError,
    onNotShareable: () => metrics.notShareable.inc(),
  });
  const limits = await createLimits(config, bus, clock);
  const webSocketOfPages = () =>
    config.websocketEnabled
      ? { path: config.websocketPath, port: webSocketHttp && ports.webSocket }
      : undefined;
  const explorer = createExplorer({
    ask: createAsk({ services, connections, maskError }),
    webSocket: webSocketOfPages,
  });
  const yoga = createGraphqlServer({
    services,
    authenticate,
    connections,
    delivery,
    maskError,
    documents,
    limits: limits.connections,
    mutationLimit: limits.mutationLimit,
    webSocket: webSocketOfPages,
    addressOf,
    allowedOrigins: config.allowedOrigins,
    maximumBodyBytes: config.limitBodyBytes,
  });
  const http = createHttpServer(
    {
      '* /graphql': (request, response) => yoga(request, response),
      ...operationRoutes({ db, metrics, metricsToken: config.metricsToken, isDraining: () => draining }),
      ...explorerRoutes({ explorer, assets: createAssets(), webSocket: webSocketOfPages }),
      ...webhookRoutes({ invoices }),
      ...inboxRoutes({
        inbox,
        chainhookSecret: config.chainhookSecret,
        indexerSecret: config.indexerWebhookSecret,
      }),
      ...(stubLightning &&
        developmentRoutes({
          db,
          invoices,
          lightning: stubLightning,
          tokenIssuer: config.jwksUrl ? undefined : createTokenIssuer({ ...tokenClaims, secret: jwtSecret }),
        })),
    },
    logger,
    (request) => isOriginAllowed(request, config.allowedOrigins, ports.http),
  );

  const webSocket = config.websocketEnabled
    ? createWebSocketTransport({
        services,
        yoga,
        delivery,
        documents,
        authenticate,
        reconnectTickets,
        connections,
        limits: limits.connections,
        path: config.websocketPath,
        pagePort: () => ports.http,
        addressOf,
        allowedOrigins: config.allowedOrigins,
        maximumMessageBytes: config.limitMessageBytes,
        maximumOperations: config.limitSubscriptionsPerConnection,
        messageRate: limits.messageRate,
        outboxLimits: { socketBytes: config.limitConnectionBytes, totalBytes: config.limitBufferedBytes },
        idleMs: config.limitIdleSeconds * 1_000,
        hears: createSocketHearer(metrics, logger),
      })
    : undefined;
  const webSocketHttp =
    config.websocketPort === undefined ? undefined : createServer((_, res) => res.writeHead(426).end());
  webSocket?.attach(webSocketHttp ?? http);
  for (const server of [http, webSocketHttp])
    if (server && server.listenerCount('upgrade') === 0)
      server.on('upgrade', (_, socket) => refuse(socket, '404 Not Found'));

  // Before the first payout; a node that is away is looked at when it is needed.
  await payer?.network().catch((error) => {
    if (!(error instanceof LightningUnavailableError)) throw error;
    onError(error);
  });
  // What a killed process held is free at once where there is no other; else when its leases end.
  if (db.exclusive) await queue.releaseAll(nodeHolderPrefix);
  await scheduleHousekeeping(db, queue, clock);
  await scheduleReconciler(db, queue, clock);
  if (config.settlementQueue !== undefined)
    await scheduleSettlementQueue(db, queue, clock, config.settlementQueue);
  if (chainSource) await scheduleFollower(db, queue, clock);
  const stopping = new AbortController();
  // Before the first connection: who is on it was authenticated after this.
  const revoked = await presentRevocation(feeds);
  const following = followRevocations(feeds, revoked, connections, stopping.signal, onError);
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
    inbox,
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
      // What is left of the time is for requests that are under way.
      await connections.drain(config.drainSeconds * 800);
      stopping.abort();
      await webSocket?.close();
      await Promise.all(closed);
      await runner.stop();
      await lightning.close();
      payer?.close();
      await following;
      await streamTicks.close();
      await tracks.close();
      await hub.close();
      limits.close();
      connections.close();
      await bus.close();
      await db.close();
    },
  };
}

/** A URL under whose path others are: URLs are resolved behind the last slash. */
const withSlash = ({ href }: URL) => href.replace(/\/?$/, '/');
