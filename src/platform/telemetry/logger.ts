import { pino, stdTimeFunctions } from 'pino';

export type Logger = ReturnType<typeof createLogger>;

/** JSON lines on standard output. What could be a secret is never handed to it; the usual fields are redacted too. */
export function createLogger(level: string, destination?: { write(line: string): void }) {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    redact: ['authorization', 'token', 'ticket', 'accessToken', 'preimage', 'bolt11'],
  };
  return destination ? pino(options, destination) : pino(options);
}
