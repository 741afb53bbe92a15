import { isIPv4 } from 'node:net';
import { z } from 'zod';

const MAX_SATS = 2_100_000_000_000_000;
const DAY_SECONDS = 86_400;
const YEAR_SECONDS = 365 * DAY_SECONDS;
const MEBIBYTE = 1_048_576;

const wholeNumber = (minimum: number, maximum: number) => {
  const message = `must be a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d+$/, message)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, message);
};

/** A number that bounds something; 0 for no bound. */
const limit = (minimum: number, maximum: number) => {
  const message = `must be 0 or a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d+$/, message)
    .transform(Number)
    .refine((value) => value === 0 || (value >= minimum && value <= maximum), message);
};

const sats = (minimum: number) => wholeNumber(minimum, MAX_SATS).transform(BigInt);

/** A share of an amount: 10,000 is all of it. */
const basisPoints = () => wholeNumber(0, 10_000);

const boolean = () =>
  z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'], error: 'must be true, false, 1 or 0' });

const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });

const secret = () => z.string().min(32, 'must have at least 32 characters');

/** A secret that another system may have made. */
const foreignSecret = () => z.string().min(16, 'must have at least 16 characters');

const httpUrl = () =>
  z
    .url({ protocol: /^https?$/, error: 'must be a URL that starts with http:// or https://' })
    .transform((text) => new URL(text));

/** A URL that may hold a password: kept as the text that the client library reads. */
const connectionUrl = (protocol: RegExp, example: string) =>
  z.url({ protocol, hostname: /./, error: `must be a URL like ${example}` });

/** Where a ZeroMQ publisher is. */
const zmqAddress = () =>
  z.string().regex(/^(tcp:\/\/[^\s/]+:\d+|ipc:\/\/\S+)$/, 'must be an address like tcp://127.0.0.1:28332');

const isOrigin = (text: string) =>
  /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text;

const origins = () =>
  z
    .string()
    .transform((text) => text.split(',').map((item) => item.trim()))
    .refine(
      (items) => items.every(isOrigin),
      'must be origins like https://app.example, separated by commas: lower case, no path, no default port',
    )
    .transform((items): readonly string[] => Object.freeze(items));

