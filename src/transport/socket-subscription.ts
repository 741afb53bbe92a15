import type { ExecutionArgs, ExecutionResult } from 'graphql';
import type { Frame } from '../graphql/delivery.ts';
import type { Subscription } from '../platform/feed/subscription.ts';
import { utf8Characters } from '../platform/utf8.ts';

/** What a subscription needs of its socket. */
export interface SubscribingSocket {
  /** Whether more may be sent now. If not, `changed` is called when it may. */
  readonly hasRoom: boolean;
  /** Sends a message; each character is a byte. */
  send(message: string): void;
  began(subscription: SocketSubscription): void;
  ended(subscription: SocketSubscription): void;
}

/** An operation that was refused, or has ended with errors: told as an `error` message. */
export class RefusedOperation extends Error {
  readonly result: ExecutionResult;

  constructor(result: ExecutionResult) {
    super('refused');
    this.result = result;
  }
}

type Step = IteratorResult<never, undefined>;

/**
 * A subscription on a socket. It writes its results itself, with its own id around what all of its group are sent.
 * To graphql-ws, which sees to the rest, it is a stream that yields nothing, and is over when the subscription is.
 */
export class SocketSubscription implements AsyncIterableIterator<never, undefined> {
  readonly args: ExecutionArgs;
  readonly subscription: Subscription<Frame>;
  readonly #socket: SubscribingSocket;
  readonly #head: string;
  #isTaking = false;
  #settle: { readonly resolve: (step: Step) => void; readonly reject: (error: unknown) => void } | undefined;

  constructor(socket: SubscribingSocket, id: string, args: ExecutionArgs, subscription: Subscription<Frame>) {
    this.#socket = socket;
    this.#head = utf8Characters(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
    this.args = args;
    this.subscription = subscription;
  }

  next(): Promise<Step> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.began(this);
      this.subscription.taker = this;
      this.changed();
    });
  }

  /** Ends it without errors. */
  async return(): Promise<Step> {
    this.subscription.end();
    return { done: true, value: undefined };
  }

  /** Ends it with errors, which the client is told. */
  refuse(result: ExecutionResult): void {
    this.subscription.fail(new RefusedOperation(result));
  }

  /** Sends what there is to send, as long as there is room. */
  changed(): void {
    const { subscription } = this;
    if (this.#isTaking) return;
    this.#isTaking = true;
    while (!subscription.isOver && this.#socket.hasRoom) {
      const frame = subscription.take();
      if (!frame) break;
      this.#socket.send(`${this.#head}${frame.payload}}`);
    }
    this.#isTaking = false;
    if (subscription.isOver) this.#finish();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(): void {
    this.#socket.ended(this);
    if (this.subscription.failure === undefined) this.#settle?.resolve({ done: true, value: undefined });
    else this.#settle?.reject(this.subscription.failure);
    this.#settle = undefined;
  }
}
