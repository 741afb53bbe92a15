import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { utf8Characters } from '../../src/platform/utf8.ts';
import { createOutboxes, frameOf, Outbox, type OutboxLimits } from '../../src/transport/outbox.ts';
import { openSocket } from '../support/raw-socket.ts';
import { type Linked, linkSockets, moreThanALineTakes } from '../support/sockets.ts';
import { until } from '../support/until.ts';

/** The end of this turn of the event loop, with what was put off until then. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

interface Opened extends Pick<Linked, 'stream' | 'peer'> {
  readonly outbox: Outbox;
  /** How often there was room again, and how often it was told to be shed. */
  readonly heard: { rooms: number; sheds: number };
}

/** Outboxes on real lines, that share what a server's share. */
async function openOutboxes(count: number, limits: Partial<OutboxLimits> = {}) {
  const shared = createOutboxes({ socketBytes: 0, totalBytes: 0, ...limits });
  const opened: Opened[] = (await linkSockets(count)).map(({ stream, peer }) => {
    const heard = { rooms: 0, sheds: 0 };
    const outbox: Outbox = new Outbox(stream, shared, {
      room() {
        heard.rooms += 1;
      },
      shed() {
        heard.sheds += 1;
        outbox.close();
      },
    });
    return { stream, peer, outbox, heard };
  });
  return { shared, opened };
}

async function openOutbox(limits: Partial<OutboxLimits> = {}) {
  const { shared, opened } = await openOutboxes(1, limits);
  return { shared, ...(opened[0] as Opened) };
}

const json = (value: unknown) => frameOf(JSON.stringify(value));

describe('a frame', () => {
  it('of any length, with any characters, is read back by the receiver of ws', async () => {
    const texts = [1, 2, 124, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000].map((n) => '7'.repeat(n));
    texts.push(JSON.stringify({ a: 'é€😀\u0000\u2028' }));
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    onTestFinished(() => server.close());
    server.on('connection', (_webSocket, { socket }) => {
      for (const text of texts) socket.write(frameOf(utf8Characters(text)), 'latin1');
    });
    await until('it listens', () => server.address());
    const { port } = server.address() as AddressInfo;
    const socket = await openSocket(`ws://127.0.0.1:${port}`, { init: false });
    await until('all of them', () => socket.texts.length === texts.length);
    expect(socket.texts.map((text) => text.length)).toEqual(texts.map((text) => text.length));
    expect(socket.texts.join() === texts.join()).toBe(true);
  });

  it.each([
    [125, 2],
    [126, 4],
    [65_535, 4],
    [65_536, 10],
  ])('of %i bytes says so in the shortest way: with a head of %i', (length, head) => {
    expect(frameOf('7'.repeat(length))).toHaveLength(length + head);
  });
});

