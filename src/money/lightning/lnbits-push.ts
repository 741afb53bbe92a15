import { WebSocket } from 'ws';
import { LightningUnavailableError } from './backend.ts';
import { createHintGate } from './lnbits-hints.ts';
import { readPushed } from './lnbits-payment.ts';

/** Listens to the payments that LNbits pushes. */
export interface LnbitsPush {
  /** Resolves once the socket is gone. */
  close(): Promise<void>;
}

interface Dependencies {
  /** The WebSocket of a wallet; the key is part of it. */
  readonly address: string;
  /** How often the other end must show that it is there, and how long connecting may take. */
  readonly pingMs: number;
  readonly hear: (paymentHash: string) => void;
  /** Hears when the push is lost: once, until it has held for a ping. */
  readonly onError: (error: unknown) => void;
}

/** The largest message that is read; bytes. */
const maximumMessageBytes = 262_144;

/** The pause before connecting again: from half a second to at most 30, with jitter; ms. */
export function reconnectMs(attempts: number, random = Math.random()): number {
  return 500 + random * (Math.min(1_000 * 2 ** attempts, 30_000) - 500);
}

/**
 * Connects, and connects again whenever the connection is lost. A message is a hint and no more, as anyone may have
 * sent it; what is no payment is ignored.
 */
export function openLnbitsPush({ address, pingMs, hear, onError }: Dependencies): LnbitsPush {
  const gate = createHintGate(hear);
  let current: Connection;
  let retry: NodeJS.Timeout | undefined;
  let attempts = 0;
  let isLost = false;
  let closed = false;

  function open(): void {
    current = connect(address, pingMs, {
      message: (text) => {
        const paymentHash = readPushed(text);
        if (paymentHash) gate.enter(paymentHash);
      },
      // Only now: a server that takes every connection and drops it at once is not back.
      held: () => {
        attempts = 0;
        isLost = false;
      },
      lost: (reason) => {
        if (closed) return;
        retry = setTimeout(open, reconnectMs(attempts));
        attempts += 1;
        if (isLost) return;
        isLost = true;
        onError(new LightningUnavailableError(`LNbits pushes no payments for now: ${reason}.`));
      },
    });
  }

  open();
  return {
    async close() {
      closed = true;
      clearTimeout(retry);
      gate.close();
      await current.end();
    },
  };
}

interface Connection {
  end(): Promise<void>;
}

interface Listener {
  message(text: string): void;
  /** The other end answered a ping. */
  held(): void;
  lost(reason: string): void;
}

/** One connection, from its start to its loss. */
function connect(address: string, pingMs: number, listener: Listener): Connection {
  const socket = new WebSocket(address, {
    maxPayload: maximumMessageBytes,
    handshakeTimeout: pingMs,
    perMessageDeflate: false,
  });
  let reason = 'the connection was closed';
  let pings: NodeJS.Timeout | undefined;
  let ponged = true;
  const gone = new Promise<void>((resolve) => {
    socket.on('close', () => {
      clearInterval(pings);
      resolve();
      listener.lost(reason);
    });
  });
  socket.on('open', () => {
    pings = setInterval(() => {
      if (!ponged) {
        reason = 'the other end is gone';
        socket.terminate();
        return;
      }
      ponged = false;
      socket.ping();
    }, pingMs);
  });
  socket.on('pong', () => {
    ponged = true;
    listener.held();
  });
  socket.on('message', (data, isBinary) => {
    if (!isBinary) listener.message(String(data));
  });
  socket.on('error', (error) => {
    reason = reasonOf(error);
    // After a frame that cannot be read, nothing else is waited for.
    socket.terminate();
  });
  return {
    end() {
      socket.removeAllListeners('message');
      socket.terminate();
      return gone;
    },
  };
}

// The address, and so the key, must not be told: a code or a status is all that is taken from the error.
function reasonOf(error: Error): string {
  const { code } = error as { code?: unknown };
  if (typeof code === 'string') return code;
  const status = /^Unexpected server response: (\d{3})$/.exec(error.message)?.[1];
  return status ? `the answer was ${status}` : 'the connection failed';
}
