/** The facts of an event: plain JSON values, so that a row reads the same before and after the database. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

/** What happened, as the log keeps it: the facts of that moment, in the shape that `version` names. */
export interface LogEvent {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly facts: Facts;
  readonly occurredAt: Date;
}

/** An event's place in a topic: one row of the log. */
export interface LogRow {
  readonly topic: string;
  readonly epoch: string;
  readonly seq: number;
  readonly event: LogEvent;
}

/** Where a topic stands in the database. `trimmedTo` is the last sequence that is no longer kept. */
export interface TopicHead {
  readonly epoch: string;
  readonly head: number;
  readonly trimmedTo: number;
}
