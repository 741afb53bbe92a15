import { createSourceEventStream, type ExecutionArgs, type ExecutionResult, execute } from 'graphql';
import type { Connection } from '../platform/auth/connections.ts';
import { isUnavailable } from '../platform/errors.ts';
import {
  type Delivery,
  NotShareableError,
  type Personal,
  type Rendering,
  type Renderings,
} from '../platform/feed/rendering.ts';
import { subscribe } from '../platform/feed/subscribe.ts';
import { Subscription } from '../platform/feed/subscription.ts';
import { utf8Characters } from '../platform/utf8.ts';
import type { TopicView } from './access.ts';
import type { Context, Services } from './context.ts';
import { type MaskError, rootCause } from './errors.ts';
import { typeOfEvent } from './event-types.ts';
import { createOperationKeys } from './operation-keys.ts';
import type { Watch, WatchingContext } from './watch.ts';

/** What an event has become for those who watch it alike: the result of the operation, ready to be sent. */
export interface Frame {
  /** Where to go on behind it. */
  readonly cursor: string;
  /** The result as JSON in UTF-8, each byte a character: it goes on a wire as latin1. */
  readonly payload: string;
}

/** How a subscription's results are rendered, with what it asks for. */
interface OperationRendering extends Rendering<Frame> {
  readonly args: ExecutionArgs;
  readonly watch: Watch;
}

type RenderFor = (connection: Connection, args: ExecutionArgs, watch: Watch) => Rendering<Frame>;

/** Who is on a connection. A class and not closures: there are tens of thousands, and few of them ever matter. */
class OnConnection implements Personal<Frame> {
  readonly #connection: Connection;
  readonly #renderFor: RenderFor;

  constructor(connection: Connection, renderFor: RenderFor) {
    this.#connection = connection;
    this.#renderFor = renderFor;
  }

  alone(shared: Rendering<Frame>): Rendering<Frame> {
    const { args, watch } = shared as OperationRendering;
    return this.#renderFor(this.#connection, args, watch);
  }
}

interface Dependencies {
  readonly services: Services;
  readonly maskError: MaskError;
  /** Hears of each operation that could not be shared although nobody had said so. */
  readonly onNotShareable: () => void;
}

/** The context of a page of events: one that belongs to nobody says whether it was asked who watches. */
interface ExecutionContext extends Context {
  readonly wasAskedWho?: () => boolean;
}

export type DeliverySystem = ReturnType<typeof createDelivery>;

/**
 * Runs subscriptions. Those of one topic with the same document, variables and view are executed once for each
 * event, by a context that belongs to none of them; when that asks who watches, each is executed by itself.
 */
