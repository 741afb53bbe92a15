import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import type { Json } from './clients.ts';
import { until } from './until.ts';

/** What a frame has in it (RFC 6455, section 5.2). */
export const opcodes = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A frame as it goes over the wire. */
export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Whether it ends its message; it does unless told otherwise. */
  readonly isLast?: boolean;
  /** What the three reserved bits are; 0 unless told otherwise. */
  readonly reserved?: number;
  /** Whether it is masked, as a client's must be; it is unless told otherwise. */
  readonly isMasked?: boolean;
}

/** A connection on which a test writes the frames of a WebSocket itself, broken ones too. */
export interface RawFrames {
  /** Everything that came, in its order. */
  readonly frames: readonly Frame[];
  /** The messages that came, read as JSON. */
  readonly messages: readonly Json[];
  /** The close frame that came: its code, or undefined for none. */
  readonly closeCode: number | undefined;
  readonly closeReason: string;
  /** Whether the line is gone. */
  readonly ended: boolean;
  /** The port of this end, by which the server's end of the line can be found. */
  readonly localPort: number;
  /** Writes bytes as they are. */
  write(bytes: Buffer): void;
  /** Sends frames in one write. */
  send(...frames: readonly Frame[]): void;
  /** Sends messages as JSON, in one write. */
  say(...messages: readonly unknown[]): void;
  /** Reads nothing more, until it resumes. */
  pause(): void;
  resume(): void;
  /** Goes away without a word. */
  destroy(): void;
  /** The messages of one operation so far. */
  of(id: string): Json[];
  /** Resolves with the code once a close frame has come. */
  closed(): Promise<number>;
}

const open = new Set<Socket>();

/** A frame's bytes. */
function bytesOf({ opcode, payload, isLast = true, reserved = 0, isMasked = true }: Frame): Buffer {
  const { length } = payload;
  const first = (isLast ? 0x80 : 0) | (reserved << 4) | opcode;
  const masked = isMasked ? 0x80 : 0;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head.writeUInt8(first);
  head.writeUInt8(masked | (head.length === 2 ? length : head.length === 4 ? 126 : 127), 1);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  if (!isMasked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ (mask[index & 3] as number))]);
}

/** A whole message of text. */
export const textFrame = (text: string): Frame => ({ opcode: opcodes.text, payload: Buffer.from(text) });

/** A message cut into frames that carry this many bytes each. */
export function fragments(text: string, bytesEach: number): Frame[] {
  const bytes = Buffer.from(text);
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += bytesEach)
    frames.push({
      opcode: at === 0 ? opcodes.text : opcodes.more,
      payload: bytes.subarray(at, at + bytesEach),
      isLast: at + bytesEach >= bytes.length,
    });
  return frames;
}

/** The first frame of what a server has sent, or how many bytes there must be before it can be read. */
function frameIn(
  bytes: Buffer,
): { readonly frame: Frame; readonly end: number } | { readonly needs: number } {
  if (bytes.length < 2) return { needs: 2 };
  const first = bytes.readUInt8(0);
  const short = bytes.readUInt8(1) & 127;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < head) return { needs: head };
  let length = short;
  if (head === 4) length = bytes.readUInt16BE(2);
  if (head === 10) length = Number(bytes.readBigUInt64BE(2));
  const end = head + length;
  if (bytes.length < end) return { needs: end };
  const isMasked = bytes.readUInt8(1) > 127;
  return {
    frame: { opcode: first & 15, payload: bytes.subarray(head, end), isLast: first > 127, isMasked },
    end,
  };
}

/** What an upgrade is asked for with, but for its last line. */
export function upgradeHead(url: string, headers: Readonly<Record<string, string>> = {}): string {
  const { host, pathname } = new URL(url);
  const lines = Object.entries({
    host,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    'sec-websocket-protocol': 'graphql-transport-ws',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${pathname} HTTP/1.1\r\n${lines.join('')}`;
}

/** Connects to the WebSocket of a URL; says `connection_init`, and waits for the answer, if that has a payload here. */
export async function openFrames(
  url: string | undefined,
  params?: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawFrames> {
  const { hostname, port } = new URL(url as string);
  const socket = connect(Number(port), hostname);
  open.add(socket);
  socket.on('error', () => {});
  let unread: Buffer[] = [];
  let unreadBytes = 0;
  let needed = 0;
  let isUpgraded = false;
  let ended = false;
  let close: Buffer | undefined;
  const frames: Frame[] = [];
  const messages: Json[] = [];
  let parts: Buffer[] = [];

  function take(frame: Frame): void {
    frames.push(frame);
    if (frame.opcode === opcodes.close) close = Buffer.from(frame.payload);
    if (frame.opcode > opcodes.binary) return;
    parts.push(frame.payload);
    if (!frame.isLast) return;
    messages.push(JSON.parse(Buffer.concat(parts).toString()));
    parts = [];
  }

  socket.on('data', (chunk: Buffer) => {
    unread.push(chunk);
    unreadBytes += chunk.length;
    if (unreadBytes < needed) return;
    let bytes = Buffer.concat(unread);
    if (!isUpgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      isUpgraded = true;
      bytes = bytes.subarray(end + 4);
    }
    let found = frameIn(bytes);
    for (; 'frame' in found; found = frameIn(bytes)) {
      take(found.frame);
      bytes = bytes.subarray(found.end);
    }
    unread = [bytes];
    unreadBytes = bytes.length;
    needed = found.needs;
  });
  socket.on('close', () => {
    ended = true;
  });
  socket.write(`${upgradeHead(url as string, headers)}\r\n`);
  await until('the upgrade', () => isUpgraded || ended);
  const raw: RawFrames = {
    frames,
    messages,
    get closeCode() {
      return close && (close.length < 2 ? 1005 : close.readUInt16BE(0));
    },
    get closeReason() {
      return String(close?.subarray(2));
    },
    get ended() {
      return ended;
    },
    localPort: socket.localPort as number,
    write: (bytes) => socket.write(bytes),
    send: (...sent) => raw.write(Buffer.concat(sent.map(bytesOf))),
    say: (...said) => raw.send(...said.map((message) => textFrame(JSON.stringify(message)))),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    destroy: () => socket.destroy(),
    of: (id) => messages.filter((message) => message.id === id),
    closed: () => until('the close', () => raw.closeCode),
  };
  if (params) {
    raw.say({ type: 'connection_init', payload: params });
    await until('the answer to connection_init', () => messages.length > 0 || ended);
  }
  return raw;
}

afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
});