const variables = z.object({
  HOST: z.string().prefault('127.0.0.1').describe('Address to listen on.'),
  PORT: wholeNumber(0, 65_535).prefault('4000').describe('TCP port to listen on; 0 takes any free one.'),
  DATA_DIR: z
    .string()
    .prefault('.data')
    .describe('Folder of the embedded database and of the generated secret; unused with DATABASE_URL.'),
  DATABASE_URL: connectionUrl(/^postgres(ql)?$/, 'postgres://user:password@host:5432/satwire')
    .optional()
    .describe('Postgres 14 or newer, shared by all nodes. Unset: the embedded database, for one process.'),
  DATABASE_POOL_SIZE: wholeNumber(2, 1_000)
    .prefault('10')
    .describe('Most connections that this process opens to DATABASE_URL.'),
  REDIS_URL: connectionUrl(/^rediss?$/, 'redis://:password@host:6379')
    .optional()
    .describe(
      'Redis 6 or newer, which wakes the other nodes and has the SETTLEMENT_QUEUE. Unset: the one process, or polling the database.',
    ),
  LNBITS_URL: httpUrl()
    .refine(
      ({ username, password }) => username === '' && password === '',
      'must not hold a user or password',
    )
    .optional()
    .describe(
      'LNbits, 0.12 to 1.5. Unset: the stub Lightning backend, whose payments are not real. Needs DATABASE_URL, and JWT_SECRET or JWKS_URL.',
    ),
  LNBITS_INVOICE_KEY: z
    .string()
    .regex(/^[0-9A-Za-z_-]+$/, 'must be letters and digits')
    .optional()
    .describe('The invoice key of the LNbits wallet that receives payments.'),
  LNBITS_ADMIN_KEY: z
    .string()
    .regex(/^[0-9A-Za-z_-]+$/, 'must be letters and digits')
    .optional()
    .describe('The admin key of the same wallet, for payouts. Unset: with LNbits nothing is paid out.'),
  LNBITS_REQUESTS_PER_SECOND: wholeNumber(1, 40)
    .prefault('20')
    .describe('How often, at most, LNbits is asked for open invoices that nothing was heard of; per second.'),
  CHAINHOOK_SECRET: foreignSecret()
    .optional()
    .describe(
      'What Chainhook presents as `Authorization: Bearer <secret>` at `/webhooks/chainhook/…`. Unset: no such webhooks.',
    ),
  CHAINHOOK_CONTRACTS: z
    .string()
    .transform((text) => text.split(',').map((item) => item.trim()))
    .refine(
      (items) => items.every((item) => /^S[0-9A-Z]{20,45}\.[A-Za-z][\w-]{0,127}$/.test(item)),
      'must be principals of contracts like SP….name, separated by commas',
    )
    .transform((items): readonly string[] => Object.freeze(items))
    .optional()
    .describe('Contracts whose printed events count, separated by commas. Needed with CHAINHOOK_SECRET.'),
  INDEXER_WEBHOOK_SECRET: foreignSecret()
    .optional()
    .describe(
      'Key of the signatures (HMAC-SHA256) that the indexer puts on what it posts to `/webhooks/indexer`. Unset: no such webhook.',
    ),
  SETTLEMENT_QUEUE: z
    .string()
    .regex(/^[^\s:]{1,100}$/, 'must be the name of a BullMQ queue: no spaces, no colons')
    .optional()
    .describe(
      'BullMQ queue in REDIS_URL whose completed jobs `{streamId, transaction?}` settle streams. Unset: none.',
    ),
  BITCOIND_RPC_URL: httpUrl()
    .optional()
    .describe(
      'JSON-RPC of Bitcoin Core 24 or newer: `http://user:password@host:8332`. Unset: no chain is followed.',
    ),
  BITCOIND_COOKIE_FILE: z
    .string()
    .optional()
    .describe('File in which Bitcoin Core writes its password, in the place of one in BITCOIND_RPC_URL.'),
  BITCOIND_ZMQ_HASHBLOCK: zmqAddress()
    .optional()
    .describe('Where Bitcoin Core publishes `hashblock`. Unset: it is asked twice a second.'),
  BITCOIND_ZMQ_SEQUENCE: zmqAddress()
    .optional()
    .describe('Where Bitcoin Core publishes `sequence`; mostly the same address.'),
  CHAIN: oneOf(['demo'])
    .optional()
    .describe('`demo` makes a chain up, for trying things out. Unset: that of BITCOIND_RPC_URL, if any.'),
  PUBLIC_URL: httpUrl()
    .optional()
    .describe(
      'Where this server is reached from outside; LNbits posts its webhooks there. Unset: no webhooks.',
    ),
  TRUST_PROXY: wholeNumber(0, 10)
    .prefault('0')
    .describe('How many proxies stand in front and add to X-Forwarded-For; 0 believes none.'),
  JWT_SECRET: secret()
    .optional()
    .describe('Key of access tokens signed with HS256, at least 32 characters. Not together with JWKS_URL.'),
  JWKS_URL: httpUrl()
    .optional()
    .describe('Where the public keys of access tokens are published (a JSON Web Key Set).'),
  JWT_ISSUER: z.string().optional().describe('Issuer (`iss`) that access tokens must name.'),
  JWT_AUDIENCE: z.string().optional().describe('Audience (`aud`) that access tokens must name.'),
  SERVER_SECRET: secret()
    .optional()
    .describe(
      'Derives the access tokens of anonymous owners and signs requests to the agent, at least 32 characters. Unset: JWT_SECRET, else a secret that is generated once, in DATA_DIR or in DATABASE_URL.',
    ),
  ALLOWED_ORIGINS: origins()
    .optional()
    .describe('Origins whose pages may call the API, separated by commas. Unset: the same origin only.'),
  METRICS_TOKEN: z
    .string()
    .optional()
    .describe('When set, `/metrics` answers only to this Bearer token. Unset: to everyone.'),
  ALLOW_STUB: boolean()
    .prefault('false')
    .describe('Allows the stub Lightning backend, whose payments are not real, where others could reach it.'),
  AGENT: oneOf(['stub', 'http', 'external'])
    .optional()
    .describe(
      'Who does agent jobs: `stub` (made-up answers), `http` (posts to AGENT_URL), `external` (a service claims them). Unset: `http` when AGENT_URL is set, else `stub`.',
    ),
  AGENT_URL: httpUrl().optional().describe('Where the `http` agent is called.'),
  AGENT_TIMEOUT_SECONDS: wholeNumber(1, DAY_SECONDS)
    .prefault('60')
    .describe('How long one call of the agent may take, in seconds.'),
  AGENT_ATTEMPTS: wholeNumber(1, 100)
    .prefault('5')
    .describe('How often a step of the agent is tried before its job fails.'),
  AGENT_STUB_STEP_MS: wholeNumber(0, 3_600_000)
    .prefault('200')
    .describe('How long each step of the stub agent takes, in milliseconds.'),
  WEBSOCKET_ENABLED: boolean().prefault('true').describe('Whether WebSocket connections are accepted.'),
  WEBSOCKET_PATH: z
    .string()
    .regex(/^\/[^\s?#]*$/, 'must be a path that starts with /')
    .prefault('/graphql')
    .describe('Path of the WebSocket endpoint.'),
  WEBSOCKET_PORT: wholeNumber(0, 65_535)
    .optional()
    .describe('TCP port of the WebSocket endpoint. Unset: the same as HTTP.'),
  EVAL_PRICE_SATS: sats(1).prefault('10').describe('Price of evaluating an agent job, in sats.'),
  INVOICE_EXPIRY_SECONDS: wholeNumber(1, YEAR_SECONDS)
    .prefault('3600')
    .describe('How long an invoice can be paid, in seconds.'),
  DEPOSIT_MAX_SATS: sats(1).prefault('1000000').describe('Largest deposit into a wallet, in sats.'),
  PAYOUT_MAX_SATS: sats(1).prefault('1000000').describe('Largest payout, in sats.'),
  PAYOUT_FEE_RESERVE_BASIS_POINTS: basisPoints()
    .prefault('100')
    .describe(
      'What is held of a payout for the fee of routing it, in hundredths of a percent; what is not used returns.',
    ),
  PAYOUT_FEE_RESERVE_MIN_SATS: sats(0)
    .prefault('10')
    .describe('The least that is held for that fee, in sats.'),
  SESSION_DEPOSIT_MIN_SATS: sats(1).prefault('100').describe('Smallest deposit of a session, in sats.'),
  SESSION_DEPOSIT_MAX_SATS: sats(1).prefault('10000').describe('Largest deposit of a session, in sats.'),
  SESSION_MINIMUM_SATS: sats(1)
    .prefault('1')
    .describe('A session whose balance falls below this is paused, in sats.'),
  SESSION_IDLE_SECONDS: wholeNumber(1, YEAR_SECONDS)
    .prefault('86400')
    .describe('A session that is not used for this long expires, in seconds.'),
  ESCROW_FEE_BASIS_POINTS: basisPoints()
    .prefault('200')
    .describe('What the platform keeps of the pay of a completed escrowed job, in hundredths of a percent.'),
  STREAM_CANCEL_FEE_BASIS_POINTS: basisPoints()
    .prefault('100')
    .describe('What cancelling a stream costs of its unvested part, in hundredths of a percent.'),
  MARKETPLACE_FEE_BASIS_POINTS: basisPoints()
    .prefault('100')
    .describe('What the sale of a stream costs its seller of the price, in hundredths of a percent.'),
  TREASURY_PROPOSAL_EXPIRY_SECONDS: wholeNumber(1, YEAR_SECONDS)
    .prefault('2592000')
    .describe('A proposal of the treasury that is not executed for this long expires, in seconds.'),
  DRAIN_SECONDS: wholeNumber(0, 3_600)
    .prefault('10')
    .describe('How long a stopping server waits for what is under way, in seconds.'),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .prefault('info')
    .describe('Least severe log lines that are written.'),
  LIMIT_CONNECTIONS_PER_IP: wholeNumber(0, 1_000_000)
    .prefault('200')
    .describe(
      'Most sockets and streams open at a time from one IP address (IPv6: a /64); 0 is no limit. Not counted on loopback in stub mode.',
    ),
  LIMIT_CONNECTIONS_PER_VIEWER: wholeNumber(0, 1_000_000)
    .prefault('100')
    .describe('Most sockets and streams open at a time of one user, or of one access token; 0 is no limit.'),
  LIMIT_SUBSCRIPTIONS_PER_CONNECTION: wholeNumber(0, 1_000_000)
    .prefault('100')
    .describe('Most operations running on one connection at a time; 0 is no limit.'),
  LIMIT_MESSAGES_PER_SECOND: wholeNumber(0, 1_000_000)
    .prefault('50')
    .describe('Most messages taken from one WebSocket, per second; 0 is no limit.'),
  LIMIT_MUTATIONS_PER_MINUTE: wholeNumber(0, 1_000_000)
    .prefault('600')
    .describe(
      'Most mutations of one user, of one access token, or of one IP address without either, per minute; 0 is no limit. The role SERVICE has none.',
    ),
  LIMIT_MESSAGE_BYTES: limit(1_024, 64 * MEBIBYTE)
    .prefault('65536')
    .describe('Largest WebSocket message taken from a client, in bytes; 0 is no limit.'),
  LIMIT_BODY_BYTES: limit(1_024, 64 * MEBIBYTE)
    .prefault('131072')
    .describe('Largest HTTP request body, in bytes; 0 is no limit.'),
  LIMIT_IDLE_SECONDS: wholeNumber(0, YEAR_SECONDS)
    .prefault('300')
    .describe('A socket without any operation for this long is closed, in seconds; 0 is never.'),
  LIMIT_CONNECTION_BYTES: limit(1_024, 1_024 * MEBIBYTE)
    .prefault('262144')
    .describe('Most bytes that wait to be sent on one connection; 0 is no limit.'),
  LIMIT_BUFFERED_BYTES: limit(1_024, 1_048_576 * MEBIBYTE)
    .prefault('268435456')
    .describe('Most bytes that wait to be sent on all connections together; 0 is no limit.'),
  LIMIT_OPEN_INVOICES: wholeNumber(0, 1_000_000)
    .prefault('20')
    .describe('Most unpaid invoices open at a time for one caller, and for one IP address; 0 is no limit.'),
  LIMIT_TRACKED: wholeNumber(0, 1_000_000)
    .prefault('2000')
    .describe(
      'Most Bitcoin transactions and addresses tracked for one caller, and for one IP address; 0 is no limit. What nobody watches goes after 7 days.',
    ),
  TRUSTED_DOCUMENTS: z
    .string()
    .optional()
    .describe(
      'Path of a manifest of documents (JSON). With it no other document is executed. Unset: any is.',
    ),
  NODE_ENV: z
    .string()
    .optional()
    .describe('`production` refuses the stub backends unless ALLOW_STUB says otherwise.'),
});

type Variable = keyof typeof variables.shape;

/** Whether a host is this machine itself, and nobody else reaches it. */
export const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));

