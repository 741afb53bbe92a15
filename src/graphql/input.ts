import { badInput } from '../platform/errors.ts';

/** The text of an argument, if its length (in UTF-16 code units) is in bounds. */
export function textBetween(argument: string, text: string, minimum: number, maximum: number): string {
  if (text.length < minimum || text.length > maximum)
    throw badInput(argument, `${argument} must have ${minimum} to ${maximum} characters.`);
  // Postgres stores every character but this one.
  if (text.includes('\0')) throw badInput(argument, `${argument} must not contain the character U+0000.`);
  return text;
}

/** An idempotency key, if its length is right. */
export const idempotencyKey = (key: string) => textBetween('idempotencyKey', key, 16, 128);

export const idempotencyKeyDescription =
  'Random, 16 to 128 characters (a UUID): the same key and input do nothing again and give the same answer. Another input: CONFLICT.';
