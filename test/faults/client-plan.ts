import type { Field } from './record.ts';

/** Whose connection it is, and how long its tokens live; s. */
export interface Bearer {
  readonly subject: string;
  readonly roles: readonly string[];
}

/** A feed that a connection subscribes to. */
export interface PlannedFeed {
  readonly field: Field;
  /** A session, a job, or for activity the user. */
  readonly id: string;
  readonly from: 'START' | 'NOW';
}

/** A socket, or one EventSource for each feed. */
export interface PlannedConnection {
  readonly name: string;
  readonly transport: 'socket' | 'slow socket' | 'EventSource with a header' | 'EventSource with a ticket';
  readonly bearer: Bearer;
  /** Its tokens are revoked and expire; it comes back with others. */
  readonly isGuest: boolean;
  /** It watches the jobs of its bearer, as they are made. */
  readonly watchesJobs: boolean;
  readonly feeds: readonly PlannedFeed[];
}

/** All that a client process is told when it starts. */
export interface ClientPlan {
  readonly name: string;
  readonly seed: number;
  readonly history: string;
  /** The GraphQL endpoints of the nodes, through the relays. */
  readonly urls: readonly string[];
  readonly connections: readonly PlannedConnection[];
}

/** What is told to a client while it runs. */
export type ClientOrder =
  /** Watch a job from its start to its end, on the connections of its owner. */
  | { readonly kind: 'job'; readonly id: string; readonly owner: string }
  /** Come back with a token that lives for a few seconds. */
  | { readonly kind: 'shorten'; readonly connection: string }
  | { readonly kind: 'report' };

/** What a client says. */
export type ClientReport =
  | { readonly kind: 'token'; readonly connection: string; readonly token: string }
  /** The last cursor of each feed; null before the first event. */
  | { readonly kind: 'positions'; readonly feeds: Readonly<Record<string, string | null>> };

/** An owner, the sessions that are theirs, and the id of their user. */
export interface Owner {
  readonly subject: string;
  readonly userId: string;
  readonly sessions: readonly string[];
}

const feed = (field: Field, id: string, from: 'START' | 'NOW'): PlannedFeed => ({ field, id, from });

/** A client with a socket and EventSources for each owner, a slow reader, and guests whose rights end. */
export function planClient(
  base: Pick<ClientPlan, 'name' | 'seed' | 'history' | 'urls'>,
  owners: readonly Owner[],
): ClientPlan {
  const ofOwner = ({ subject, userId, sessions }: Owner, n: number): PlannedConnection[] => {
    const bearer = { subject, roles: ['USER', 'SERVICE'] };
    const usual = { bearer, isGuest: false, watchesJobs: false };
    const all = (from: 'START' | 'NOW') => [
      ...sessions.flatMap((id) => [feed('sessionUpdated', id, from), feed('sessionDebited', id, from)]),
      feed('activity', userId, from),
      feed('agentJobReady', '-', from),
    ];
    return [
      {
        name: `socket-${n}`,
        transport: 'socket',
        ...usual,
        watchesJobs: true,
        feeds: [...all('START'), ...all('NOW')],
      },
      { name: `mirror-${n}`, transport: 'socket', ...usual, feeds: all('NOW') },
      { name: `other-mirror-${n}`, transport: 'socket', ...usual, feeds: all('START') },
      {
        name: `slow-${n}`,
        transport: 'slow socket',
        ...usual,
        feeds: sessions.map((id) => feed('sessionUpdated', id, 'NOW')),
      },
      {
        name: `source-${n}`,
        transport: 'EventSource with a header',
        ...usual,
        feeds: [
          feed('activity', userId, 'START'),
          ...sessions.map((id) => feed('sessionUpdated', id, 'NOW')),
        ],
      },
      {
        name: `ticket-${n}`,
        transport: 'EventSource with a ticket',
        ...usual,
        feeds: [
          feed('activity', userId, 'NOW'),
          ...sessions.map((id) => feed('sessionDebited', id, 'START')),
        ],
      },
    ];
  };
  const sessions = owners.flatMap((owner) => owner.sessions);
  const guest = (n: number, transport: PlannedConnection['transport']): PlannedConnection => ({
    name: `guest-${n}`,
    transport,
    bearer: { subject: `guest-${n} of ${base.name}`, roles: ['SERVICE'] },
    isGuest: true,
    watchesJobs: false,
    feeds: sessions.map((id) => feed(n % 2 === 0 ? 'sessionUpdated' : 'sessionDebited', id, 'START')),
  });
  return {
    ...base,
    connections: [
      ...owners.flatMap(ofOwner),
      guest(0, 'socket'),
      guest(1, 'socket'),
      guest(2, 'EventSource with a header'),
      guest(3, 'EventSource with a ticket'),
    ],
  };
}

/** How many guests each client has. */
export const guestsPerClient = 4;
