import { pino, stdTimeFunctions } from 'pino';

export type Logger = ReturnType<typeof createLogger>;

/** JSON lines on standard output. What could be a secret is never handed to it; the usual fields are redacted too. */
export function createLogger(level: string, destination?: { write(line: string): void }) {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    redact: ['authorization', 'token', 'ticket', 'accessToken', 'preimage', 'bolt11'],
    serializers: { err: describeError },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** What and where it was, no more: drivers hang the statement and its parameters on their errors. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  return {
    type: name,
    message,
    stack,
    code: (error as { code?: unknown }).code,
    ...(cause !== undefined && { cause: describeError(cause) }),
  };
}
