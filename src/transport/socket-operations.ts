import { type ExecutionArgs, type ExecutionResult, GraphQLError, OperationTypeNode } from 'graphql';
import { CloseCode, type ServerOptions } from 'graphql-ws';
import type { Context, Services } from '../graphql/context.ts';
import type { DeliverySystem } from '../graphql/delivery.ts';
import { rootCause, UnknownEventError } from '../graphql/errors.ts';
import { buildSchema } from '../graphql/schema.ts';
import type { Documents } from '../graphql/trusted-documents.ts';
import { Subscription } from '../platform/feed/subscription.ts';
import { createKnownDocuments, type KnownDocument } from './documents.ts';
import { requireOperation } from './request-errors.ts';
import type { Closing, Socket } from './socket.ts';
import { requireFresh } from './socket-connections.ts';
import { RefusedOperation, SocketSubscription } from './socket-subscription.ts';
import type { Yoga } from './yoga.ts';

interface Dependencies {
  readonly services: Services;
  readonly yoga: Yoga;
  readonly delivery: DeliverySystem;
  readonly documents: Documents;
  /** How many operations one socket may have running; 0 for any number. */
  readonly maximumOperations: number;
}

const serviceRestart: Closing = [1012, 'Newer server needed'];

/** What graphql-ws keeps of a socket. */
export interface Extra extends Record<PropertyKey, unknown> {
  readonly socket: Socket;
}

export type Options = ServerOptions<Record<string, unknown>, Extra>;

type EnvelopedArgs = ExecutionArgs & {
  rootValue: { execute: (args: ExecutionArgs) => ExecutionResult };
};

/** What a client sends of an operation. */
interface OperationParams {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Record<string, unknown> | undefined;
}

/** Runs the operations of sockets. One that is refused gets an `error` message, and the socket lives. */
export function createSocketOperations(deps: Dependencies) {
  const { services, yoga, delivery, documents, maximumOperations } = deps;
  const known = createKnownDocuments();
  const schema = buildSchema();

  /** The context of an operation on a socket whose connection is known. */
  const contextOf = ({ connection, address }: ReturnType<typeof acknowledged>) => ({
    services,
    connection,
    viewer: connection.viewer,
    address,
    resumeAfter: undefined,
    loaders: new Map(),
  });

  /** Decides anew who may watch what, as the viewer has changed. */
  async function authorize(socket: Socket): Promise<void> {
    for (const running of socket.subscriptions) {
      const contextValue = contextOf(acknowledged(socket));
      const refusal = await delivery.authorize({ ...running.args, contextValue }, running.subscription);
      if (refusal) running.refuse(refusal);
    }
  }

  /** A document that was executed before, or is parsed and validated now. */
  function prepare(params: OperationParams, socket: Socket): KnownDocument {
    const found = known.get(params.query);
    if (found) return found;
    const enveloped = yoga.getEnveloped({ ...acknowledged(socket), params });
    const document = enveloped.parse(params.query);
    const errors = enveloped.validate(enveloped.schema, document);
    if (errors.length > 0) throw new RefusedOperation({ errors });
    requireOperation(document, params.operationName);
    return known.add(params.query, document);
  }

  const hooks = {
    async onSubscribe({ extra: { socket }, subscriptions }, id, payload) {
      socket.running = subscriptions;
      // It was completed before it had begun, and two of one name cannot be told apart.
      if (socket.starting.includes(id)) {
        socket.close([CloseCode.SubscriberAlreadyExists, `Subscriber for ${id} already exists`]);
        return [tooManyOperations(maximumOperations)];
      }
      if (maximumOperations > 0 && Object.keys(subscriptions).length > maximumOperations)
        return [tooManyOperations(maximumOperations)];
      try {
        const operationName = payload.operationName ?? undefined;
        const variables = payload.variables ?? undefined;
        const query = documents.resolve(payload) ?? payload.query;
        const params = { query, operationName, variables };
        socket.starting = socket.starting.concat(id);
        const { document, text } = prepare(params, socket);
        const operation = requireOperation(document, operationName);
        requireFresh(acknowledged(socket).connection, operation);
        // It is kept as long as the operation: one text for all who sent the same.
        (payload as { query: string }).query = text;
        const args = { schema, document, operationName, variableValues: variables };
        if (operation.operation === OperationTypeNode.SUBSCRIPTION)
          return { ...args, contextValue: contextOf(acknowledged(socket)) };
        const enveloped = yoga.getEnveloped({ ...acknowledged(socket), params });
        return {
          ...args,
          contextValue: await enveloped.contextFactory(),
          rootValue: { execute: enveloped.execute },
        };
      } catch (error) {
        started(socket, id);
        if (error instanceof RefusedOperation) return error.result.errors;
        return [yoga.maskError(error)];
      }
    },

    execute: (args) => (args as EnvelopedArgs).rootValue.execute(args),

    async subscribe(args) {
      const { connection, viewer, address } = args.contextValue as Context;
      let result = await delivery.start(args);
      // It is kept as long as the subscription, and of no use any more.
      args.contextValue = undefined;
      // The viewer was refreshed while it started: those who run already were looked at then.
      if (result instanceof Subscription && connection.viewer !== viewer) {
        const contextValue = contextOf({ connection, address });
        const refusal = await delivery.authorize({ ...args, contextValue }, result);
        if (refusal) {
          result.end();
          result = refusal;
        }
      }
      return result as AsyncIterableIterator<ExecutionResult> | ExecutionResult;
    },

    onOperation({ extra: { socket } }, id, _payload, args, result) {
      started(socket, id);
      if (result instanceof Subscription) return new SocketSubscription(socket, id, args, result);
      const { errors, data } = result as ExecutionResult;
      return errors && data === undefined ? refusing({ errors }) : undefined;
    },

    onError({ extra: { socket } }, _id, _payload, errors) {
      const cause = rootCause(errors[0]);
      if (cause instanceof UnknownEventError) socket.close(serviceRestart);
      const told = cause instanceof RefusedOperation ? cause.result.errors : errors;
      return told?.map((error) => yoga.maskError(error).toJSON());
    },
  } satisfies Options;

  return { hooks, authorize };
}

function started(socket: Socket, id: string): void {
  socket.starting = socket.starting.filter((starting) => starting !== id);
}

function acknowledged({ connection, address }: Socket) {
  if (!connection) throw new Error('An operation has come before the acknowledgement.');
  return { connection, address };
}

function tooManyOperations(maximum: number): GraphQLError {
  return new GraphQLError(`At most ${maximum} operations at a time on one socket.`, {
    extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 },
  });
}

/** What graphql-ws turns into an `error` message: a stream that fails before its first result. */
function refusing(result: ExecutionResult): AsyncIterable<ExecutionResult> {
  const next = () => Promise.reject(new RefusedOperation(result));
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
