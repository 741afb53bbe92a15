import { randomUUID } from 'node:crypto';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { newId } from '../ids.ts';
import type { Facts } from '../log/event.ts';

/** What a node has told: numbers by short key. */
export interface Told {
  /** The node, under a name that it has drawn for itself. */
  readonly node: string;
  /** How often the node has told everything; 0 where that means nothing. */
  readonly round: number;
  readonly numbers: ReadonlyMap<string, number>;
}

interface Dependencies {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly topic: string;
  /** Hears what other nodes tell. */
  readonly hear: (told: Told) => void;
}

/** How often nodes tell what is new, at most; ms. */
export const tellEveryMs = 250;

/** How many numbers go into one message, which makes it some 25 KB. */
export const maximumNumbers = 1_000;

/** Tells numbers to the other nodes, and hears theirs. Like all that the bus carries, they may get lost. */
export async function createExchange({ bus, clock, topic, hear }: Dependencies) {
  const node = randomUUID();
  const stop = await bus.listen(topic, (message) => {
    if (message.kind !== 'EPHEMERAL') return;
    const told = readTold(message.event.facts);
    if (told && told.node !== node) hear(told);
  });

  return {
    /** Tells numbers, at most `maximumNumbers` of them. */
    tell(numbers: ReadonlyMap<string, number>, round: number): void {
      const text = [...numbers].map(([key, number]) => `${key}=${number}`).join();
      const event = {
        id: newId('evt'),
        type: 'NumbersTold',
        version: 1,
        facts: { node, round, numbers: text },
        occurredAt: new Date(clock.now()),
      };
      bus.publish({ kind: 'EPHEMERAL', topic, seq: 0, event });
    },

    stop,
  };
}

/** Anyone may have written it who reaches Redis: what has another form is left alone. */
function readTold({ node, round, numbers }: Facts): Told | undefined {
  if (typeof node !== 'string' || typeof round !== 'number' || typeof numbers !== 'string') return undefined;
  const read = new Map<string, number>();
  for (const entry of numbers === '' ? [] : numbers.split(',')) {
    const [, key, digits] = /^([\w-]{16})=(\d{1,9})$/.exec(entry) ?? [];
    if (key === undefined) return undefined;
    read.set(key, Number(digits));
  }
  return { node, round, numbers: read };
}
