import { z } from 'zod';
import type { BusMessage } from './bus.ts';

/** The longest message that is sent or taken; bytes. */
export const maximumMessageBytes = 65_536;

const name = z.string().min(1).max(200);
const topic = z.string().min(1).max(1_000);
const seq = z.int().nonnegative();

const wake = z.strictObject({ topic, epoch: name, seq });
const ephemeral = z.strictObject({
  /** The bus that it was published to, which has carried it to its own listeners already. */
  origin: name,
  topic,
  seq,
  event: z.strictObject({
    id: name,
    type: name,
    version: z.int().nonnegative(),
    facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
    occurredAt: z.iso.datetime().transform((text) => new Date(text)),
  }),
});

/** A message as it came from another bus; a wake-up does not say from which. */
export interface Received {
  readonly message: BusMessage;
  readonly origin?: string;
}

/** The text that stands for a message between nodes. */
export function encodeMessage(message: BusMessage, origin: string): string {
  const { kind, topic, seq } = message;
  return kind === 'WAKE'
    ? JSON.stringify({ topic, epoch: message.epoch, seq })
    : JSON.stringify({ origin, topic, seq, event: message.event });
}

/** Reads what came over the channel of a topic, parsed as JSON; undefined when it is no message to that topic. */
export function readMessage(value: unknown, ofTopic: string): Received | undefined {
  const woken = wake.safeParse(value);
  const received: Received | undefined = woken.success
    ? { message: { kind: 'WAKE', ...woken.data } }
    : readEphemeral(value);
  return received?.message.topic === ofTopic ? received : undefined;
}

function readEphemeral(value: unknown): Received | undefined {
  const { success, data } = ephemeral.safeParse(value);
  if (!success) return undefined;
  const { origin, ...rest } = data;
  return { message: { kind: 'EPHEMERAL', ...rest }, origin };
}
