import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../src/config.ts';

const SECRET = 'a secret that has more than 32 characters';

/** All that LNbits needs. */
const withLnbits = {
  LNBITS_URL: 'https://lnbits.example',
  LNBITS_INVOICE_KEY: 'key',
  DATABASE_URL: 'postgres://db.example/satwire',
  JWT_SECRET: SECRET,
};

/** The lines of the error that an environment causes; none when it is fine. */
function faults(env: Record<string, string | undefined>): string[] {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message.split('\n');
  }
}

describe('defaults', () => {
  it('are enough to start with', () => {
    expect(readConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4000,
      dataDir: '.data',
      databasePoolSize: 10,
      lnbitsRequestsPerSecond: 20,
      trustProxy: 0,
      allowedOrigins: [],
      allowStub: false,
      agent: 'stub',
      agentTimeoutSeconds: 60,
      agentAttempts: 5,
      agentStubStepMs: 200,
      websocketEnabled: true,
      websocketPath: '/graphql',
      evalPriceSats: 10n,
      invoiceExpirySeconds: 3600,
      depositMaxSats: 1_000_000n,
      payoutMaxSats: 1_000_000n,
      payoutFeeReserveBasisPoints: 100,
      payoutFeeReserveMinSats: 10n,
      sessionDepositMinSats: 100n,
      sessionDepositMaxSats: 10_000n,
      sessionMinimumSats: 1n,
      sessionIdleSeconds: 86_400,
      drainSeconds: 10,
      logLevel: 'info',
      limitConnectionsPerIp: 200,
      limitConnectionsPerViewer: 100,
      limitSubscriptionsPerConnection: 100,
      limitMessagesPerSecond: 50,
      limitMutationsPerMinute: 600,
      limitMessageBytes: 65_536,
      limitBodyBytes: 131_072,
      limitIdleSeconds: 300,
      limitConnectionBytes: 262_144,
      limitBufferedBytes: 268_435_456,
      limitOpenInvoices: 20,
      limitTracked: 2_000,
      escrowFeeBasisPoints: 200,
      streamCancelFeeBasisPoints: 100,
      marketplaceFeeBasisPoints: 100,
      treasuryProposalExpirySeconds: 2_592_000,
      stubMode: true,
    });
  });

  it('stand in for empty variables', () => {
    expect(readConfig({ PORT: '', JWT_SECRET: '', ALLOWED_ORIGINS: '', ALLOW_STUB: '' })).toEqual(
      readConfig({}),
    );
  });

  it('cannot be changed afterwards', () => {
    const config = readConfig({ ALLOWED_ORIGINS: 'https://app.example' });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.allowedOrigins)).toBe(true);
  });
});

