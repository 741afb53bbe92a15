import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Tests of no database, or processes that have their own, and of what goes over a socket alone: they run once. */
const withoutDatabase = [
  'test/*.test.ts',
  'test/{browser,scripts}/**',
  'test/**/{machine,bolt11,bolt11-read,payer-contract,cursor,ids,ring,secrets,logger,metrics,loaders,scalars,tokens,requester}.test.ts',
  'test/**/{folder-lock,pglite,postgres,unavailability,in-process,redis,address,request-errors,stub,http,lnbits*}.test.ts',
  'test/**/{connection-counts,keyed-rate,rate,keys,connection-limits,mutation-limit,ping,trusted-documents,outbox,heartbeat,batch,utf8,access,operation-keys,blocks,clarity,chainhook}.test.ts',
  'test/system/{who-may,crash,kills,inbox-kills,docs,lnbits,nginx}.test.ts',
  'test/transport/**',
  'test/faults/**',
  'test/{nodes,chain}/**',
];

/**
 * Many who do something at once, who come one by one where there is one connection, as of the embedded database; and what
 * takes long, and no other way there.
 */
const onPostgresAlone = [
  'test/platform/log/retention.test.ts',
  'test/streams/{clocks,ticks}.test.ts',
  'test/system/{cuts,idempotency,open-invoices}.test.ts',
  'test/system/everything.test.ts',
  'test/{system,marketplace,treasury,jobs/escrow}/interleavings.test.ts',
  'test/marketplace/contention.test.ts',
  'test/money/payouts/faults.test.ts',
  'test/inbox/{mirrors,chain}.test.ts',
];

export default defineConfig({
  // Node itself loads graphql's CommonJS build, and so do the packages beside it: two copies do not mix.
  resolve: { alias: [{ find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve('graphql')) }] },
  test: {
    globalSetup: 'test/support/global-setup.ts',
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: 'embedded', include: ['test/**/*.test.ts'], exclude: onPostgresAlone },
      },
      {
        extends: true,
        test: {
          name: 'postgres',
          include: ['test/**/*.test.ts'],
          exclude: withoutDatabase,
          env: { SATWIRE_TEST_DATABASE: 'postgres' },
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/main.ts'],
      reporter: ['text-summary', 'json-summary'],
      thresholds: { lines: 95, branches: 95 },
    },
  },
});
