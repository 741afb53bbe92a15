import type { Duplex } from 'node:stream';

/** How much may wait to be sent; 0 for any amount. */
export interface OutboxLimits {
  /** On one socket, in bytes. */
  readonly socketBytes: number;
  /** On all sockets together, in bytes. */
  readonly totalBytes: number;
}

/** Whose outbox it is. */
export interface OutboxOwner {
  /** There is room again, after it had been asked for. */
  room(): void;
  /** Too much waits on all sockets together, and the most here: the socket is to be closed. */
  shed(): void;
}

/** How many frames may wait on one socket, however small they are. */
const maximumFrames = 1_024;

/** Who has no more than this is not made to wait for those who have; bytes. */
const smallBytes = 16_384;

/** How much of the rest is written in one turn, so that nothing else waits for all of it; bytes. */
const turnBytes = 1_048_576;

/** How many times as much as there is room for may wait, at most. */
const overfull = 16;

export type Outboxes = ReturnType<typeof createOutboxes>;

/** What the outboxes of a server share: the turn in which they write, and the sum of what waits. */
export function createOutboxes({ socketBytes, totalBytes }: OutboxLimits) {
  let filled: Outbox[] = [];
  /** Those whose socket has not taken everything. */
  const waiting = new Set<Outbox>();
  let waitingBytes = 0;

  function flush(): void {
    const due = filled;
    filled = [];
    const large: Outbox[] = [];
    for (const outbox of due)
      if (outbox.filledBytes > smallBytes) large.push(outbox);
      else outbox.flush();
    for (let bytes = 0; large.length > 0 && bytes < turnBytes; ) {
      const outbox = large.shift() as Outbox;
      bytes += outbox.filledBytes;
      outbox.flush();
    }
    if (large.length > 0 && filled.length === 0) setImmediate(flush);
    filled = [...large, ...filled];
    if (totalBytes > 0 && waitingBytes > totalBytes) shed();
  }

  /** Counts anew, as sockets send without saying so, and closes those first on which the most waits. */
  function shed(): void {
    for (const outbox of waiting) outbox.count();
    const largestFirst = [...waiting].sort((one, another) => another.waitingBytes - one.waitingBytes);
    for (const outbox of largestFirst) {
      if (waitingBytes <= totalBytes) return;
      outbox.giveUp();
    }
  }

  const shared = {
    socketBytes: socketBytes === 0 ? Number.POSITIVE_INFINITY : socketBytes,

    /**
     * Has an outbox written when this turn of the event loop is over, with all that has come into it until then;
     * in a later turn when there is a lot in it, and in others.
     */
    schedule(outbox: Outbox): void {
      if (filled.length === 0) setImmediate(flush);
      filled.push(outbox);
    },

    counted(outbox: Outbox, change: number): void {
      waitingBytes += change;
      if (outbox.waitingBytes > 0) waiting.add(outbox);
      else waiting.delete(outbox);
    },

    /** How many messages were put in. */
    messages: 0,

    /** How many bytes were waiting to be sent when they were counted last. */
    get waitingBytes(): number {
      return waitingBytes;
    },
  };
  return shared;
}

/** What a class of its own is for: there are tens of thousands, most of them empty. */
export class Outbox {
  readonly #socket: Duplex;
  readonly #shared: Outboxes;
  readonly #owner: OutboxOwner;
  /** What is written at the end of this turn; a character for each byte. */
  #filled = '';
  #frames = 0;
  #waitingBytes = 0;
  #isRoomWanted = false;
  #isClosed = false;

  constructor(socket: Duplex, shared: Outboxes, owner: OutboxOwner) {
    this.#socket = socket;
    this.#shared = shared;
    this.#owner = owner;
  }

  /** How much the socket had not taken when it was counted last; bytes. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** How much is in it that was not handed to the socket; bytes. */
  get filledBytes(): number {
    return this.#filled.length;
  }

  /** Whether more may be put in. If not, the owner hears when there is. */
  get hasRoom(): boolean {
    const bytes = this.#filled.length + this.#socket.writableLength;
    if (bytes < this.#shared.socketBytes && this.#frames < maximumFrames) return true;
    if (!this.#isRoomWanted) {
      this.#isRoomWanted = true;
      // Behind all that waits: when this is written, that is.
      if (this.#filled === '') this.#socket.write('', () => this.#written());
    }
    return false;
  }

  /** Whether far more waits than there is room for: answers are put in whether there is room or not. */
  get isOverfull(): boolean {
    return this.#filled.length + this.#socket.writableLength > overfull * this.#shared.socketBytes;
  }

  /** Puts a whole frame in, each character a byte. It leaves with all others of this turn, in one write. */
  put(frame: string): void {
    if (this.#isClosed) return;
    if (this.#filled === '') this.#shared.schedule(this);
    this.#filled += frame;
    this.#frames += 1;
    this.#shared.messages += 1;
  }

  /** Hands the socket what is in it. */
  flush(): void {
    const data = this.#filled;
    if (data === '' || this.#isClosed) return;
    this.#filled = '';
    if (this.#isRoomWanted) this.#socket.write(data, 'latin1', () => this.#written());
    else this.#socket.write(data, 'latin1');
    this.count();
  }

  /** Counts what the socket has not taken. */
  count(): void {
    const bytes = this.#isClosed ? 0 : this.#socket.writableLength;
    if (bytes === 0 && !this.#isRoomWanted) this.#frames = 0;
    const change = bytes - this.#waitingBytes;
    this.#waitingBytes = bytes;
    if (change !== 0) this.#shared.counted(this, change);
  }

  giveUp(): void {
    this.#owner.shed();
  }

  /** Takes nothing more, and forgets what it has not handed to the socket. */
  close(): void {
    this.#isClosed = true;
    this.#filled = '';
    this.count();
  }

  #written(): void {
    this.#isRoomWanted = false;
    this.#frames = 0;
    this.count();
    if (!this.#isClosed) this.#owner.room();
  }
}

/** A text message as a WebSocket frame (RFC 6455, section 5.2), from a server; each character is a byte. */
export function frameOf(message: string): string {
  const { length } = message;
  if (length < 126) return `\x81${String.fromCharCode(length)}${message}`;
  if (length < 65_536) return `\x81\x7e${String.fromCharCode(length >> 8, length & 255)}${message}`;
  const high = Math.floor(length / 2 ** 32);
  const bytes = [
    high >>> 24,
    high >>> 16,
    high >>> 8,
    high,
    length >>> 24,
    length >>> 16,
    length >>> 8,
    length,
  ];
  return `\x81\x7f${String.fromCharCode(...bytes.map((byte) => byte & 255))}${message}`;
}
