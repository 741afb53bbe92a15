/** The codes that an error may carry to a client, in `extensions.code`. */
export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'CONFLICT'
  | 'INSUFFICIENT_FUNDS'
  | 'RATE_LIMITED'
  | 'UNAVAILABLE'
  | 'CURSOR_EXPIRED'
  | 'PAYLOAD_TOO_LARGE';

/** Why a command conflicts with the present state. */
export type ConflictReason =
  | 'INVALID_STATE'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'TAKEN'
  | 'LISTED'
  | 'PRICE_CHANGED'
  | 'LEASE_HELD';

/**
 * An error that is meant for the client: its message and details leave the server as they are.
 * Every other error is a bug, and is masked.
 */
export class PublicError extends Error {
  override readonly name = 'PublicError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** The caller presented no credentials. */
export const unauthenticated = (message = 'This needs credentials.') =>
  new PublicError('UNAUTHENTICATED', message);

/** One answer for what is not the caller's, does not exist, or is malformed: an id tells nothing. */
export const forbidden = () => new PublicError('FORBIDDEN', 'You may not do this, or it does not exist.');

/** An argument is wrong; `argument` names it. */
export const badInput = (argument: string, message: string) =>
  new PublicError('BAD_USER_INPUT', message, { argument });

/** The command does not fit the present state. */
export const conflict = (reason: ConflictReason, message: string) =>
  new PublicError('CONFLICT', message, { reason });

/** Something that the server needs does not answer; the caller may try again. */
export const unavailable = (message: string, retryAfterMs: number, cause?: unknown) =>
  new PublicError('UNAVAILABLE', message, { retryAfterMs }, { cause });

/** Whether an error says that something does not answer for now, as `unavailable` does. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof PublicError && error.code === 'UNAVAILABLE';
}

/** The caller has done too much of something; they may again in a while. */
export const rateLimited = (message: string, retryAfterMs: number) =>
  new PublicError('RATE_LIMITED', message, { retryAfterMs });