it('reads every variable', () => {
  const config = readConfig({
    HOST: '::1',
    PORT: '0',
    DATA_DIR: 'elsewhere',
    DATABASE_URL: 'postgres://satwire:pass@db.example:5433/satwire?sslmode=require',
    DATABASE_POOL_SIZE: '2',
    REDIS_URL: 'rediss://:pass@cache.example:6380/1',
    LNBITS_URL: 'https://lnbits.example/behind',
    LNBITS_INVOICE_KEY: 'invoice_key-1',
    LNBITS_ADMIN_KEY: 'admin_key-1',
    LNBITS_REQUESTS_PER_SECOND: '40',
    PUBLIC_URL: 'https://satwire.example/behind',
    TRUST_PROXY: '10',
    JWT_SECRET: SECRET,
    JWT_ISSUER: 'issuer',
    JWT_AUDIENCE: 'audience',
    SERVER_SECRET: `${SECRET}!`,
    ALLOWED_ORIGINS: 'https://app.example, http://localhost:3000',
    METRICS_TOKEN: 'metrics',
    ALLOW_STUB: '1',
    AGENT: 'external',
    AGENT_URL: 'https://agent.example/work',
    AGENT_TIMEOUT_SECONDS: '1',
    AGENT_ATTEMPTS: '2',
    AGENT_STUB_STEP_MS: '0',
    WEBSOCKET_ENABLED: 'false',
    WEBSOCKET_PATH: '/ws',
    WEBSOCKET_PORT: '4001',
    EVAL_PRICE_SATS: '2100000000000000',
    INVOICE_EXPIRY_SECONDS: '60',
    DEPOSIT_MAX_SATS: '6',
    PAYOUT_MAX_SATS: '7',
    PAYOUT_FEE_RESERVE_BASIS_POINTS: '8',
    PAYOUT_FEE_RESERVE_MIN_SATS: '0',
    SESSION_DEPOSIT_MIN_SATS: '5',
    SESSION_DEPOSIT_MAX_SATS: '5',
    SESSION_MINIMUM_SATS: '2',
    SESSION_IDLE_SECONDS: '3',
    DRAIN_SECONDS: '0',
    LOG_LEVEL: 'silent',
    LIMIT_CONNECTIONS_PER_IP: '1',
    LIMIT_CONNECTIONS_PER_VIEWER: '2',
    LIMIT_SUBSCRIPTIONS_PER_CONNECTION: '0',
    LIMIT_MESSAGES_PER_SECOND: '3',
    LIMIT_MUTATIONS_PER_MINUTE: '4',
    LIMIT_MESSAGE_BYTES: '2048',
    LIMIT_BODY_BYTES: '4096',
    LIMIT_IDLE_SECONDS: '5',
    LIMIT_CONNECTION_BYTES: '8192',
    LIMIT_BUFFERED_BYTES: '1099511627776',
    LIMIT_OPEN_INVOICES: '0',
    LIMIT_TRACKED: '9',
    ESCROW_FEE_BASIS_POINTS: '0',
    STREAM_CANCEL_FEE_BASIS_POINTS: '1',
    MARKETPLACE_FEE_BASIS_POINTS: '10000',
    TREASURY_PROPOSAL_EXPIRY_SECONDS: '5',
    TRUSTED_DOCUMENTS: 'manifest.json',
    NODE_ENV: 'test',
    UNKNOWN: 'ignored',
  });
  expect(config).toEqual({
    host: '::1',
    port: 0,
    dataDir: 'elsewhere',
    databaseUrl: 'postgres://satwire:pass@db.example:5433/satwire?sslmode=require',
    databasePoolSize: 2,
    redisUrl: 'rediss://:pass@cache.example:6380/1',
    lnbitsUrl: new URL('https://lnbits.example/behind'),
    lnbitsInvoiceKey: 'invoice_key-1',
    lnbitsAdminKey: 'admin_key-1',
    lnbitsRequestsPerSecond: 40,
    publicUrl: new URL('https://satwire.example/behind'),
    trustProxy: 10,
    jwtSecret: SECRET,
    jwtIssuer: 'issuer',
    jwtAudience: 'audience',
    serverSecret: `${SECRET}!`,
    allowedOrigins: ['https://app.example', 'http://localhost:3000'],
    metricsToken: 'metrics',
    allowStub: true,
    agent: 'external',
    agentUrl: new URL('https://agent.example/work'),
    agentTimeoutSeconds: 1,
    agentAttempts: 2,
    agentStubStepMs: 0,
    websocketEnabled: false,
    websocketPath: '/ws',
    websocketPort: 4001,
    evalPriceSats: 2_100_000_000_000_000n,
    invoiceExpirySeconds: 60,
    depositMaxSats: 6n,
    payoutMaxSats: 7n,
    payoutFeeReserveBasisPoints: 8,
    payoutFeeReserveMinSats: 0n,
    sessionDepositMinSats: 5n,
    sessionDepositMaxSats: 5n,
    sessionMinimumSats: 2n,
    sessionIdleSeconds: 3,
    drainSeconds: 0,
    logLevel: 'silent',
    limitConnectionsPerIp: 1,
    limitConnectionsPerViewer: 2,
    limitSubscriptionsPerConnection: 0,
    limitMessagesPerSecond: 3,
    limitMutationsPerMinute: 4,
    limitMessageBytes: 2048,
    limitBodyBytes: 4096,
    limitIdleSeconds: 5,
    limitConnectionBytes: 8192,
    limitBufferedBytes: 1_099_511_627_776,
    limitOpenInvoices: 0,
    limitTracked: 9,
    escrowFeeBasisPoints: 0,
    streamCancelFeeBasisPoints: 1,
    marketplaceFeeBasisPoints: 10_000,
    treasuryProposalExpirySeconds: 5,
    trustedDocuments: 'manifest.json',
    nodeEnv: 'test',
    stubMode: false,
  });
});

