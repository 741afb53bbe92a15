import type { LogEvent } from '../log/event.ts';

/** Says that a topic has grown; whoever watches it reads the log. */
export interface Wake {
  readonly kind: 'WAKE';
  readonly topic: string;
  readonly epoch: string;
  readonly seq: number;
}

/** An event that is not kept, with the sequence that its topic had when it was made. */
export interface Ephemeral {
  readonly kind: 'EPHEMERAL';
  readonly topic: string;
  readonly seq: number;
  readonly event: LogEvent;
}

export type BusMessage = Wake | Ephemeral;

/**
 * Carries wake-ups between nodes. It may lose, repeat and reorder messages: nothing that has to be right
 * depends on it. `publish` neither throws nor waits.
 */
export interface Bus {
  publish(message: BusMessage): void;
  /**
   * Resolves once messages to the topic will arrive, or without that when the bus is away: `connected` is then
   * false until they do. Answers how to stop.
   */
  listen(topic: string, hear: (message: BusMessage) => void): Promise<() => void>;
  /** False while messages may be getting lost. */
  readonly connected: boolean;
  /** Hears each time `connected` has changed; what was published meanwhile may be lost. */
  onChange(hear: () => void): void;
  close(): Promise<void>;
}
