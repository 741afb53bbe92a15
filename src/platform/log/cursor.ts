import { badInput, PublicError } from '../errors.ts';

/** A position in a topic: everything up to and including `seq` has been seen. */
export interface Position {
  readonly topic: string;
  readonly epoch: string;
  readonly seq: number;
  /** The present state is still to be shown here: why, by its first letter. */
  readonly due?: 's' | 'g' | undefined;
}

/** The position before the first kept event, as clients write it. */
export const startCursor = 'START';

/** The opaque text of a position: base64url of epoch, sequence and topic. It grants nothing. */
export function encodeCursor({ topic, epoch, seq, due }: Position): string {
  return Buffer.from(`${epoch}.${seq}${due ?? ''}.${topic}`).toString('base64url');
}

/**
 * Reads a cursor, strictly: only what `encodeCursor` writes. `argument` is the one that it came in.
 * @throws PublicError BAD_USER_INPUT when it is malformed or of another topic.
 */
export function parseCursor(text: string, topic: string, argument = 'after'): Position {
  const malformed = () => badInput(argument, 'The cursor is malformed.');
  const decoded = Buffer.from(text, 'base64url').toString();
  const match = /^([0-9a-f]{12})\.(0|[1-9][0-9]{0,14})([sg]?)\.(.+)$/s.exec(decoded);
  const [, epoch, seq, due, ofTopic] = match ?? [];
  if (epoch === undefined || ofTopic === undefined) throw malformed();
  const position = { topic: ofTopic, epoch, seq: Number(seq), ...(due && { due: due as 's' | 'g' }) };
  if (encodeCursor(position) !== text) throw malformed();
  if (ofTopic !== topic) throw badInput(argument, 'The cursor belongs to another feed.');
  return position;
}

/** What lies behind a cursor can no longer be told; says where to begin anew. */
export const cursorExpired = (anew: Position) =>
  new PublicError('CURSOR_EXPIRED', 'What lies behind this cursor is no longer kept.', {
    cursor: encodeCursor(anew),
  });