describe('one variable', () => {
  it.each([
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', '0x50'],
    ['DATABASE_URL', 'mysql://db.example/satwire'],
    ['DATABASE_URL', 'db.example'],
    ['DATABASE_URL', 'postgres:///satwire'],
    ['DATABASE_POOL_SIZE', '1'],
    ['DATABASE_POOL_SIZE', '1001'],
    ['REDIS_URL', 'http://cache.example'],
    ['REDIS_URL', 'redis://'],
    ['LNBITS_URL', 'ws://lnbits.example'],
    ['LNBITS_INVOICE_KEY', 'two words'],
    ['LNBITS_INVOICE_KEY', 'a\r\nheader: b'],
    ['LNBITS_ADMIN_KEY', 'key/'],
    ['LNBITS_REQUESTS_PER_SECOND', '0'],
    ['LNBITS_REQUESTS_PER_SECOND', '0.5'],
    ['LNBITS_REQUESTS_PER_SECOND', '41'],
    ['PUBLIC_URL', 'satwire.example'],
    ['TRUST_PROXY', 'true'],
    ['TRUST_PROXY', '11'],
    ['LIMIT_OPEN_INVOICES', '-1'],
    ['LIMIT_TRACKED', '-1'],
    ['LIMIT_TRACKED', '1000001'],
    ['LIMIT_OPEN_INVOICES', '1000001'],
    ['JWT_SECRET', 'x'.repeat(31)],
    ['SERVER_SECRET', 'short'],
    ['JWKS_URL', 'ftp://keys.example'],
    ['JWKS_URL', 'keys.example'],
    ['AGENT', 'robot'],
    ['AGENT_URL', 'file:///etc/passwd'],
    ['AGENT_ATTEMPTS', '0'],
    ['WEBSOCKET_ENABLED', 'yes'],
    ['WEBSOCKET_PATH', 'graphql'],
    ['EVAL_PRICE_SATS', '2100000000000001'],
    ['EVAL_PRICE_SATS', '0'],
    ['EVAL_PRICE_SATS', '1.5'],
    ['LOG_LEVEL', 'loud'],
    ['LIMIT_BODY_BYTES', '64k'],
    ['LIMIT_BODY_BYTES', '1023'],
    ['LIMIT_BODY_BYTES', '67108865'],
    ['LIMIT_MESSAGE_BYTES', '1'],
    ['LIMIT_CONNECTION_BYTES', '1073741825'],
    ['LIMIT_BUFFERED_BYTES', '1099511627777'],
    ['LIMIT_CONNECTIONS_PER_IP', '1000001'],
    ['LIMIT_CONNECTIONS_PER_VIEWER', '-1'],
    ['LIMIT_MESSAGES_PER_SECOND', '0.5'],
    ['LIMIT_MUTATIONS_PER_MINUTE', 'many'],
    ['LIMIT_IDLE_SECONDS', '31536001'],
    ['ALLOWED_ORIGINS', '*'],
    ['ALLOWED_ORIGINS', 'app.example'],
    ['ALLOWED_ORIGINS', 'ftp://app.example'],
    ['ALLOWED_ORIGINS', 'https://app.example/'],
    ['ALLOWED_ORIGINS', 'https://app.example:443'],
    ['ALLOWED_ORIGINS', 'https://'],
    ['ALLOWED_ORIGINS', 'https://app.example,,https://b.example'],
  ])('%s=%s is a fault, and the only one', (variable, value) => {
    expect(faults({ [variable]: value })).toEqual([expect.stringMatching(new RegExp(`^${variable} must `))]);
  });

  it.each([
    ['DATABASE_URL', 'postgresql://db.example'],
    ['DATABASE_URL', 'postgres://user:p%40ss@[::1]:5432/satwire'],
    ['REDIS_URL', 'redis://cache.example'],
    ['PUBLIC_URL', 'http://127.0.0.1:4000'],
    ['TRUST_PROXY', '0'],
    ['LIMIT_OPEN_INVOICES', '1000000'],
  ])('%s=%s is fine', (variable, value) => {
    expect(faults({ [variable]: value })).toEqual([]);
  });

  it.each([
    'CONNECTIONS_PER_IP',
    'CONNECTIONS_PER_VIEWER',
    'SUBSCRIPTIONS_PER_CONNECTION',
    'MESSAGES_PER_SECOND',
    'MUTATIONS_PER_MINUTE',
    'MESSAGE_BYTES',
    'BODY_BYTES',
    'IDLE_SECONDS',
    'CONNECTION_BYTES',
    'BUFFERED_BYTES',
    'OPEN_INVOICES',
  ])('LIMIT_%s=0 is no limit', (name) => {
    expect(faults({ [`LIMIT_${name}`]: '0' })).toEqual([]);
  });

  it('says what is wrong', () => {
    expect(faults({ PORT: 'http' })).toEqual(['PORT must be a whole number from 0 to 65535']);
    expect(faults({ LIMIT_MESSAGE_BYTES: '1' })).toEqual([
      'LIMIT_MESSAGE_BYTES must be 0 or a whole number from 1024 to 67108864',
    ]);
    expect(faults({ LOG_LEVEL: 'x' })).toEqual([
      'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent',
    ]);
  });
});

