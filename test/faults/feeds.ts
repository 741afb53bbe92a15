import type { PlannedFeed } from './client-plan.ts';
import { type Delivered, type Field, feedName, type Line, type Recorder } from './record.ts';

const facts = 'id cursor type: __typename';

const queries: Readonly<Record<Field, string>> = {
  sessionUpdated: `subscription ($id: ID!, $after: Cursor) { event: sessionUpdated(id: $id, after: $after) {
    ${facts} ... on SessionDebited { balanceAfter memo } ... on SessionSnapshot { reason } } }`,
  sessionDebited: `subscription ($id: ID!, $after: Cursor) { event: sessionDebited(id: $id, after: $after) {
    ${facts} balanceAfter session { id state } } }`,
  jobUpdated: `subscription ($id: ID!, $after: Cursor) { event: jobUpdated(id: $id, after: $after) {
    ${facts} job { id ... on AgentJob { state } } ... on JobSnapshot { reason } } }`,
  activity: `subscription ($after: Cursor) { event: activity(after: $after) {
    ${facts} ... on SessionDebited { memo } ... on JobEvent { job { id } } } }`,
  agentJobReady: `subscription ($after: Cursor) { event: agentJobReady(after: $after) { ${facts} } }`,
};

/** Behind these nothing more happens to the jobs of a run. */
const lastOfJob = ['JobCompleted', 'JobRejected', 'JobPaymentReturned'];

/** What the server sends for an operation. */
export interface Result {
  readonly data?: { readonly event?: ToldEvent | null } | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: unknown } }[];
}

interface ToldEvent {
  readonly id: string;
  readonly cursor: string;
  readonly type: string;
  readonly reason?: string;
}

/** One feed of one connection: where it stands, and what it writes down. */
export interface ClientFeed {
  readonly name: string;
  readonly query: string;
  /** The object that a client keeps and sends again; its `after` is kept up to date. */
  readonly variables: Record<string, unknown>;
  /** Whether there is nothing more to come. */
  readonly over: boolean;
  hear(result: Result, token: string): void;
  /** Its connection was lost, or was not to be had. */
  lost(): void;
  /** Something else than an event was told. */
  told(what: string, code: string, token: string): void;
}

/** A feed that goes on where an earlier process of this client has written that it stood. */
export function createClientFeed(
  connection: string,
  { field, id, from }: PlannedFeed,
  recorder: Recorder,
  earlier: ReadonlyMap<string, Delivered>,
): ClientFeed {
  const name = feedName(connection, field, id, from);
  const last = earlier.get(name);
  const after = last?.cursor ?? (from === 'START' ? 'START' : null);
  const hasId = field !== 'activity' && field !== 'agentJobReady';
  const isLast = (type: string) => field === 'jobUpdated' && lastOfJob.includes(type);
  const variables: Record<string, unknown> = { ...(hasId && { id }), after };
  let over = last !== undefined && isLast(last.type);

  const feed: ClientFeed = {
    name,
    query: queries[field],
    variables,
    get over() {
      return over;
    },
    hear({ data, errors }, token) {
      const event = data?.event;
      if (!event || errors) {
        feed.told('errors instead of an event', codesOf(errors), token);
        return;
      }
      const { id: eventId, cursor, type, reason } = event;
      variables.after = cursor;
      recorder.write({ kind: 'event', feed: name, cursor, id: eventId, type, reason, token, at: Date.now() });
      over = isLast(type);
    },
    lost: () => recorder.write({ kind: 'lost', feed: name, at: Date.now() }),
    told: (what, code, token) =>
      recorder.write({ kind: 'told', feed: name, what, code, token, at: Date.now() }),
  };
  return feed;
}

/** The last event of each feed in a history. */
export function lastDelivered(lines: readonly Line[]): ReadonlyMap<string, Delivered> {
  const last = new Map<string, Delivered>();
  for (const line of lines) if (line.kind === 'event') last.set(line.feed, line);
  return last;
}

/** The codes of errors, as one word. */
export const codesOf = (errors: Result['errors']): string =>
  errors?.map(({ extensions }) => String(extensions?.code)).join() ?? 'none';
