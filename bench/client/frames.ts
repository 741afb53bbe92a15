/** What comes over a WebSocket, message by message: `text` only of those that are read. */
export interface Hearing {
  /** Whether messages of this many bytes are read or only counted. */
  wants(bytes: number): boolean;
  onText(text: string): void;
  onCounted(bytes: number): void;
  onPing(payload: Buffer): void;
  onClose(): void;
}

/** Where a socket stands in what comes: kept small, as there are thousands. */
export interface Reading {
  /** What is still missing of the present frame's payload; bytes. */
  missing: number;
  opcode: number;
  isLast: boolean;
  /** How long the present message is so far; bytes. */
  messageBytes: number;
  /** The payload so far, where it is read. */
  kept: Buffer[] | undefined;
  /** The beginning of a header that came in two parts. */
  partial: Buffer | undefined;
}

/** The position before the first frame. */
export const newReading = (): Reading => ({
  missing: 0,
  opcode: 0,
  isLast: false,
  messageBytes: 0,
  kept: undefined,
  partial: undefined,
});

const opcodes = { continuation: 0, close: 8, ping: 9 } as const;

/** Reads the frames of a server in what has come; `part` is reused by whoever gave it. */
export function readFrames(reading: Reading, part: Buffer, hearing: Hearing): void {
  const bytes = reading.partial ? Buffer.concat([reading.partial, part]) : part;
  reading.partial = undefined;
  let at = 0;
  while (at < bytes.length) {
    if (reading.missing === 0) {
      const length = headerLength(bytes, at);
      if (at + length > bytes.length) {
        reading.partial = Buffer.from(bytes.subarray(at));
        return;
      }
      begin(reading, bytes, at, hearing);
      at += length;
    }
    const taken = Math.min(reading.missing, bytes.length - at);
    if (reading.kept && taken > 0) reading.kept.push(Buffer.from(bytes.subarray(at, at + taken)));
    reading.missing -= taken;
    at += taken;
    if (reading.missing === 0) end(reading, hearing);
  }
}

function headerLength(bytes: Buffer, at: number): number {
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  if (at + 2 > bytes.length || short < 126) return 2;
  return short === 126 ? 4 : 10;
}

function begin(reading: Reading, bytes: Buffer, at: number, hearing: Hearing): void {
  const first = bytes[at] ?? 0;
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  const opcode = first & 0x0f;
  reading.isLast = (first & 0x80) !== 0;
  reading.missing = short;
  if (short === 126) reading.missing = bytes.readUInt16BE(at + 2);
  if (short === 127) reading.missing = Number(bytes.readBigUInt64BE(at + 2));
  reading.opcode = opcode;
  if (opcode >= opcodes.close) {
    reading.kept = [];
    return;
  }
  if (opcode !== opcodes.continuation) {
    reading.messageBytes = 0;
    reading.kept = hearing.wants(reading.missing) ? [] : undefined;
  }
  reading.messageBytes += reading.missing;
}

function end(reading: Reading, hearing: Hearing): void {
  const { opcode, kept } = reading;
  if (opcode === opcodes.close) hearing.onClose();
  else if (opcode === opcodes.ping) hearing.onPing(Buffer.concat(kept ?? []));
  else if (opcode < opcodes.close && reading.isLast) {
    if (kept) hearing.onText(Buffer.concat(kept).toString());
    else hearing.onCounted(reading.messageBytes);
  }
}

/** A frame of a client; masked with zeros, which leaves its payload as it is. */
export function clientFrame(payload: Buffer | string, opcode = 1): Buffer {
  const body = Buffer.from(payload);
  const isShort = body.length < 126;
  const head = Buffer.alloc(isShort ? 6 : 8);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (isShort ? body.length : 126);
  if (!isShort) head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}

/** The answer to a ping. */
export const pong = (payload: Buffer): Buffer => clientFrame(payload, 10);
