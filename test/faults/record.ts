import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';

/** The subscriptions that are watched. */
export type Field = 'sessionUpdated' | 'sessionDebited' | 'jobUpdated' | 'activity' | 'agentJobReady';

/**
 * What a client writes down, in the order in which it happened; `at` is the machine's time, ms. A feed is named
 * `<connection> <field> <id> <from>`. `token` is the `jti` of the token that the connection was opened with.
 */
export type Line =
  | { readonly kind: 'started'; readonly at: number }
  /** Made for the connection: the whole token. */
  | { readonly kind: 'token'; readonly connection: string; readonly text: string; readonly at: number }
  | { readonly kind: 'opened'; readonly connection: string; readonly token: string; readonly at: number }
  | {
      readonly kind: 'event';
      readonly feed: string;
      readonly cursor: string;
      readonly id: string;
      readonly type: string;
      readonly reason?: string | undefined;
      readonly token: string;
      readonly at: number;
    }
  /** An EventSource has lost its connection, or not got one, and tries again by itself. */
  | { readonly kind: 'lost'; readonly feed: string; readonly at: number }
  /** Told instead of an event: an error, an end, a close. */
  | {
      readonly kind: 'told';
      readonly feed: string;
      readonly what: string;
      readonly code: string;
      readonly token: string;
      readonly at: number;
    };

/** A delivery of an event, as it was written down. */
export type Delivered = Extract<Line, { kind: 'event' }>;

/** Where a client writes down what it was told: what it has not written, it resumes before. */
export interface Recorder {
  write(line: Line): void;
  flush(): void;
}

/** Opens a client's history to go on with it; a line that a kill has torn is left out. */
export function openRecorder(path: string): {
  readonly recorder: Recorder;
  readonly earlier: readonly Line[];
} {
  const earlier = existsSync(path) ? readLines(path) : [];
  const file = openSync(path, 'a');
  let waiting: string[] = [];
  function flush(): void {
    if (waiting.length === 0) return;
    const text = waiting.join('');
    waiting = [];
    writeSync(file, text);
  }
  process.once('exit', () => {
    flush();
    closeSync(file);
  });
  return {
    earlier,
    recorder: {
      write(line) {
        if (waiting.push(`${JSON.stringify(line)}\n`) === 1) setImmediate(flush);
      },
      flush,
    },
  };
}

/** Reads a history, and cuts off what is not a whole line. */
export function readLines(path: string): Line[] {
  const text = readFileSync(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) truncateSync(path, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** The name of a feed, which says all that the checker has to know of it. */
export const feedName = (connection: string, field: Field, id: string, from: 'START' | 'NOW') =>
  `${connection} ${field} ${id} ${from}`;

/** What the name of a feed says. */
export function readFeedName(feed: string) {
  const [connection = '', field = '', id = '', from = ''] = feed.split(' ');
  return { connection, field: field as Field, id, from: from as 'START' | 'NOW' };
}

/** The topic of the log that a subscription tells; `id` is that of a user for activity. */
export function topicOf(field: Field, id: string): string {
  if (field === 'jobUpdated') return `job:${id}`;
  if (field === 'activity') return `user:${id}`;
  return field === 'agentJobReady' ? 'agent-jobs' : `session:${id}`;
}