describe('several variables', () => {
  it('takes the agent to be http when it has a URL', () => {
    expect(readConfig({ AGENT_URL: 'http://127.0.0.1:9' }).agent).toBe('http');
    expect(readConfig({ AGENT_URL: 'http://127.0.0.1:9', AGENT: 'stub' }).agent).toBe('stub');
  });

  it('needs a URL for the http agent', () => {
    expect(faults({ AGENT: 'http' })).toEqual(['AGENT_URL must be set when AGENT is http']);
  });

  it('has one kind of key for tokens', () => {
    expect(readConfig({ JWKS_URL: 'https://keys.example/jwks' }).jwksUrl?.host).toBe('keys.example');
    expect(faults({ JWKS_URL: 'https://keys.example/jwks', JWT_SECRET: SECRET })).toEqual([
      expect.stringMatching(/^JWKS_URL .*JWT_SECRET/),
    ]);
  });

  it.each(['127.0.0.1', '127.8.8.8', '::1', 'localhost'])('runs stubs on %s', (host) => {
    expect(faults({ HOST: host })).toEqual([]);
  });

  it.each(['0.0.0.0', '::', '127.example.com', '128.0.0.1', 'satwire.example'])(
    'runs stubs on %s only when told to',
    (host) => {
      expect(faults({ HOST: host })).toEqual([expect.stringMatching(/^ALLOW_STUB must be true/)]);
      expect(faults({ HOST: host, ALLOW_STUB: 'true' })).toEqual([]);
    },
  );

  it('runs stubs in production only when told to', () => {
    expect(faults({ NODE_ENV: 'production' })).toEqual([expect.stringMatching(/^ALLOW_STUB must be true/)]);
    expect(faults({ NODE_ENV: 'production', ALLOW_STUB: 'true' })).toEqual([]);
  });

  describe('with LNbits', () => {
    it('is no stub mode, whoever can reach it', () => {
      expect(readConfig(withLnbits).stubMode).toBe(false);
      expect(readConfig({ ALLOW_STUB: 'true' }).stubMode).toBe(true);
      expect(faults({ ...withLnbits, HOST: '0.0.0.0', NODE_ENV: 'production' })).toEqual([]);
    });

    it.each([
      ['LNBITS_INVOICE_KEY', 'LNBITS_INVOICE_KEY must be set together with LNBITS_URL'],
      [
        'DATABASE_URL',
        'DATABASE_URL must be set together with LNBITS_URL: the embedded database is not safe against power loss',
      ],
      ['JWT_SECRET', 'JWT_SECRET or JWKS_URL must be set together with LNBITS_URL'],
    ])('needs %s', (variable, message) => {
      expect(faults({ ...withLnbits, [variable]: undefined })).toEqual([message]);
    });

    it('takes the keys of access tokens from elsewhere as well', () => {
      expect(faults({ ...withLnbits, JWT_SECRET: undefined, JWKS_URL: 'https://keys.example/jwks' })).toEqual(
        [],
      );
    });

    it('says all that is missing at once, and nothing of the stub', () => {
      const lines = faults({ LNBITS_URL: withLnbits.LNBITS_URL, HOST: '0.0.0.0' });
      expect(lines.map((line) => line.split(' ')[0]).sort()).toEqual([
        'DATABASE_URL',
        'JWT_SECRET',
        'LNBITS_INVOICE_KEY',
      ]);
    });

    it.each(['LNBITS_URL', 'LNBITS_INVOICE_KEY', 'DATABASE_URL', 'JWT_SECRET', 'JWKS_URL'])(
      'says only that %s cannot be read, when it cannot',
      (variable) => {
        const { JWT_SECRET, ...others } = withLnbits;
        const env = variable === 'JWKS_URL' ? others : { ...others, JWT_SECRET };
        expect(faults({ ...env, HOST: '0.0.0.0', [variable]: 'no good' })).toEqual([
          expect.stringMatching(new RegExp(`^${variable} must `)),
        ]);
      },
    );

    it('leaves keys without LNBITS_URL alone', () => {
      expect(readConfig({ LNBITS_INVOICE_KEY: 'key', LNBITS_ADMIN_KEY: 'key' }).stubMode).toBe(true);
    });
  });

  it('has two keys of a wallet, not one twice', () => {
    const env = { LNBITS_URL: 'https://lnbits.example', LNBITS_INVOICE_KEY: 'key', LNBITS_ADMIN_KEY: 'key' };
    expect(faults(env)).toContain(
      'LNBITS_ADMIN_KEY must differ from LNBITS_INVOICE_KEY: a wallet has two keys',
    );
  });

  it('keeps the smallest deposit below the largest', () => {
    expect(faults({ SESSION_DEPOSIT_MIN_SATS: '101', SESSION_DEPOSIT_MAX_SATS: '100' })).toEqual([
      'SESSION_DEPOSIT_MIN_SATS must not be above SESSION_DEPOSIT_MAX_SATS',
    ]);
  });

  it('keeps two ports apart', () => {
    expect(faults({ PORT: '4100', WEBSOCKET_PORT: '4100' })).toEqual([
      expect.stringMatching(/^WEBSOCKET_PORT must differ/),
    ]);
    expect(faults({ PORT: '0', WEBSOCKET_PORT: '0' })).toEqual([]);
  });
});

