import { buildSchema, type ExecutionArgs, type ExecutionResult, GraphQLError, parse } from 'graphql';
import type { Context, Services } from '../../src/graphql/context.ts';
import { createDelivery, type Frame } from '../../src/graphql/delivery.ts';
import { createMaskError } from '../../src/graphql/errors.ts';
import type { Watch, WatchingContext } from '../../src/graphql/watch.ts';
import { type Connection, createConnections } from '../../src/platform/auth/connections.ts';
import type { View, Viewer } from '../../src/platform/auth/viewer.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Delivery } from '../../src/platform/feed/rendering.ts';
import { Subscription } from '../../src/platform/feed/subscription.ts';
import type { Json } from './clients.ts';
import type { FeedNode } from './feeds.ts';
import { type Pushed, push } from './takers.ts';
import { anonymous } from './viewers.ts';

const sdl = `
  type Query { nothing: Int }
  input Filter { least: Int = 0, name: String }
  type Subscription {
    watched(
      topic: ID!, after: String, other: String, filter: Filter, sats: String,
      access: String = "OWNER", objectId: ID = "job_1", userId: ID, isRefused: Boolean, types: [String!]
    ): Watched
  }
  interface Watched { n: Int }
  type Kept implements Watched { n: Int, seen: Int, viewer: String, connection: Boolean, away: Int, bug: Int, text: String }
  type Other implements Watched { n: Int }
  type Snapshot implements Watched { n: Int }
`;

type Resolve = (delivery: Delivery, context: Context) => unknown;

/** What the fields of Kept answer, beside its facts. */
export interface Resolvers {
  readonly seen?: Resolve;
  readonly viewer?: Resolve;
  readonly connection?: Resolve;
  readonly away?: Resolve;
  readonly bug?: Resolve;
}

interface SubscribeOptions {
  readonly variables?: Json;
  readonly operationName?: string;
  readonly viewer?: Viewer;
  readonly connection?: Connection;
  readonly context?: Partial<Context>;
  readonly snapshot?: boolean;
}

/** A subscription as it was started, with its arguments and who takes what it is told. */
export interface Started {
  readonly args: ExecutionArgs;
  readonly subscription: Subscription<Frame>;
  readonly taker: Pushed<Frame>;
  /** The results as clients read them. */
  results(): Json[];
}

/** Delivery over a small schema of its own; `executed` has the event of each execution, and its context. */
export function startDelivery(node: FeedNode, resolvers: Resolvers = {}) {
  const executed: Array<{ readonly n: unknown; readonly context: Context }> = [];
  const bugs: unknown[] = [];
  const rights = { isRefused: false, access: undefined as View | undefined };
  let notShareable = 0;
  const connections = createConnections({ clock: systemClock });
  const schema = buildSchema(sdl);
  const field = schema.getSubscriptionType()?.getFields().watched;
  if (!field) throw new Error('The schema has no subscription.');
  field.subscribe = (_root, args, context: WatchingContext) => {
    if (args.isRefused || rights.isRefused) throw new GraphQLError('not yours');
    const { topic, after, objectId, userId, types } = args;
    const access: View = rights.access ?? args.access;
    const view = { access, ...(userId ? { userId } : { objectId }) };
    const watched: Watch = { topic, after, view, ...(types && { types }) };
    return context.begin(isSnapshotted ? { ...watched, snapshot: { type: 'Snapshot', facts: {} } } : watched);
  };
  field.resolve = (delivery: Delivery, _args, context: Context) => {
    executed.push({ n: delivery.event.facts.n, context });
    const bound = Object.entries(resolvers).map(([name, resolve]) => [
      name,
      (_: unknown, executing: Context) => resolve(delivery, executing),
    ]);
    return { __typename: delivery.event.type, ...delivery.event.facts, ...Object.fromEntries(bound) };
  };
  let isSnapshotted = false;
  const services = { feeds: node } as unknown as Services;
  const delivery = createDelivery({
    services,
    maskError: createMaskError((error) => bugs.push(error)),
    onNotShareable: () => {
      notShareable += 1;
    },
  });
  const documents = new Map<string, ReturnType<typeof parse>>();

  function argsOf(query: string, options: SubscribeOptions): ExecutionArgs {
    const document = documents.get(query) ?? parse(query);
    documents.set(query, document);
    const viewer = options.viewer ?? anonymous;
    const connection = options.connection ?? connections.open(viewer);
    const contextValue: Context = {
      services,
      connection,
      viewer,
      address: undefined,
      resumeAfter: undefined,
      loaders: new Map(),
      ...options.context,
    };
    return {
      schema,
      document,
      operationName: options.operationName ?? null,
      variableValues: options.variables ?? {},
      contextValue,
    };
  }

  return {
    delivery,
    executed,
    bugs,
    rights,
    connections,
    get notShareable() {
      return notShareable;
    },

    /** Starts a subscription as it is asked for. */
    begin(query: string, options: SubscribeOptions = {}): Promise<Subscription<Frame> | ExecutionResult> {
      isSnapshotted = options.snapshot ?? false;
      return delivery.start(argsOf(query, options));
    },

    /** Starts a subscription that is not refused, and takes what it is told. */
    async subscribe(query: string, options: SubscribeOptions = {}): Promise<Started> {
      isSnapshotted = options.snapshot ?? false;
      const args = argsOf(query, options);
      const subscription = await delivery.start(args);
      if (!(subscription instanceof Subscription)) throw new Error(JSON.stringify(subscription));
      const taker = push(subscription);
      return {
        args,
        subscription,
        taker,
        results: () => taker.told.map(({ payload }) => JSON.parse(Buffer.from(payload, 'latin1').toString())),
      };
    },
  };
}
