import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Connection } from '../platform/auth/connections.ts';
import type { Bucket } from '../platform/limits/rate.ts';
import { utf8Characters } from '../platform/utf8.ts';
import { frameOf, Outbox, type Outboxes, type OutboxOwner } from './outbox.ts';
import type { SocketSubscription, SubscribingSocket } from './socket-subscription.ts';

/** A close code with its reason. */
export type Closing = readonly [code: number, reason: string];

/** A client that does not read what it is sent; it comes back and goes on behind its cursor. */
export const slowConsumer: Closing = [1013, 'Slow consumer'];

/** What has come with a socket. */
interface Arrival {
  readonly webSocket: WebSocket;
  /** The stream under it, which takes frames that are made already. */
  readonly stream: Duplex;
  readonly outboxes: Outboxes;
  readonly messages: Bucket | undefined;
  /** Where it came from, as far as that is counted. */
  readonly address: string | undefined;
}

/** One empty list for all. */
const none: readonly never[] = [];

/** A WebSocket with what belongs to it. A class and not closures: there are tens of thousands. */
export class Socket implements SubscribingSocket, OutboxOwner {
  readonly webSocket: WebSocket;
  readonly address: string | undefined;
  readonly messages: Bucket | undefined;
  /** Who is on it, once that is known. */
  connection: Connection | undefined;
  /** Whether anything was heard of it since it was last looked at. */
  isAlive = true;
  /** Whether its client has sent `connection_init`, and how often it was looked at until then. */
  isGreeted = false;
  looks = 0;
  /** With which others it is pinged. */
  round = 0;
  /** How often in a row it was found without any operation, and not taking what it was sent. */
  looksIdle = 0;
  looksStalled = 0;
  /** The ids of operations that have been asked for and do not run yet. */
  starting: readonly string[] = none;
  /** What graphql-ws does with a message, and at the end. */
  hear: ((text: string) => Promise<void>) | undefined;
  closed: ((code: number, reason: string) => unknown) | undefined;
  /** The code that this server has closed it with, if it has. */
  closedWith: number | undefined;
  /** The operations that are running on it, by their ids. */
  running: Readonly<Record<string, unknown>> = {};
  readonly #outbox: Outbox;
  // Arrays that grow leave room for more, and tens of thousands of sockets have one thing in each: these never grow.
  #subscriptions: readonly SocketSubscription[] = none;
  #releases: ReadonlyArray<() => void> = none;

  constructor({ webSocket, stream, outboxes, messages, address }: Arrival) {
    this.webSocket = webSocket;
    this.address = address;
    this.messages = messages;
    this.#outbox = new Outbox(stream, outboxes, this);
  }

  get isOpen(): boolean {
    return this.webSocket.readyState === WebSocket.OPEN;
  }

  get isIdle(): boolean {
    for (const _ in this.running) return false;
    return true;
  }

  get subscriptions(): readonly SocketSubscription[] {
    return this.#subscriptions;
  }

  get hasRoom(): boolean {
    return this.#outbox.hasRoom;
  }

  /** Sends a message; each character is a byte. */
  send(message: string): void {
    if (this.isOpen) this.#outbox.put(frameOf(message));
  }

  /** Sends an answer, which may have any characters. Who does not read answers is asked nothing more. */
  sendText(message: string): void {
    this.send(utf8Characters(message));
    if (!this.isOpen || this.hasRoom) return;
    if (this.#outbox.isOverfull) this.cut(slowConsumer);
    else this.webSocket.pause();
  }

  began(subscription: SocketSubscription): void {
    this.#subscriptions = this.#subscriptions.concat(subscription);
  }

  ended(subscription: SocketSubscription): void {
    this.#subscriptions = this.#subscriptions.filter((each) => each !== subscription);
  }

  /** Goes on with what waits for room. */
  room(): void {
    this.looksStalled = 0;
    if (this.webSocket.isPaused) this.webSocket.resume();
    // Not the same one first each time: there may not be room for all.
    const [first, ...others] = this.#subscriptions;
    if (first && others.length > 0) this.#subscriptions = [...others, first];
    for (const subscription of this.#subscriptions) subscription.changed();
  }

  /** Gives up what its subscriptions hold in memory; they read on when there is room. */
  forget(): void {
    for (const { subscription } of this.#subscriptions) subscription.forget();
  }

  shed(): void {
    this.cut(slowConsumer);
  }

  /** Has something done when it is gone. */
  onGone(release: () => void): void {
    this.#releases = this.#releases.concat(release);
  }

  /** Closes it behind what was sent before. */
  close([code, reason]: Closing): void {
    this.closedWith ??= code;
    this.#outbox.flush();
    this.webSocket.close(code, shortened(reason));
    this.#endAll();
  }

  /** Closes it at once: what waits to be sent is forgotten, and nobody reads any more for it. */
  cut([code, reason]: Closing): void {
    this.closedWith ??= code;
    this.#outbox.close();
    this.webSocket.close(code, reason);
    this.#endAll();
  }

  /** Its line is gone. */
  gone(): void {
    this.#outbox.close();
    this.connection?.closed();
    this.#endAll();
    for (const release of this.#releases) release();
    this.#releases = none;
  }

  /** The socket is closing by now, so that no client is told that its subscription is complete. */
  #endAll(): void {
    for (const { subscription } of this.#subscriptions) subscription.end();
  }
}

/** The longest reason of a close (RFC 6455, section 5.5); bytes. */
const longestReason = 123;

function shortened(reason: string): string {
  if (Buffer.byteLength(reason) <= longestReason) return reason;
  // Each character takes three bytes at most, and so does what says that there was more.
  return `${reason.slice(0, longestReason / 3 - 1)}…`;
}