// A rule over several variables runs even when others are faulty, as long as its own were readable.
const unlessFaulty = (...needed: Variable[]) => ({
  when: ({ issues }: z.core.ParsePayload) =>
    !issues.some((issue) => needed.some((variable) => issue.path?.[0] === variable)),
});

/** Every environment variable: its key, type, default and meaning, and the rules between them. */
export const configSchema = variables
  .refine((env) => env.JWT_SECRET === undefined || env.JWKS_URL === undefined, {
    path: ['JWKS_URL'],
    error: 'cannot be set together with JWT_SECRET: tokens have one kind of key',
    ...unlessFaulty('JWT_SECRET', 'JWKS_URL'),
  })
  .refine((env) => env.AGENT !== 'http' || env.AGENT_URL !== undefined, {
    path: ['AGENT_URL'],
    error: 'must be set when AGENT is http',
    ...unlessFaulty('AGENT', 'AGENT_URL'),
  })
  .refine((env) => env.LNBITS_URL === undefined || env.LNBITS_INVOICE_KEY !== undefined, {
    path: ['LNBITS_INVOICE_KEY'],
    error: 'must be set together with LNBITS_URL',
    ...unlessFaulty('LNBITS_URL', 'LNBITS_INVOICE_KEY'),
  })
  .refine(
    (env) =>
      env.LNBITS_URL === undefined ||
      env.LNBITS_ADMIN_KEY === undefined ||
      env.LNBITS_ADMIN_KEY !== env.LNBITS_INVOICE_KEY,
    {
      path: ['LNBITS_ADMIN_KEY'],
      error: 'must differ from LNBITS_INVOICE_KEY: a wallet has two keys',
      ...unlessFaulty('LNBITS_URL', 'LNBITS_ADMIN_KEY', 'LNBITS_INVOICE_KEY'),
    },
  )
  .refine((env) => env.LNBITS_URL === undefined || env.DATABASE_URL !== undefined, {
    path: ['DATABASE_URL'],
    error: 'must be set together with LNBITS_URL: the embedded database is not safe against power loss',
    ...unlessFaulty('LNBITS_URL', 'DATABASE_URL'),
  })
  .refine((env) => env.LNBITS_URL === undefined || (env.JWT_SECRET ?? env.JWKS_URL) !== undefined, {
    path: ['JWT_SECRET'],
    error: 'or JWKS_URL must be set together with LNBITS_URL',
    ...unlessFaulty('LNBITS_URL', 'JWT_SECRET', 'JWKS_URL'),
  })
  .refine(
    (env) => env.LNBITS_URL || env.ALLOW_STUB || (isLoopback(env.HOST) && env.NODE_ENV !== 'production'),
    {
      path: ['ALLOW_STUB'],
      error:
        'must be true to run the stub Lightning backend (payments are not real) on a HOST that is not loopback or with NODE_ENV=production',
      ...unlessFaulty('LNBITS_URL', 'ALLOW_STUB'),
    },
  )
  .refine((env) => env.CHAINHOOK_SECRET === undefined || env.CHAINHOOK_CONTRACTS !== undefined, {
    path: ['CHAINHOOK_CONTRACTS'],
    error: 'must be set together with CHAINHOOK_SECRET: a transaction can hold prints of any contract',
    ...unlessFaulty('CHAINHOOK_SECRET', 'CHAINHOOK_CONTRACTS'),
  })
  .refine((env) => env.SETTLEMENT_QUEUE === undefined || env.REDIS_URL !== undefined, {
    path: ['REDIS_URL'],
    error: 'must be set together with SETTLEMENT_QUEUE',
    ...unlessFaulty('SETTLEMENT_QUEUE', 'REDIS_URL'),
  })
  .refine(
    ({ BITCOIND_RPC_URL: url, BITCOIND_COOKIE_FILE: cookie }) =>
      url === undefined || cookie !== undefined || (url.username !== '' && url.password !== ''),
    {
      path: ['BITCOIND_RPC_URL'],
      error: 'must hold a user and a password unless BITCOIND_COOKIE_FILE is set',
      ...unlessFaulty('BITCOIND_RPC_URL', 'BITCOIND_COOKIE_FILE'),
    },
  )
  .refine(
    (env) =>
      env.BITCOIND_RPC_URL !== undefined ||
      (env.BITCOIND_COOKIE_FILE ?? env.BITCOIND_ZMQ_HASHBLOCK ?? env.BITCOIND_ZMQ_SEQUENCE) === undefined,
    {
      path: ['BITCOIND_RPC_URL'],
      error:
        'must be set together with BITCOIND_COOKIE_FILE, BITCOIND_ZMQ_HASHBLOCK or BITCOIND_ZMQ_SEQUENCE',
      ...unlessFaulty(
        'BITCOIND_RPC_URL',
        'BITCOIND_COOKIE_FILE',
        'BITCOIND_ZMQ_HASHBLOCK',
        'BITCOIND_ZMQ_SEQUENCE',
      ),
    },
  )
  .refine((env) => env.CHAIN === undefined || env.BITCOIND_RPC_URL === undefined, {
    path: ['CHAIN'],
    error: 'cannot be set together with BITCOIND_RPC_URL: there is one chain',
    ...unlessFaulty('CHAIN', 'BITCOIND_RPC_URL'),
  })
  .refine((env) => env.SESSION_DEPOSIT_MIN_SATS <= env.SESSION_DEPOSIT_MAX_SATS, {
    path: ['SESSION_DEPOSIT_MIN_SATS'],
    error: 'must not be above SESSION_DEPOSIT_MAX_SATS',
    ...unlessFaulty('SESSION_DEPOSIT_MIN_SATS', 'SESSION_DEPOSIT_MAX_SATS'),
  })
  .refine((env) => env.WEBSOCKET_PORT !== env.PORT || env.PORT === 0, {
    path: ['WEBSOCKET_PORT'],
    error: 'must differ from PORT: leave it unset to use the same port',
    ...unlessFaulty('PORT', 'WEBSOCKET_PORT'),
  })
  .transform((env) => ({
    ...env,
    AGENT: env.AGENT ?? (env.AGENT_URL === undefined ? 'stub' : 'http'),
    ALLOWED_ORIGINS: env.ALLOWED_ORIGINS ?? [],
  }));

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<CamelCase<Tail>>}`
  : Lowercase<S>;

type Environment = z.output<typeof configSchema>;

/** The configuration: each variable under its name in camel case; amounts in sats are bigint. */
export type Config = Readonly<
  { [Key in keyof Environment as CamelCase<Key>]: Environment[Key] } & {
    /** Whether the Lightning backend is the stub, whose payments are not real. */
    stubMode: boolean;
  }
>;

/** The environment holds variables that cannot be used; the message has a line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const camelCase = (variable: string) =>
  variable.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** Reads the configuration from an environment (empty means unset); throws ConfigError naming every fault. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const result = configSchema.safeParse(set);
  if (!result.success) {
    // Messages are the schema's own words and never the values: some of these are secrets.
    throw new ConfigError(
      result.error.issues.map((issue) => `${issue.path.join()} ${issue.message}`).join('\n'),
    );
  }
  const entries = Object.entries(result.data).map(([variable, value]) => [camelCase(variable), value]);
  const stubMode = result.data.LNBITS_URL === undefined;
  return Object.freeze({ ...Object.fromEntries(entries), stubMode }) as Config;
}
