/** Connections refused, lost, or never made, as Node's sockets name them. */
const socketErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** SQLSTATEs (Postgres, appendix A) of a server that cannot, or that gave up: it may be able to later. */
const queryCanceled = '57014';
const lockNotAvailable = '55P03';
const idleInTransaction = '25P03';
const connectionExceptions = /^(08|53|57P)/;

/** What pg says, without a code, of connections that it could not make or has lost. */
const messages =
  /^(Connection terminated|Client has encountered a connection error|Query read timeout|timeout expired|timeout exceeded when trying to connect)/;

/** Whether a driver's error says that the database does not answer, and nothing of the statement. */
export function isUnavailability(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === undefined) return messages.test(String(message));
  const state = String(code);
  return (
    socketErrors.has(state) ||
    connectionExceptions.test(state) ||
    [queryCanceled, lockNotAvailable, idleInTransaction].includes(state)
  );
}