describe('what is put into an outbox', () => {
  it('in one turn leaves in one write, in its order', async () => {
    const { stream, peer, outbox } = await openOutbox();
    const write = vi.spyOn(stream, 'write');
    for (let n = 1; n <= 1_000; n += 1) outbox.put(json(n));
    expect(write).not.toHaveBeenCalled();
    await turn();
    expect(write).toHaveBeenCalledTimes(1);
    for (let n = 1_001; n <= 1_010; n += 1) outbox.put(json(n));
    await turn();
    expect(write).toHaveBeenCalledTimes(2);
    await until('all of them', () => peer.messages.length === 1_010);
    expect(peer.messages).toEqual(Array.from({ length: 1_010 }, (_, index) => index + 1));
  });

  it('leaves with one write for each socket, when many have something', async () => {
    const { opened } = await openOutboxes(5);
    const writes = opened.map(({ stream }) => vi.spyOn(stream, 'write'));
    for (let n = 1; n <= 20; n += 1) for (const { outbox } of opened) outbox.put(json(n));
    await turn();
    for (const write of writes) expect(write).toHaveBeenCalledTimes(1);
    for (const { peer } of opened) {
      await until('all of them', () => peer.messages.length === 20);
      expect(peer.messages).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    }
  });

  it('leaves a part in each turn when it is a lot, behind what others have little of', async () => {
    const { opened } = await openOutboxes(30);
    const written: number[] = [];
    for (const [index, { stream, outbox }] of opened.entries()) {
      vi.spyOn(stream, 'write').mockImplementation(() => written.push(index) > 0);
      outbox.put(frameOf(index === 29 ? '7' : 'x'.repeat(100_000)));
    }
    const turns: number[][] = [];
    while (turns.flat().length < 30) {
      await turn();
      turns.push(written.splice(0));
    }
    const some = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
    expect(turns).toEqual([[29, ...some(0, 11)], some(11, 22), some(22, 29)]);
    opened[0]?.outbox.put(frameOf('7'));
    await turn();
    expect(written).toEqual([0]);
  });

  it('leaves at once when it is flushed, and not once more', async () => {
    const { stream, peer, outbox } = await openOutbox();
    const write = vi.spyOn(stream, 'write');
    outbox.put(json(1));
    outbox.flush();
    outbox.flush();
    expect(write).toHaveBeenCalledTimes(1);
    await turn();
    expect(write).toHaveBeenCalledTimes(1);
    outbox.put(json(2));
    await turn();
    await until('both', () => peer.messages.length === 2);
  });

  it('is forgotten when it is closed, and nothing more is taken', async () => {
    const { shared, stream, peer, outbox } = await openOutbox();
    const write = vi.spyOn(stream, 'write');
    outbox.put(json(1));
    outbox.close();
    outbox.put(json(2));
    outbox.flush();
    await turn();
    expect(write).not.toHaveBeenCalled();
    stream.write(json('last'), 'latin1');
    await until('the last', () => peer.messages.length > 0);
    expect(peer.messages).toEqual(['last']);
    expect(shared.waitingBytes).toBe(0);
  });
});

describe('room', () => {
  it('is there up to so many bytes, and again when the other end has read them', async () => {
    const { stream, peer, outbox, heard } = await openOutbox({ socketBytes: moreThanALineTakes });
    peer.pause();
    const frame = json('x'.repeat(moreThanALineTakes));
    expect(outbox.hasRoom).toBe(true);
    outbox.put(frame);
    expect(outbox.hasRoom).toBe(false);
    await turn();
    expect(stream.writableLength).toBe(frame.length);
    expect(outbox.waitingBytes).toBe(frame.length);
    expect(outbox.hasRoom).toBe(false);
    expect(heard.rooms).toBe(0);
    peer.resume();
    await until('room', () => heard.rooms > 0);
    expect(outbox.hasRoom).toBe(true);
    expect(outbox.waitingBytes).toBe(0);
    expect(heard).toEqual({ rooms: 1, sheds: 0 });
  });

  it('that is asked for behind what waits already is told of as well, once', async () => {
    const { peer, outbox, heard } = await openOutbox({ socketBytes: 1_024 });
    peer.pause();
    outbox.put(json('x'.repeat(moreThanALineTakes)));
    await turn();
    for (let asked = 0; asked < 10; asked += 1) expect(outbox.hasRoom).toBe(false);
    peer.resume();
    await until('room', () => heard.rooms > 0);
    outbox.put(json('more'));
    await until('the last', () => peer.messages.length === 2);
    expect(heard.rooms).toBe(1);
  });

  it('is there for 1,024 frames, however small', async () => {
    const { peer, outbox, heard } = await openOutbox();
    for (let n = 1; n < 1_024; n += 1) outbox.put(json(n));
    expect(outbox.hasRoom).toBe(true);
    outbox.put(json(1_024));
    expect(outbox.hasRoom).toBe(false);
    await until('room', () => heard.rooms === 1);
    expect(outbox.hasRoom).toBe(true);
    await until('all of them', () => peer.messages.length === 1_024);
  });

  it('is there for more frames when those before have left, though nobody had asked', async () => {
    const { peer, outbox } = await openOutbox();
    for (let round = 1; round <= 5; round += 1) {
      for (let n = 1; n <= 1_000; n += 1) outbox.put(json(n));
      await until('they have come', () => peer.messages.length === round * 1_000);
      await turn();
      outbox.count();
      expect(outbox.hasRoom).toBe(true);
    }
  });

  it('is never too little without a limit', async () => {
    const { peer, outbox } = await openOutbox({ socketBytes: 0 });
    peer.pause();
    outbox.put(json('x'.repeat(moreThanALineTakes)));
    await turn();
    expect(outbox.hasRoom).toBe(true);
  });

  it('is not told of when the outbox is closed meanwhile', async () => {
    const { peer, outbox, heard } = await openOutbox({ socketBytes: 1_024 });
    peer.pause();
    outbox.put(json('x'.repeat(moreThanALineTakes)));
    await turn();
    expect(outbox.hasRoom).toBe(false);
    outbox.close();
    peer.resume();
    await until('it has come', () => peer.messages.length === 1);
    await turn();
    expect(heard.rooms).toBe(0);
  });

  it('is not asked for without end on a line that breaks', async () => {
    const { stream, peer, outbox, heard } = await openOutbox({ socketBytes: 1_024 });
    peer.pause();
    outbox.put(json('x'.repeat(moreThanALineTakes)));
    await turn();
    expect(outbox.hasRoom).toBe(false);
    peer.destroy();
    await until('the line is gone', () => stream.closed);
    expect(heard.rooms).toBeLessThanOrEqual(1);
  });
});