describe('the error', () => {
  it('has one line for every fault, of one variable and of several', () => {
    const lines = faults({
      PORT: 'none',
      LOG_LEVEL: 'loud',
      AGENT: 'http',
      HOST: '0.0.0.0',
      SESSION_DEPOSIT_MIN_SATS: '9',
      SESSION_DEPOSIT_MAX_SATS: '8',
      WEBSOCKET_PORT: 'none',
    });
    expect(lines.map((line) => line.split(' ')[0]).sort()).toEqual([
      'AGENT_URL',
      'ALLOW_STUB',
      'LOG_LEVEL',
      'PORT',
      'SESSION_DEPOSIT_MIN_SATS',
      'WEBSOCKET_PORT',
    ]);
  });

  it('says nothing about several variables when one of them cannot be read', () => {
    expect(faults({ SESSION_DEPOSIT_MIN_SATS: '9', SESSION_DEPOSIT_MAX_SATS: 'eight' })).toEqual([
      expect.stringMatching(/^SESSION_DEPOSIT_MAX_SATS must be a whole number/),
    ]);
    expect(faults({ NODE_ENV: 'production', ALLOW_STUB: 'perhaps' })).toEqual([
      'ALLOW_STUB must be true, false, 1 or 0',
    ]);
  });

  it('never repeats a value', () => {
    const values = {
      JWT_SECRET: 'hunter2',
      SERVER_SECRET: 'hunter3',
      JWKS_URL: 'keys://hunter4',
      AGENT_URL: 'hunter5',
      DATABASE_URL: 'mysql://user:hunter6@db.example/satwire',
      REDIS_URL: 'http://:hunter7@cache.example',
      LNBITS_URL: 'ftp://hunter8@lnbits.example',
      LNBITS_INVOICE_KEY: 'hunter9 key',
      LNBITS_ADMIN_KEY: 'hunter10/',
      PUBLIC_URL: 'wss://hunter11.example',
      TRUST_PROXY: 'hunter12',
    };
    const text = faults(values).join('\n');
    expect(text.split('\n')).toHaveLength(Object.keys(values).length);
    expect(text).not.toMatch(/hunter/);
  });
});