export function createDelivery({ services, maskError, onNotShareable }: Dependencies) {
  const keys = createOperationKeys();
  /** The operations that depend on who watches, by their documents. */
  const personal = new WeakMap<object, Set<unknown>>();
  const connectionIds = new WeakMap<Connection, number>();
  let lastConnectionId = 0;

  function idOf(connection: Connection): number {
    const known = connectionIds.get(connection);
    if (known !== undefined) return known;
    lastConnectionId += 1;
    connectionIds.set(connection, lastConnectionId);
    return lastConnectionId;
  }

  async function executeOne(args: ExecutionArgs, delivery: Delivery, contextValue: ExecutionContext) {
    // Within the execution it would be an error at a place of the result, and the event would be skipped.
    typeOfEvent(delivery.event, args.schema);
    const result = await execute({ ...args, rootValue: delivery, contextValue });
    if (contextValue.wasAskedWho?.())
      throw new NotShareableError(`${args.operationName ?? 'An operation'} depends on who watches.`);
    // Without its data a client would not know where to resume: it waits until what is missing answers.
    const missing = result.errors?.map(rootCause).find(isUnavailable);
    if (missing) throw missing;
    return { cursor: delivery.cursor, payload: serialize(result, maskError) };
  }

  /** One event after another, up to the first that fails. */
  async function executeAll(
    args: ExecutionArgs,
    deliveries: readonly Delivery[],
    contextValue: ExecutionContext,
  ): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (const delivery of deliveries)
      try {
        frames.push(await executeOne(args, delivery, contextValue));
      } catch (error) {
        if (frames.length === 0) throw error;
        break;
      }
    return frames;
  }

  const keyOf = (args: ExecutionArgs, { view }: Watch) =>
    `${keys.of(args)} ${view.access} ${view.objectId ?? view.userId ?? ''}`;

  function sharedRendering(args: ExecutionArgs, watch: Watch): OperationRendering {
    const { types, isLast, view } = watch;
    return {
      args,
      watch,
      key: keyOf(args, watch),
      types,
      isLast,
      async render(deliveries) {
        try {
          return await executeAll(args, deliveries, contextOfNobody(services, view));
        } catch (error) {
          if (error instanceof NotShareableError) {
            personal.set(args.document, (personal.get(args.document) ?? new Set()).add(args.operationName));
            onNotShareable();
          }
          throw error;
        }
      },
      sizeOf,
    };
  }

  function ownRendering(connection: Connection, args: ExecutionArgs, watch: Watch): OperationRendering {
    const { types, isLast, view } = watch;
    return {
      args,
      watch,
      key: `${keyOf(args, watch)} ${idOf(connection)}`,
      types,
      isLast,
      render: (deliveries) =>
        executeAll(args, deliveries, {
          ...contextOf(services, view),
          connection,
          viewer: connection.viewer,
        }),
      sizeOf,
    };
  }

  function renderings(args: ExecutionArgs, watch: Watch, connection: Connection): Renderings<Frame> {
    const isPersonal = personal.get(args.document)?.has(args.operationName) ?? false;
    return {
      shared: isPersonal ? ownRendering(connection, args, watch) : sharedRendering(args, watch),
      personal: new OnConnection(connection, ownRendering),
    };
  }

  /** Runs the subscription field; `begin` makes the subscription of what it says is watched. */
  async function resolve(
    args: ExecutionArgs,
    begin: (watch: Watch) => Promise<Subscription<Frame>>,
  ): Promise<Subscription<Frame> | ExecutionResult> {
    const context: WatchingContext = Object.create(args.contextValue as object, { begin: { value: begin } });
    const source = await createSourceEventStream({ ...args, contextValue: context });
    return source as Subscription<Frame> | ExecutionResult;
  }

  return {
    /** Starts a subscription, or answers why it does not start. */
    start(args: ExecutionArgs): Promise<Subscription<Frame> | ExecutionResult> {
      const { connection, resumeAfter, onPosition } = args.contextValue as Context;
      return resolve(args, async (watch) => {
        const { topic, after, snapshot } = watch;
        const subscription = await subscribe(
          services.feeds,
          { topic, after: resumeAfter ?? after, snapshot },
          renderings(args, watch, connection),
        );
        try {
          if (watch.confirm) subscription.rightfulAt(await watch.confirm());
        } catch (error) {
          subscription.end();
          throw error;
        }
        if (connection.isOver) subscription.end();
        onPosition?.(subscription.position);
        return subscription;
      });
    },

    /** Decides anew whether whoever is on the connection may watch this; answers why not, if they may not. */
    async authorize(
      args: ExecutionArgs,
      subscription: Subscription<Frame>,
    ): Promise<ExecutionResult | undefined> {
      const { connection } = args.contextValue as Context;
      const result = await resolve(args, async (watch) => {
        subscription.rerender(renderings({ ...args, contextValue: undefined }, watch, connection));
        return subscription;
      });
      return result instanceof Subscription ? undefined : result;
    },
  };
}

const sizeOf = ({ payload }: Frame) => payload.length;

/** What every execution of a subscription has, whoever it is for. */
function contextOf(services: Services, view: TopicView) {
  return { services, view, loaders: new Map(), address: undefined, resumeAfter: undefined };
}

/** A context that belongs to nobody: whoever asks it who watches gets an error, and that is noticed. */
function contextOfNobody(services: Services, view: TopicView) {
  let wasAsked = false;
  const refuse = (): never => {
    wasAsked = true;
    throw new NotShareableError('Nobody in particular watches here.');
  };
  return {
    ...contextOf(services, view),
    get viewer() {
      return refuse();
    },
    get connection() {
      return refuse();
    },
    wasAskedWho: () => wasAsked,
  };
}

function serialize({ errors, data }: ExecutionResult, maskError: MaskError): string {
  const json = JSON.stringify({ ...(errors && { errors: errors.map(maskError) }), data });
  return utf8Characters(json);
}