describe('what waits on all sockets together', () => {
  const mebibyte = 1_048_576;

  /** Outboxes whose peers read nothing, with this many MiB in each. */
  async function stalled(sizes: readonly number[], totalBytes: number) {
    const made = await openOutboxes(sizes.length, { totalBytes });
    for (const [index, { outbox, peer }] of made.opened.entries()) {
      peer.pause();
      outbox.put(json('x'.repeat((sizes[index] as number) * mebibyte)));
    }
    // So much leaves one after another.
    for (const _ of sizes) await turn();
    return made;
  }
  const shedOf = (opened: readonly Opened[]) => opened.map(({ heard }) => heard.sheds);

  it('is counted, and is nothing when all of it was taken', async () => {
    const { shared, opened } = await stalled([16, 20], 0);
    const [first, second] = opened as [Opened, Opened];
    expect(shared.waitingBytes).toBe(first.stream.writableLength + second.stream.writableLength);
    expect(shared.waitingBytes).toBeGreaterThanOrEqual(36 * mebibyte);
    for (const { peer } of opened) peer.resume();
    await until('all was read', () => opened.every(({ peer }) => peer.messages.length === 1));
    for (const { outbox } of opened) outbox.count();
    expect(shared.waitingBytes).toBe(0);
    expect(shedOf(opened)).toEqual([0, 0]);
  });

  it('within its limit sheds nothing', async () => {
    const { opened } = await stalled([16, 17, 18], 52 * mebibyte);
    expect(shedOf(opened)).toEqual([0, 0, 0]);
  });

  it('over its limit sheds those first on which the most waits, and no more than must be', async () => {
    const { shared, opened } = await stalled([18, 24, 16, 20], 40 * mebibyte);
    expect(shedOf(opened)).toEqual([0, 1, 0, 1]);
    expect(shared.waitingBytes).toBeLessThanOrEqual(40 * mebibyte);
    expect(shared.waitingBytes).toBeGreaterThanOrEqual(34 * mebibyte);
  });

  it('is counted anew before anything is shed: what was read meanwhile waits no more', async () => {
    const { shared, opened } = await stalled([16, 24, 18], 60 * mebibyte);
    const largest = opened[1] as Opened;
    largest.peer.resume();
    await until('it was read', () => largest.peer.messages.length === 1);
    await turn();
    (opened[0] as Opened).outbox.put(json('x'.repeat(20 * mebibyte)));
    await turn();
    expect(shedOf(opened)).toEqual([0, 0, 0]);
    expect(shared.waitingBytes).toBeLessThanOrEqual(60 * mebibyte);
  });
});