describe('the chain', () => {
  const url = 'http://user:password@127.0.0.1:8332';

  it('is that of a Bitcoin Core that lets us in, or is made up', () => {
    expect(readConfig({ BITCOIND_RPC_URL: url }).bitcoindRpcUrl).toEqual(new URL(url));
    const bare = 'http://127.0.0.1:8332';
    expect(faults({ BITCOIND_RPC_URL: bare, BITCOIND_COOKIE_FILE: '/bitcoin/.cookie' })).toEqual([]);
    for (const closed of [bare, 'http://user@127.0.0.1:8332'])
      expect(faults({ BITCOIND_RPC_URL: closed })).toEqual([
        'BITCOIND_RPC_URL must hold a user and a password unless BITCOIND_COOKIE_FILE is set',
      ]);
    expect(faults({ CHAIN: 'demo' })).toEqual([]);
    expect(faults({ CHAIN: 'main' })).toEqual(['CHAIN must be one of demo']);
    expect(faults({ CHAIN: 'demo', BITCOIND_RPC_URL: url })).toEqual([
      'CHAIN cannot be set together with BITCOIND_RPC_URL: there is one chain',
    ]);
  });

  it('is told of by the Core that is asked', () => {
    const addresses = {
      BITCOIND_ZMQ_HASHBLOCK: 'tcp://127.0.0.1:28332',
      BITCOIND_ZMQ_SEQUENCE: 'ipc:///zmq',
    };
    expect(faults({ ...addresses, BITCOIND_RPC_URL: url })).toEqual([]);
    expect(faults(addresses)).toEqual([
      'BITCOIND_RPC_URL must be set together with BITCOIND_COOKIE_FILE, BITCOIND_ZMQ_HASHBLOCK or BITCOIND_ZMQ_SEQUENCE',
    ]);
    for (const wrong of ['127.0.0.1:28332', 'tcp://127.0.0.1', 'http://127.0.0.1:28332'])
      expect(faults({ BITCOIND_RPC_URL: url, BITCOIND_ZMQ_HASHBLOCK: wrong })).toEqual([
        'BITCOIND_ZMQ_HASHBLOCK must be an address like tcp://127.0.0.1:28332',
      ]);
  });
});

describe('what is delivered from outside', () => {
  const contract = 'SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7.bitpay-core';

  it('comes from the contracts that are named', () => {
    const env = { CHAINHOOK_SECRET: 'x'.repeat(16), CHAINHOOK_CONTRACTS: `${contract}, ${contract}-2` };
    expect(readConfig(env).chainhookContracts).toEqual([contract, `${contract}-2`]);
    expect(faults({ CHAINHOOK_SECRET: 'x'.repeat(16) })).toEqual([
      'CHAINHOOK_CONTRACTS must be set together with CHAINHOOK_SECRET: a transaction can hold prints of any contract',
    ]);
    for (const wrong of ['SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7', `${contract},`, 'core'])
      expect(faults({ CHAINHOOK_CONTRACTS: wrong })).toEqual([
        'CHAINHOOK_CONTRACTS must be principals of contracts like SP….name, separated by commas',
      ]);
    expect(faults({ INDEXER_WEBHOOK_SECRET: 'short' })).toEqual([
      'INDEXER_WEBHOOK_SECRET must have at least 16 characters',
    ]);
  });

  it('comes through a queue only with a Redis', () => {
    expect(faults({ SETTLEMENT_QUEUE: 'settlements' })).toEqual([
      'REDIS_URL must be set together with SETTLEMENT_QUEUE',
    ]);
    expect(faults({ SETTLEMENT_QUEUE: 'a:b', REDIS_URL: 'redis://localhost' })).toEqual([
      'SETTLEMENT_QUEUE must be the name of a BullMQ queue: no spaces, no colons',
    ]);
  });
});
