import { EventSource } from 'eventsource';
import type { As, Clients, Json } from './clients.ts';
import type { Random } from './random.ts';

/** A subscriber that resumes by itself, and what it has received in all. */
export interface Resuming {
  readonly events: Json[];
  /** What it was told instead of events; it must stay empty. */
  readonly failures: unknown[];
  /** How often its connection was cut. */
  readonly cuts: number;
  /** Behind what it resumed each time: the last event that it had received. */
  readonly resumedBehind: Json[];
  close(): void;
}

interface Cutting {
  readonly random: Random;
  /** Cuts until it answers false. */
  readonly wanted: () => boolean;
  /** The longest that a connection lives; ms. */
  readonly longestMs: number;
}

/**
 * Subscribes with a graphql-ws client that resumes behind the last cursor it received, whether the event was
 * kept or not, and cuts its socket at random moments.
 */
export function resumingSocket(
  { socket }: Clients,
  query: string,
  id: string,
  as: As,
  cutting?: Cutting,
): Resuming {
  const events: Json[] = [];
  const failures: unknown[] = [];
  const resumedBehind: Json[] = [];
  let cuts = 0;
  let closed = false;
  const client = socket(as, {
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 5)),
    on: {
      opened(opened) {
        if (events.length > 0) resumedBehind.push(events.at(-1));
        if (!cutting?.wanted()) return;
        setTimeout(() => {
          cuts += 1;
          (opened as { terminate(): void }).terminate();
        }, cutting.random.below(cutting.longestMs));
      },
    },
  });
  // The client sends these variables again when it comes back, as they are then.
  const variables: Record<string, unknown> = { id, after: 'START' };
  const unsubscribe = client.subscribe(
    { query, variables },
    {
      next({ data, errors }) {
        if (!data || errors) failures.push(errors);
        const event: Json = Object.values(data ?? {})[0];
        events.push(event);
        variables.after = event.cursor;
      },
      error: (error) => failures.push(error),
      complete: () => closed || failures.push('complete'),
    },
  );
  return {
    events,
    failures,
    resumedBehind,
    get cuts() {
      return cuts;
    },
    close() {
      closed = true;
      unsubscribe();
    },
  };
}

/** Subscribes with an EventSource as it comes: it reconnects by itself, with its Last-Event-ID. */
export async function resumingEventSource(
  { ask }: Clients,
  url: string,
  query: string,
  id: string,
  as: As,
): Promise<Resuming> {
  const { createTicket } = await ask('mutation { createTicket { ticket } }', {}, as);
  const address = new URL(url);
  address.searchParams.set('query', query);
  address.searchParams.set('variables', JSON.stringify({ id, after: 'START' }));
  address.searchParams.set('ticket', createTicket.ticket);
  const source = new EventSource(address);
  const events: Json[] = [];
  const failures: unknown[] = [];
  const resumedBehind: Json[] = [];
  let cuts = 0;
  source.addEventListener('next', ({ data }) => {
    const result = JSON.parse(data);
    if (!result.data || result.errors) failures.push(result.errors);
    events.push(Object.values(result.data ?? {})[0]);
  });
  source.addEventListener('complete', () => failures.push('complete'));
  source.addEventListener('error', (error) => {
    if (source.readyState === source.CLOSED) failures.push(error);
    else cuts += 1;
  });
  source.addEventListener('open', () => events.length > 0 && resumedBehind.push(events.at(-1)));
  return {
    events,
    failures,
    resumedBehind,
    get cuts() {
      return cuts;
    },
    close: () => source.close(),
  };
}
