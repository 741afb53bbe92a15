import { connect } from 'node:net';
import { clientFrame, type Hearing, newReading, pong, readFrames } from './frames.ts';
import type { Speaking } from './speech.ts';

/** What subscribers tell of themselves. */
export interface Hearers {
  /** Whether messages with events are read too, not only counted. */
  readsEvents(): boolean;
  /** An event has come; bytes of its message, and its text where it is read. */
  onEvent(bytes: number, text?: string): void;
  onClosed(): void;
}

/** A subscriber that has joined. */
export interface Subscriber {
  /** Reads no more. */
  stall(): void;
}

/** Every message with an event is at least this long, and no other is once all have joined; bytes. */
const eventBytes = 128;

// One for all: what is in it is read before anything else happens.
const buffer = Buffer.alloc(262_144);

/**
 * Opens a WebSocket and joins as its protocol wants it. Over a bare socket and with as little work for each message
 * as can be: the server is to be measured, and not what listens to it.
 */
export function subscribe(port: number, speaking: Speaking, hearers: Hearers): Promise<Subscriber> {
  return new Promise((resolve, reject) => {
    const reading = newReading();
    let head: string | undefined = '';
    let hasJoined = false;
    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer,
        callback(length: number) {
          take(buffer.subarray(0, length));
          return true;
        },
      },
    });
    const send = (text: string) => socket.write(clientFrame(text));

    const hearing: Hearing = {
      wants: (bytes) => !hasJoined || bytes < eventBytes || hearers.readsEvents(),
      onCounted: (bytes) => hearers.onEvent(bytes),
      onText(text) {
        if (hasJoined && text.length >= eventBytes) {
          hearers.onEvent(Buffer.byteLength(text), text);
          return;
        }
        const { reply, joined } = speaking.answer(text) ?? {};
        if (reply !== undefined) send(reply);
        if (joined) finish();
        else if (text.includes('"error"')) reject(new Error(`refused: ${text}`));
      },
      onPing: (payload) => void socket.write(pong(payload)),
      onClose: () => socket.end(),
    };

    function finish(): void {
      hasJoined = true;
      resolve({ stall: () => void socket.pause() });
    }

    function take(part: Buffer): void {
      if (head === undefined) {
        readFrames(reading, part, hearing);
        return;
      }
      head += part.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!head.startsWith('HTTP/1.1 101')) reject(new Error(`not upgraded: ${head}`));
      const rest = Buffer.from(head.slice(end + 4), 'latin1');
      head = undefined;
      if (speaking.opening) send(speaking.opening);
      if (speaking.opening === undefined) finish();
      readFrames(reading, rest, hearing);
    }

    socket.on('connect', () => {
      const lines = [
        `GET ${speaking.target} HTTP/1.1`,
        `Host: 127.0.0.1:${port}`,
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
        'Sec-WebSocket-Version: 13',
        ...(speaking.subprotocol ? [`Sec-WebSocket-Protocol: ${speaking.subprotocol}`] : []),
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    });
    socket.on('error', reject);
    socket.on('close', () => {
      hearers.onClosed();
      reject(new Error('closed before it had joined'));
    });
  });
}
