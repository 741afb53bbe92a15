/** Every migration, in the order in which they are applied; each lies beside what owns its tables. */
export const migrations: readonly URL[] = [
  './platform/log/0001-log.sql',
  './platform/work/0002-work.sql',
  './money/0003-money.sql',
  './platform/auth/0004-auth.sql',
  './jobs/0005-jobs.sql',
  './sessions/0006-sessions.sql',
  './platform/auth/0007-secret.sql',
  './money/0008-open-invoices.sql',
  './platform/log/0009-retention.sql',
  './platform/auth/0010-reconnect-tickets.sql',
].map((path) => new URL(path, import.meta.url));
