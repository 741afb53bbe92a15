import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createHeartbeat } from '../../src/transport/heartbeat.ts';
import { createOutboxes, frameOf } from '../../src/transport/outbox.ts';
import { opcodes, type RawFrames } from '../support/raw-frames.ts';
import { type Linked, linkSockets, moreThanALineTakes } from '../support/sockets.ts';
import { until } from '../support/until.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const pingsAt = ({ frames }: RawFrames) => frames.filter(({ opcode }) => opcode === opcodes.ping).length;
const pong = { opcode: opcodes.pong, payload: Buffer.alloc(0) };

/** A heartbeat that looks after sockets, and a way to let seconds pass. */
async function start(count: number, idleMs = 0) {
  const heartbeat = createHeartbeat({ idleMs });
  const linked = await linkSockets(count, createOutboxes({ socketBytes: 1_024, totalBytes: 0 }));
  for (const { socket } of linked) heartbeat.add(socket);
  return {
    heartbeat,
    linked: linked as [Linked, ...Linked[]],
    pass(seconds: number): void {
      for (let passed = 0; passed < seconds; passed += 1) {
        vi.advanceTimersByTime(1_000);
      }
    },
  };
}

describe('a socket', () => {
  it('whose client does not begin is closed with 4408 after three seconds, and lives once it has begun', async () => {
    const { linked, pass } = await start(2);
    const [silent, late] = linked as [Linked, Linked];
    for (const { socket } of [silent, late]) socket.isGreeted = false;
    pass(3);
    expect([silent.socket.isOpen, late.socket.isOpen]).toEqual([true, true]);
    late.socket.isGreeted = true;
    pass(1);
    await until('the close', () => silent.peer.closeCode !== undefined);
    expect(silent.peer.closeCode).toBe(4408);
    expect(late.socket.isOpen).toBe(true);
  });

  it('is pinged every twelve seconds, and lives as long as it answers', async () => {
    const { linked, pass } = await start(1);
    const [{ socket, peer }] = linked;
    for (let round = 1; round <= 5; round += 1) {
      pass(12);
      await until('the ping', () => pingsAt(peer) === round);
      expect(socket.isAlive).toBe(false);
      peer.send(pong);
      await until('the pong', () => socket.isAlive);
    }
    expect(peer.closeCode).toBeUndefined();
  });

  it('that does not answer is closed with 1013 when it would be pinged again', async () => {
    const { linked, pass } = await start(1);
    const [{ socket, peer }] = linked;
    pass(12);
    await until('the ping', () => pingsAt(peer) === 1);
    pass(11);
    expect(socket.isOpen).toBe(true);
    pass(1);
    expect(socket.isOpen).toBe(false);
    expect(await peer.closed()).toBe(1013);
    expect(peer.closeReason).toBe('Slow consumer');
    expect(pingsAt(peer)).toBe(1);
  });

  it('that is closing is pinged no more', async () => {
    const { linked, pass } = await start(1);
    const [{ socket, peer }] = linked;
    socket.close([1001, 'Going away']);
    pass(12);
    expect(await peer.closed()).toBe(1001);
    expect(pingsAt(peer)).toBe(0);
  });

  it('is pinged in its own second, so that not all are at once', async () => {
    const { linked, pass } = await start(24);
    const pinged = () => linked.reduce((sum, { peer }) => sum + pingsAt(peer), 0);
    for (let second = 1; second <= 12; second += 1) {
      pass(1);
      await until('two pings', () => pinged() === 2 * second);
    }
    expect(linked.map(({ peer }) => pingsAt(peer))).toEqual(Array(24).fill(1));
  });

  it('is looked after no more once that was asked for, or all of it is closed', async () => {
    const { linked, pass, heartbeat } = await start(2);
    const [{ socket, peer }, other] = linked as [Linked, Linked];
    heartbeat.remove(socket);
    pass(12);
    await until('the ping of the other', () => pingsAt(other.peer) === 1);
    expect(pingsAt(peer)).toBe(0);
    heartbeat.close();
    pass(24);
    expect(other.socket.isOpen).toBe(true);
  });
});

describe('a socket that does not take what it is sent', () => {
  /** Sends it more than its line takes, of which it reads nothing. */
  function stall({ socket, peer, stream }: Linked): void {
    peer.pause();
    stream.write(frameOf(JSON.stringify('x'.repeat(moreThanALineTakes))), 'latin1');
    expect(socket.hasRoom).toBe(false);
  }

  it('is closed with 1013 after fifteen seconds', async () => {
    const { linked, pass } = await start(2);
    const [{ socket, peer }, other] = linked as [Linked, Linked];
    stall(linked[0]);
    // Something is heard of it all the time.
    for (let second = 0; second < 15; second += 1) {
      pass(1);
      socket.isAlive = true;
      other.socket.isAlive = true;
    }
    expect(socket.isOpen).toBe(true);
    pass(1);
    expect(socket.isOpen).toBe(false);
    expect(other.socket.isOpen).toBe(true);
    peer.resume();
    expect(await peer.closed()).toBe(1013);
  });

  it('is not closed when it has taken it in time, and has as long the next time', async () => {
    const { linked, pass } = await start(1);
    const [{ socket, peer, stream }] = linked;
    for (let round = 1; round <= 3; round += 1) {
      stall(linked[0]);
      for (let second = 0; second < 14; second += 1) {
        pass(1);
        socket.isAlive = true;
      }
      expect(socket.looksStalled).toBeGreaterThan(0);
      peer.resume();
      await until('it has read', () => peer.messages.length === round && stream.writableLength === 0);
      await until('there is room', () => socket.looksStalled === 0);
      pass(1);
      expect(socket.looksStalled).toBe(0);
    }
    expect(peer.closeCode).toBeUndefined();
  });
});

describe('a socket without an operation', () => {
  it('is closed with 1000 when that lasts', async () => {
    const { linked, pass } = await start(1, 5_000);
    const [{ socket, peer }] = linked;
    pass(4);
    socket.running = { id: null };
    pass(10);
    socket.running = {};
    pass(5);
    expect(socket.isOpen).toBe(true);
    pass(1);
    expect(await peer.closed()).toBe(1000);
    expect(peer.closeReason).toBe('Idle');
  });

  it('is left alone where there is no such limit', async () => {
    const { linked, pass } = await start(1, 0);
    const [{ socket }] = linked;
    for (let second = 0; second < 1_000; second += 1) {
      pass(1);
      socket.isAlive = true;
    }
    expect(socket.isOpen).toBe(true);
  });
});
